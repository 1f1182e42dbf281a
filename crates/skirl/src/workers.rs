//! The threads of a run.
//!
//! A pool of exactly the configured number of threads, each with flush-to-zero set: subnormal numbers cost a hundred
//! times a normal one, and they appear in every long training run. Idle threads spin for a moment and then sleep, so a
//! busy neighbour on the machine costs little. Work is cut into pieces whose results do not depend on who ran them.



use skirl_nn::FlushDenormals;

use crate::error::Error;

/// Threads that share the work of one run; with one thread everything runs on the caller.
#[derive(Debug)]
pub struct Workers {
    pool: Option<rayon::ThreadPool>,
    num_threads: usize,
}

impl Workers {
    /// `num_threads` ≥ 1; with 1 no thread is started.
    pub fn new(num_threads: usize) -> Result<Self, Error> {
        let pool = if num_threads > 1 { Some(build_pool(num_threads)?) } else { None };
        Ok(Self { pool, num_threads: num_threads.max(1) })
    }

    /// Configured number of threads.
    pub fn num_threads(&self) -> usize {
        self.num_threads
    }

    /// Runs `work(i, &mut items[i])` for every item, possibly at the same time, and returns when all are finished.
    pub fn for_each<T: Send>(&self, items: &mut [T], work: impl Fn(usize, &mut T) + Sync) {
        match &self.pool {
            Some(pool) if items.len() > 1 => pool.install(|| split(items, 0, &work)),
            _ => {
                let _flush = FlushDenormals::enable();
                for (index, item) in items.iter_mut().enumerate() {
                    work(index, item);
                }
            }
        }
    }
}

fn build_pool(num_threads: usize) -> Result<rayon::ThreadPool, Error> {
    rayon::ThreadPoolBuilder::new()
        .num_threads(num_threads)
        .thread_name(|index| format!("skirl-{index}"))
        // The guard is leaked on purpose: the thread keeps flush-to-zero until it ends.
        .start_handler(|_| std::mem::forget(FlushDenormals::enable()))
        .build()
        .map_err(|source| Error::Threads { num_threads, reason: source.to_string() })
}

/// Halves the items until one is left; `join` lets an idle thread take the other half.
fn split<T: Send>(items: &mut [T], first: usize, work: &(impl Fn(usize, &mut T) + Sync)) {
    match items {
        [] => {}
        [item] => work(first, item),
        _ => {
            let middle = items.len() / 2;
            let (left, right) = items.split_at_mut(middle);
            rayon::join(|| split(left, first, work), || split(right, first + middle, work));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_item_is_visited_once_with_its_index() {
        for num_threads in [1, 2, 3, 8] {
            let workers = Workers::new(num_threads).unwrap();
            let mut items = vec![0usize; 37];
            workers.for_each(&mut items, |index, item| *item += index + 1);
            assert!(items.iter().enumerate().all(|(index, &item)| item == index + 1));
        }
    }
}
