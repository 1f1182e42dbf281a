//! The guard against NaN and infinity: found where they are written, not where they hurt.

use std::fmt;

use super::declaration::Declaration;
use super::error::PipelineError;
use super::middleware::Flow;
use super::slot::Slot;
use super::wrapper::{Next, Wrapper};

/// Values that can be searched for numbers that are not finite.
pub trait Finite {
    /// The first one, as text that says where it is and what it is; `None` if all are finite.
    fn find_non_finite(&self) -> Option<String>;
}

macro_rules! finite_float {
    ($($float:ty),*) => {$(
        impl Finite for $float {
            fn find_non_finite(&self) -> Option<String> {
                (!self.is_finite()).then(|| format!("{self}"))
            }
        }

        impl Finite for [$float] {
            fn find_non_finite(&self) -> Option<String> {
                let index = self.iter().position(|x| !x.is_finite())?;
                Some(format!("element {index} of {} is {}", self.len(), self[index]))
            }
        }

        impl Finite for Vec<$float> {
            fn find_non_finite(&self) -> Option<String> {
                self.as_slice().find_non_finite()
            }
        }
    )*};
}

finite_float!(f32, f64);

impl<T: Finite> Finite for Option<T> {
    fn find_non_finite(&self) -> Option<String> {
        self.as_ref()?.find_non_finite()
    }
}

/// Searches the registered slots after every half that writes them; the error names the stage that wrote the value.
///
/// ```
/// # use skirl::pipeline::{FiniteGuard, Slot};
/// # const ADVANTAGES: Slot<Vec<f32>> = Slot::iteration("advantages");
/// # struct Sample { rewards: Vec<f32> }
/// # const SAMPLE: Slot<Sample> = Slot::iteration("sample");
/// use skirl::pipeline::Finite;
/// let guard = FiniteGuard::new()
///     .check(ADVANTAGES)
///     .check_with(SAMPLE, |sample| Some(format!("rewards: {}", sample.rewards.find_non_finite()?)));
/// # let _ = guard;
/// ```
#[derive(Default)]
pub struct FiniteGuard {
    checks: Vec<Box<dyn Check>>,
}

impl FiniteGuard {
    /// A guard that checks nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Checks a slot whose type says itself whether it is finite.
    #[must_use]
    pub fn check<T: Finite + Send + 'static>(self, slot: Slot<T>) -> Self {
        self.check_with(slot, T::find_non_finite)
    }

    /// Checks a slot with a function that returns the first number that is not finite, as text.
    #[must_use]
    pub fn check_with<T: Send + 'static>(mut self, slot: Slot<T>, find: fn(&T) -> Option<String>) -> Self {
        self.checks.push(Box::new(SlotCheck { slot, find }));
        self
    }
}

impl Wrapper for FiniteGuard {
    fn name(&self) -> &'static str {
        "finite guard"
    }

    fn declare(&self, slots: &mut Declaration) {
        for check in &self.checks {
            check.declare(slots);
        }
    }

    fn around(&mut self, next: &mut Next<'_, '_>) -> Result<Flow, PipelineError> {
        let flow = next.run()?;
        self.checks.iter().try_for_each(|check| check.after(next))?;
        Ok(flow)
    }
}

impl fmt::Debug for FiniteGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FiniteGuard({} checks)", self.checks.len())
    }
}

trait Check: Send {
    fn declare(&self, slots: &mut Declaration);
    fn after(&self, next: &Next<'_, '_>) -> Result<(), PipelineError>;
}

struct SlotCheck<T> {
    slot: Slot<T>,
    find: fn(&T) -> Option<String>,
}

impl<T: Send + 'static> Check for SlotCheck<T> {
    fn declare(&self, slots: &mut Declaration) {
        slots.reads(self.slot);
    }

    fn after(&self, next: &Next<'_, '_>) -> Result<(), PipelineError> {
        if !next.writes(self.slot) {
            return Ok(());
        }
        match next.get(self.slot).and_then(self.find) {
            Some(found) => Err(PipelineError::NotFinite {
                stage: next.stage().to_owned(),
                slot: self.slot.name(),
                found,
            }),
            None => Ok(()),
        }
    }
}
