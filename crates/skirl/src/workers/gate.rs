//! Whether several threads take part in a piece of work, by what they gained so far.

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
pub(super) struct Call {
    pub(super) cost: f64,
    pub(super) seconds: f64,
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
    pub(super) fn opens(&self, now: f64) -> bool {
        self.first_calls == 0 && now >= self.closed_until
    }

    /// Takes note of a call that ended `now`. If a thread was held up: until when nothing should be shared out.
    pub(super) fn record(&mut self, together: bool, call: Call, now: f64) -> Option<f64> {
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
