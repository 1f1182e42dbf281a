//! A neighbour on the machine: while one keeps the other cores busy, sharing work out costs a time slice at every try.
//!
//! Who was held up once waits, and then asks the system whether a core has been idle meanwhile. A try is made only if one
//! has. Where the system does not tell (anything but Linux), or the run has busy processes of its own, the end of the pause
//! is enough.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Idle time is counted in hundredths of a second: a look after this time sees five of them.
const SHORTEST_LOOK: Duration = Duration::from_millis(50);
/// Cores that must have been idle, on average, for a try to be worth it.
const ENOUGH: f64 = 0.5;

/// Whether a neighbour keeps the cores busy.
#[derive(Debug)]
pub(super) struct Crowd {
    started: Instant,
    /// Nanoseconds since `started` until which nothing is shared out.
    until: AtomicU64,
    /// The first look of the present pause; none while nobody was held up.
    first_look: Mutex<Option<Look>>,
    /// The run's own processes keep cores busy, while its threads wait for them: idle time says nothing.
    is_own: bool,
}

/// What all cores together had been idle for at one moment, in seconds.
#[derive(Debug, Clone, Copy)]
struct Look {
    at: Duration,
    idle: Option<f64>,
}

impl Crowd {
    pub(super) fn new() -> Self {
        Self {
            started: Instant::now(),
            until: AtomicU64::new(0),
            first_look: Mutex::new(None),
            is_own: false,
        }
    }

    /// For a run that has processes of its own beside it.
    pub(super) fn of_own_processes(&mut self) {
        self.is_own = true;
    }

    /// Time since the start, the clock of gates.
    pub(super) fn now(&self) -> Duration {
        self.started.elapsed()
    }

    /// A thread had to wait for a core: nothing should be shared out before `until` seconds.
    pub(super) fn held_up(&self, until: f64) {
        let until = Duration::from_secs_f64(until).max(self.now() + SHORTEST_LOOK);
        self.until.fetch_max(until.as_nanos() as u64, Ordering::Relaxed);
        *self.first_look.lock().unwrap_or_else(PoisonError::into_inner) = Some(self.look());
    }

    /// Whether to leave work on one thread `now`.
    pub(super) fn is_near(&self, now: Duration) -> bool {
        match self.until.load(Ordering::Relaxed) {
            0 => false,
            until if now.as_nanos() < u128::from(until) => true,
            _ => self.is_still_near(),
        }
    }

    /// The pause is over: either a core has been idle in it, or another one follows.
    fn is_still_near(&self) -> bool {
        let mut first_look = self.first_look.lock().unwrap_or_else(PoisonError::into_inner);
        let look = self.look();
        if first_look.is_some_and(|first| first.idle_cores_until(look) < ENOUGH) {
            *first_look = Some(look);
            self.until.store((look.at + SHORTEST_LOOK).as_nanos() as u64, Ordering::Relaxed);
            return true;
        }
        *first_look = None;
        self.until.store(0, Ordering::Relaxed);
        false
    }

    fn look(&self) -> Look {
        Look { at: self.now(), idle: idle_seconds().filter(|_| !self.is_own) }
    }
}

impl Look {
    /// Mean number of idle cores between two looks; all of them where nothing is known.
    fn idle_cores_until(self, later: Look) -> f64 {
        let elapsed = later.at.saturating_sub(self.at).as_secs_f64();
        match (self.idle, later.idle) {
            (Some(before), Some(after)) if elapsed > 0.0 => (after - before) / elapsed,
            _ => f64::INFINITY,
        }
    }
}

/// Seconds that the cores of this machine were idle since it started, summed.
fn idle_seconds() -> Option<f64> {
    parse_idle(&std::fs::read_to_string("/proc/stat").ok()?)
}

/// The fourth number of the line `cpu`, in hundredths of a second (proc_stat(5)).
fn parse_idle(stat: &str) -> Option<f64> {
    let mut fields = stat.lines().next()?.split_ascii_whitespace();
    (fields.next()? == "cpu").then_some(())?;
    Some(fields.nth(3)?.parse::<f64>().ok()? / 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn idle_time_is_the_fourth_number() {
        assert_eq!(parse_idle("cpu  10 20 30 4567 50 0 0\ncpu0 1 2 3 4\n"), Some(45.67));
        assert_eq!(parse_idle("intr 1 2 3 4"), None);
        assert_eq!(parse_idle(""), None);
    }

    #[test]
    fn a_pause_ends_when_a_core_has_been_idle() {
        let at = |ms: u64, idle: f64| Look { at: Duration::from_millis(ms), idle: Some(idle) };
        assert!(at(0, 10.0).idle_cores_until(at(100, 10.01)) < ENOUGH);
        assert!(at(0, 10.0).idle_cores_until(at(100, 10.09)) >= ENOUGH);
        let unknown = Look { at: Duration::ZERO, idle: None };
        assert!(unknown.idle_cores_until(at(100, 10.0)) >= ENOUGH);
    }

    #[test]
    fn who_was_held_up_waits_at_first() {
        let crowd = Crowd::new();
        assert!(!crowd.is_near(crowd.now()));
        crowd.held_up(0.0);
        assert!(crowd.is_near(crowd.now()));
    }
}
