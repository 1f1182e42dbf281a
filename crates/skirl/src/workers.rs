//! The threads of a run.
//!
//! A pool of exactly the configured number of threads, each with flush-to-zero set: subnormal numbers cost a hundred
//! times a normal one, and they appear in every long training run. Idle threads look out for work for a moment and then
//! sleep. Work is cut into pieces whose results do not depend on who ran them, so whether several threads take part
//! is free to change from call to call: a [`Gate`] tries, measures, and stays with what is faster. A neighbour that
//! keeps the second core busy then costs little.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use skirl_nn::FlushDenormals;

use crate::error::Error;

/// Threads that share the work of one run; with one thread everything runs on the caller.
#[derive(Debug)]
pub struct Workers {
    pool: Option<rayon::ThreadPool>,
    num_threads: usize,
    /// Threads that look out for work and do not sleep yet.
    lookouts: Arc<AtomicUsize>,
    /// The clock of the gates starts here.
    started: Instant,
    /// Nanoseconds since then until which no gate opens: a neighbour on the machine holds up our threads.
    crowded_until: AtomicU64,
}

/// How long a thread looks out for the next piece of work before it sleeps. Between two minibatches a few microseconds
/// pass; waking a sleeping thread costs more than that.
const LOOK_OUT: Duration = Duration::from_micros(20);

impl Workers {
    /// `num_threads` ≥ 1; with 1 no thread is started.
    pub fn new(num_threads: usize) -> Result<Self, Error> {
        let pool = if num_threads > 1 { Some(build_pool(num_threads)?) } else { None };
        Ok(Self {
            pool,
            num_threads: num_threads.max(1),
            lookouts: Arc::default(),
            started: Instant::now(),
            crowded_until: AtomicU64::new(0),
        })
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
        let started = self.started.elapsed();
        let crowded = started.as_nanos() < u128::from(self.crowded_until.load(Ordering::Relaxed));
        let together = !crowded && gate.opens(started.as_secs_f64());
        if together {
            self.look_out(pool, items.len());
        }
        match (together, pool.current_thread_index().is_some()) {
            (true, true) => split(items, 0, &work),
            (true, false) => pool.install(|| split(items, 0, &work)),
            (false, true) => one_after_the_other(items, &work),
            (false, false) => pool.install(|| one_after_the_other(items, &work)),
        }
        let now = self.started.elapsed();
        let call = Call { cost: cost.max(1) as f64, seconds: now.saturating_sub(started).as_secs_f64() };
        if let Some(until) = gate.record(together, call, now.as_secs_f64()) {
            self.crowded_until.fetch_max((until * 1e9) as u64, Ordering::Relaxed);
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
/// Starts with a few calls on one thread to know their cost, then tries a few together. Seconds gained and lost against one
/// thread are weighed up: while the balance is not negative it goes on. Where it is, the gate closes for many times the
/// time that was lost, and for longer every time, so that tries cost a few percent at most even beside a neighbour that
/// keeps a core busy.
#[derive(Debug, Clone)]
pub struct Gate {
    /// Seconds for a unit of cost on one thread, smoothed.
    alone: Option<f64>,
    /// Calls made together since the gate opened.
    calls: u32,
    /// Seconds gained by them, less those lost; at most [`CREDIT`].
    balance: f64,
    /// Calls until the first try.
    first_calls: u32,
    /// When the gate may open again, in seconds.
    closed_until: f64,
    /// How much longer the next pause is than the first would be.
    longer: f64,
}

/// One call: how much work, how long it took.
#[derive(Debug, Clone, Copy)]
struct Call {
    cost: f64,
    seconds: f64,
}

/// Calls on one thread before the first try.
const FIRST_CALLS: u32 = 3;
/// Calls of a try that only a hold-up can end.
const TRY_CALLS: u32 = 6;
/// A call this many times as slow as alone was held up: one of its threads had to wait for a core.
const HELD_UP: f64 = 3.0;
/// The same for the call that wakes the sleeping threads.
const SLOW_WAKING: f64 = 8.0;
/// Gains beyond these seconds, about a time slice, do not count: a neighbour who came just now is to be noticed soon.
const CREDIT: f64 = 4e-3;
/// The first pause, in units of the seconds lost.
const PAUSE_PER_LOSS: f64 = 20.0;
/// Shortest pause, in seconds.
const SHORTEST_PAUSE: f64 = 2e-3;
/// Factor between one pause and the next.
const LONGER: f64 = 4.0;
/// Limit of the product of these factors.
const LONGEST: f64 = 64.0;
/// Weight of a new measurement.
const SMOOTHING: f64 = 0.1;

impl Default for Gate {
    fn default() -> Self {
        Self { alone: None, calls: 0, balance: 0.0, first_calls: FIRST_CALLS, closed_until: 0.0, longer: 1.0 }
    }
}

impl Gate {
    fn opens(&self, now: f64) -> bool {
        self.first_calls == 0 && now >= self.closed_until
    }

    /// Takes note of a call that ended `now`. If a thread was held up: until when nothing should be shared out.
    fn record(&mut self, together: bool, call: Call, now: f64) -> Option<f64> {
        let Some(alone) = self.alone.filter(|_| together) else {
            self.first_calls = self.first_calls.saturating_sub(1);
            self.alone = Some(smooth(self.alone, call.seconds / call.cost));
            return None;
        };
        let alone = alone * call.cost;
        let limit = if self.calls == 0 { SLOW_WAKING } else { HELD_UP };
        let held_up = call.seconds > limit * alone;
        self.calls += 1;
        self.balance = (self.balance + alone - call.seconds).min(CREDIT);
        if self.balance >= CREDIT {
            self.longer = 1.0;
        }
        if self.balance >= 0.0 || (self.calls <= TRY_CALLS && !held_up) {
            return None;
        }
        self.close(now);
        held_up.then_some(self.closed_until)
    }

    fn close(&mut self, now: f64) {
        self.closed_until = now + self.longer * (PAUSE_PER_LOSS * -self.balance).max(SHORTEST_PAUSE);
        self.longer = (self.longer * LONGER).min(LONGEST);
        (self.balance, self.calls) = (0.0, 0);
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

    /// A call of cost 1 that takes `seconds`.
    fn record(gate: &mut Gate, together: bool, seconds: f64, now: f64) -> Option<f64> {
        gate.record(together, Call { cost: 1.0, seconds }, now)
    }

    fn open_gate() -> Gate {
        Gate { first_calls: 0, alone: Some(1e-4), ..Gate::default() }
    }

    #[test]
    fn a_gate_opens_after_it_knows_the_cost_and_closes_ever_longer() {
        let mut gate = Gate::default();
        for _ in 0..FIRST_CALLS {
            assert!(!gate.opens(0.0));
            record(&mut gate, false, 1e-3, 0.0);
        }
        let mut now = 0.0;
        for longer in [1.0, LONGER, LONGER * LONGER] {
            assert!(gate.opens(now));
            // Waking up does not end a try; a thread that is held up does, and everybody is told.
            assert_eq!(record(&mut gate, true, 5e-3, now), None);
            assert!(gate.opens(now));
            let until = record(&mut gate, true, 50e-3, now).unwrap();
            assert!((until - now - longer * PAUSE_PER_LOSS * (4e-3 + 49e-3)).abs() < 1e-9);
            assert!(!gate.opens(until - 0.1) && gate.opens(until));
            now = until;
        }
    }

    #[test]
    fn a_gate_stays_open_while_it_gains_and_forgives_what_the_gain_pays_for() {
        let mut gate = open_gate();
        (0..100).for_each(|_| assert_eq!(record(&mut gate, true, 0.6e-4, 0.0), None));
        record(&mut gate, true, 3e-3, 0.0);
        assert!(gate.opens(0.0));
        (0..100).for_each(|_| assert_eq!(record(&mut gate, true, 1.2e-4, 0.0), None));
        assert!(!gate.opens(0.0));
    }

    #[test]
    fn tries_cost_a_few_percent_at_most() {
        // Every try holds up a thread for a time slice; or it gains nothing.
        for together in [4e-3, 1.1e-4] {
            let mut gate = open_gate();
            let (mut now, mut alone) = (0.0, 0.0);
            while now < 1.0 {
                let shared = gate.opens(now);
                let seconds = if shared { together } else { 1e-4 };
                record(&mut gate, shared, seconds, now + seconds);
                (now, alone) = (now + seconds, alone + 1e-4);
            }
            assert!(alone / now > 0.97, "{}", alone / now);
        }
    }
}
