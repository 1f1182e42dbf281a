//! The threads of a run.
//!
//! A pool of exactly the configured number of threads, each with flush-to-zero set: subnormal numbers cost a hundred
//! times a normal one, and they appear in every long training run. Idle threads look for work for a moment and then
//! sleep. Work is cut into pieces whose results do not depend on who ran them, so whether several threads take part
//! is free to change from call to call: a [`Gate`] tries, measures, and stays with what is faster. A neighbour that
//! keeps the second core busy then costs little.

use std::time::Instant;

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

    /// Runs `work` on one of the threads, so that every [`for_each`](Self::for_each) in it starts without waking one.
    pub fn run<R: Send>(&self, work: impl FnOnce() -> R + Send) -> R {
        match &self.pool {
            Some(pool) => pool.install(work),
            None => {
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
        let Some(pool) = self.pool.as_ref().filter(|_| items.len() > 1) else {
            let _flush = FlushDenormals::enable();
            return one_after_the_other(items, &work);
        };
        let (together, started) = (gate.opens(), Instant::now());
        match (together, pool.current_thread_index().is_some()) {
            (true, true) => split(items, 0, &work),
            (true, false) => pool.install(|| split(items, 0, &work)),
            (false, true) => one_after_the_other(items, &work),
            (false, false) => pool.install(|| one_after_the_other(items, &work)),
        }
        gate.record(together, started.elapsed().as_secs_f64() / cost.max(1) as f64);
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

/// Decides for one kind of work whether several threads take part, by what they gained so far.
///
/// Starts with a few calls on one thread to know their cost, then tries a few together: the first of them wakes the
/// sleeping threads and does not count. While that gains it goes on; where it does not, the gate closes for ever longer, so
/// that trying costs a few percent at most even beside a neighbour that keeps a core busy.
#[derive(Debug, Clone)]
pub struct Gate {
    /// Seconds for a unit of cost on one thread, smoothed.
    alone: Option<f64>,
    /// The same for all threads together, since the gate opened.
    together: Option<f64>,
    /// Calls made together since the gate opened.
    calls: u32,
    /// Calls until the next try.
    pause: u32,
    /// Length of the next pause.
    next_pause: u32,
}

/// Calls on one thread before the first try.
const FIRST_PAUSE: u32 = 3;
/// Pause after the first try that gained nothing.
const SHORTEST_PAUSE: u32 = 8;
/// Longest pause.
const LONGEST_PAUSE: u32 = 16_384;
/// Calls of a try that are not judged by their mean yet.
const TRY_CALLS: u32 = 6;
/// A single call this many times as slow as alone ends a try: a thread was held up elsewhere.
const HELD_UP: f64 = 3.0;
/// The same for the call that wakes the sleeping threads.
const SLOW_WAKING: f64 = 8.0;
/// Factor between one pause and the next.
const LONGER: u32 = 4;
/// Weight of a new measurement.
const SMOOTHING: f64 = 0.1;

impl Default for Gate {
    fn default() -> Self {
        Self { alone: None, together: None, calls: 0, pause: FIRST_PAUSE, next_pause: SHORTEST_PAUSE }
    }
}

impl Gate {
    fn opens(&self) -> bool {
        self.pause == 0 && self.alone.is_some()
    }

    fn record(&mut self, together: bool, seconds: f64) {
        match (together, self.alone) {
            (true, Some(alone)) => self.judge(alone, seconds),
            _ => {
                self.pause = self.pause.saturating_sub(1);
                self.alone = Some(smooth(self.alone, seconds));
            }
        }
    }

    fn judge(&mut self, alone: f64, seconds: f64) {
        self.calls += 1;
        if self.calls == 1 {
            if seconds > SLOW_WAKING * alone {
                self.close();
            }
            return;
        }
        let mean = smooth(self.together, seconds);
        self.together = Some(mean);
        let trying = self.calls <= TRY_CALLS;
        if (trying && seconds > HELD_UP * alone) || (!trying && mean > alone) {
            self.close();
        } else if !trying {
            self.next_pause = SHORTEST_PAUSE;
        }
    }

    fn close(&mut self) {
        self.pause = self.next_pause;
        self.next_pause = (self.next_pause * LONGER).min(LONGEST_PAUSE);
        self.together = None;
        self.calls = 0;
    }
}

fn smooth(mean: Option<f64>, seconds: f64) -> f64 {
    mean.map_or(seconds, |mean| mean + SMOOTHING * (seconds - mean))
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

    #[test]
    fn a_gate_opens_after_it_knows_the_cost_and_closes_ever_longer() {
        let mut gate = Gate::default();
        for pause in [FIRST_PAUSE, SHORTEST_PAUSE, LONGER * SHORTEST_PAUSE] {
            let mut closed = 0;
            while !gate.opens() {
                gate.record(false, 1.0);
                closed += 1;
            }
            assert_eq!(closed, pause.max(1));
            // Waking up is not held against it; a thread that is held up ends the try.
            gate.record(true, 5.0);
            assert!(gate.opens());
            gate.record(true, 50.0);
            assert!(!gate.opens());
        }
    }

    #[test]
    fn a_gate_stays_open_while_it_gains_and_forgives_a_hiccup() {
        let mut gate = Gate { pause: 0, alone: Some(1.0), ..Gate::default() };
        (0..50).for_each(|_| gate.record(true, 0.6));
        gate.record(true, 3.0);
        assert!(gate.opens());
        (0..50).for_each(|_| gate.record(true, 1.2));
        assert!(!gate.opens());
    }
}
