//! The threads of a run.
//!
//! A pool of exactly the configured number of threads, each with flush-to-zero set: subnormal numbers cost a hundred
//! times a normal one, and they appear in every long training run. Idle threads look out for work for a moment and then
//! sleep. Work is cut into pieces whose results do not depend on who ran them, so whether several threads take part
//! is free to change from call to call: a [`Gate`] tries, measures, and stays with what is faster. A neighbour that
//! keeps the second core busy then costs little.

mod crowd;
mod gate;
mod spread;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use skirl_nn::FlushDenormals;

pub use gate::Gate;

use crate::error::Error;
use crowd::Crowd;
use gate::Call;
use spread::Spread;

/// Threads that share the work of one run; with one thread everything runs on the caller.
#[derive(Debug)]
pub struct Workers {
    pool: Option<rayon::ThreadPool>,
    num_threads: usize,
    spread: Spread,
    /// Threads were told where to wake up: seen without the lock of `spread`, as every piece of shared work looks.
    is_told: AtomicBool,
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
        let spread = Spread::default();
        let pool = if num_threads > 1 { Some(build_pool(num_threads, &spread)?) } else { None };
        let (lookouts, crowd) = (Arc::default(), Crowd::new());
        let (num_threads, is_told) = (num_threads.max(1), AtomicBool::new(false));
        Ok(Self { pool, num_threads, spread, is_told, lookouts, crowd })
    }

    /// For a run that has `processes` more processes at work, while these threads wait for them: those keep cores busy, so no
    /// neighbour is told from them, and tries wait as long as the gates say alone. With 0 nothing changes.
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
    /// caller while a neighbour is near: to wake a thread and then to be woken by it would be two more waits for a core.
    pub fn run<R: Send>(&self, work: impl FnOnce() -> R + Send) -> R {
        match &self.pool {
            Some(pool) if !self.crowd.is_near(self.crowd.now()) => pool.install(work),
            _ => {
                let _flush = FlushDenormals::enable();
                work()
            }
        }
    }

    /// As [`run`](Self::run), for work after a time in which the threads slept.
    pub fn wake_and_run<R: Send>(&self, work: impl FnOnce() -> R + Send) -> R {
        let is_outside = self.pool.as_ref().is_some_and(|pool| pool.current_thread_index().is_none());
        if !is_outside {
            return self.run(work);
        }
        let outcome = self.run(|| {
            if rayon::current_thread_index().is_some() {
                self.spread.tell_others();
                self.is_told.store(true, Ordering::Relaxed);
            }
            work()
        });
        self.let_go();
        outcome
    }

    /// The threads are awake, and the system may move them.
    fn let_go(&self) {
        if self.is_told.load(Ordering::Relaxed) && self.is_told.swap(false, Ordering::Relaxed) {
            self.spread.let_go();
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
            (true, false) => pool.install(|| split(items, 0, &work)),
            (false, _) => {
                let _flush = FlushDenormals::enable();
                alone(items);
            }
        }
        if together {
            self.let_go();
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

fn build_pool(num_threads: usize, spread: &Spread) -> Result<rayon::ThreadPool, Error> {
    let spread = spread.clone();
    rayon::ThreadPoolBuilder::new()
        .num_threads(num_threads)
        .thread_name(|index| format!("skirl-{index}"))
        // The guard is leaked on purpose: the thread keeps flush-to-zero until it ends.
        .start_handler(move |_| {
            std::mem::forget(FlushDenormals::enable());
            spread.join();
        })
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
            let mut gate = Gate::default();
            for _ in 0..20 {
                let mut items = vec![0usize; 37];
                workers.for_each(&mut gate, 37, &mut items, |index, item| *item += index + 1);
                assert!(items.iter().enumerate().all(|(index, &item)| item == index + 1));
            }
        }
    }
}
