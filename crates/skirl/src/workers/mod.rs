//! The threads of a run.
//!
//! A pool of exactly the configured number of threads, each with flush-to-zero set: subnormal numbers cost a hundred
//! times a normal one, and they appear in every long training run. Idle threads look out for work for a moment and then
//! sleep. Work is cut into pieces whose results do not depend on who ran them, so whether several threads take part
//! is free to change from call to call: a [`Gate`] tries, measures, and stays with what is faster. A neighbour that
//! keeps the second core busy then costs little.

mod crowd;
mod gate;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use skirl_nn::FlushDenormals;

pub use gate::Gate;

use crate::error::Error;
use crowd::Crowd;
use gate::Call;

/// Threads that share the work of one run; with one thread everything runs on the caller.
#[derive(Debug)]
pub struct Workers {
    pool: Option<rayon::ThreadPool>,
    num_threads: usize,
    /// The caller is one of the threads, and the pool holds the others.
    around_caller: bool,
    /// Threads that look out for work and do not sleep yet.
    lookouts: Arc<AtomicUsize>,
    /// Who else wants the cores; while somebody does, no gate opens.
    crowd: Crowd,
}

/// How long a thread looks out for the next piece of work before it sleeps. Between two minibatches a few microseconds
/// pass; waking a sleeping thread costs more than that.
const LOOK_OUT: Duration = Duration::from_micros(20);

impl Workers {
    /// `num_threads` ≥ 1; with 1 no thread is started.
    pub fn new(num_threads: usize) -> Result<Self, Error> {
        Self::build(num_threads, num_threads, false)
    }

    /// As [`new`](Self::new), with the calling thread as one of them: what is not shared out stays on it. For runs with
    /// environments that belong to one thread.
    pub fn around_caller(num_threads: usize) -> Result<Self, Error> {
        Self::build(num_threads, num_threads.saturating_sub(1), true)
    }

    fn build(num_threads: usize, started: usize, around_caller: bool) -> Result<Self, Error> {
        let pool = if num_threads > 1 { Some(build_pool(started)?) } else { None };
        let (lookouts, crowd) = (Arc::default(), Crowd::new());
        Ok(Self { pool, num_threads: num_threads.max(1), around_caller, lookouts, crowd })
    }

    /// For a run that has `processes` more processes at work, while these threads wait for them. With 0 nothing changes.
    pub fn beside(mut self, processes: usize) -> Self {
        if processes > 0 {
            self.crowd.of_own_processes();
        }
        self
    }

    /// Configured number of threads.
    pub fn num_threads(&self) -> usize {
        self.num_threads
    }

    /// Runs `work` on one of the threads, so that every [`for_each`](Self::for_each) in it starts without waking one. On the
    /// caller if that is one of them, and while a neighbour is near: to wake a thread and then to be woken by it would be two
    /// more waits for a core.
    pub fn run<R: Send>(&self, work: impl FnOnce() -> R + Send) -> R {
        match &self.pool {
            Some(pool) if !self.around_caller && !self.crowd.is_near(self.crowd.now()) => pool.install(work),
            _ => {
                let _flush = FlushDenormals::enable();
                work()
            }
        }
    }

    /// Runs `work(i, &mut items[i])` for every item, at the same time where `gate` finds that faster, and returns when
    /// all are finished. `cost` is proportional to the work of this call (rows), to compare calls of different size.
    pub fn for_each<T: Send>(
        &self,
        gate: &mut Gate,
        cost: usize,
        items: &mut [T],
        work: impl Fn(usize, &mut T) + Sync,
    ) {
        self.for_each_or(gate, cost, items, &work, |items| one_after_the_other(items, &work));
    }

    /// As [`for_each`](Self::for_each), with something faster than one item after the other for one thread: `alone(items)`,
    /// which must come to the same results.
    pub fn for_each_or<T: Send>(
        &self,
        gate: &mut Gate,
        cost: usize,
        items: &mut [T],
        work: impl Fn(usize, &mut T) + Sync,
        alone: impl FnOnce(&mut [T]),
    ) {
        let Some(pool) = self.pool.as_ref().filter(|_| items.len() > 1) else {
            let _flush = FlushDenormals::enable();
            return alone(items);
        };
        let started = self.crowd.now();
        let together = gate.opens(started.as_secs_f64()) && !self.crowd.is_near(started);
        if together {
            self.look_out(pool, items.len());
        }
        match (together, pool.current_thread_index().is_some()) {
            (true, true) => split(items, 0, &work),
            (true, false) => share(pool, self.num_threads - 1, items, &work),
            (false, _) => {
                let _flush = FlushDenormals::enable();
                alone(items);
            }
        }
        let now = self.crowd.now();
        let call = Call { cost: cost.max(1) as f64, seconds: now.saturating_sub(started).as_secs_f64() };
        if let Some(until) = gate.record(together, call, now.as_secs_f64()) {
            self.crowd.held_up(until);
        }
    }

    /// Has as many other threads look out for work as there is work for.
    fn look_out(&self, pool: &rayon::ThreadPool, items: usize) {
        let wanted = self.num_threads.min(items) - 1;
        for _ in self.lookouts.load(Ordering::Relaxed)..wanted {
            self.lookouts.fetch_add(1, Ordering::Relaxed);
            let (lookouts, caller) = (Arc::clone(&self.lookouts), pool.current_thread_index());
            pool.spawn(move || {
                // The caller may find this job itself while it waits for others: it has better things to do.
                if caller.is_none() || rayon::current_thread_index() != caller {
                    look_out_for_work();
                }
                lookouts.fetch_sub(1, Ordering::Relaxed);
            });
        }
    }
}

/// Takes over work as soon as there is some, until there was none for a while.
fn look_out_for_work() {
    let mut idle_since = Instant::now();
    while idle_since.elapsed() < LOOK_OUT {
        if rayon::yield_now() == Some(rayon::Yield::Executed) {
            idle_since = Instant::now();
        } else {
            std::hint::spin_loop();
        }
    }
}

fn one_after_the_other<T>(items: &mut [T], work: &impl Fn(usize, &mut T)) {
    for (index, item) in items.iter_mut().enumerate() {
        work(index, item);
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

/// Has `helpers` threads of the pool take items beside the calling thread, which is none of them. It does not sleep while
/// the last items are finished: they are of a size, and to be woken takes longer.
fn share<T: Send>(
    pool: &rayon::ThreadPool,
    helpers: usize,
    items: &mut [T],
    work: &(impl Fn(usize, &mut T) + Sync),
) {
    let finished = AtomicUsize::new(0);
    let num_items = items.len();
    let left = Mutex::new(items.iter_mut().enumerate());
    let take = || left.lock().unwrap_or_else(PoisonError::into_inner).next();
    let take_part = || {
        while let Some((index, item)) = take() {
            work(index, item);
            finished.fetch_add(1, Ordering::Release);
        }
    };
    pool.in_place_scope(|scope| {
        for _ in 0..helpers.min(num_items - 1) {
            scope.spawn(|_| take_part());
        }
        take_part();
        let since = Instant::now();
        while finished.load(Ordering::Acquire) < num_items && since.elapsed() < LOOK_OUT {
            std::hint::spin_loop();
        }
    });
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
            let (apart, around) = (Workers::new(num_threads), Workers::around_caller(num_threads));
            for workers in [apart.unwrap(), around.unwrap()] {
                let mut gate = Gate::default();
                for _ in 0..20 {
                    let mut items = vec![0usize; 37];
                    workers.for_each(&mut gate, 37, &mut items, |index, item| *item += index + 1);
                    assert!(items.iter().enumerate().all(|(index, &item)| item == index + 1));
                }
            }
        }
    }

    #[test]
    fn the_caller_and_helpers_share_the_items() {
        let caller = std::thread::current().id();
        let workers = Workers::around_caller(3).unwrap();
        assert_eq!(workers.run(|| std::thread::current().id()), caller);
        let pool = workers.pool.as_ref().unwrap();
        assert_eq!(pool.current_num_threads(), 2);
        // Each takes one and waits for the others: were there fewer, nobody would go on.
        let barrier = std::sync::Barrier::new(3);
        let mut threads = vec![caller; 3];
        share(pool, 2, &mut threads, &|_, thread| {
            *thread = std::thread::current().id();
            barrier.wait();
        });
        assert!(threads.contains(&caller));
        let others: std::collections::HashSet<_> = threads.iter().filter(|&&id| id != caller).collect();
        assert_eq!(others.len(), 2, "{threads:?}");
    }

    #[test]
    fn a_panic_of_a_helper_reaches_the_caller() {
        let workers = Workers::around_caller(2).unwrap();
        let (pool, caller) = (workers.pool.as_ref().unwrap(), std::thread::current().id());
        let barrier = std::sync::Barrier::new(2);
        let work = |_: usize, _: &mut usize| {
            barrier.wait();
            assert_eq!(std::thread::current().id(), caller, "a helper");
        };
        let shared = std::panic::AssertUnwindSafe(|| share(pool, 1, &mut [0, 1], &work));
        assert!(std::panic::catch_unwind(shared).is_err());
    }
}
