//! Constants and piecewise-linear schedules over environment steps, with RLlib's meaning:
//! `[[0, v0], [t1, v1], …]`, linear between the points, the last value held for ever.

use std::error::Error;
use std::fmt;

/// One point of a schedule.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point {
    /// Environment steps sampled in the run's lifetime.
    pub env_steps: u64,
    /// Value to reach there.
    pub value: f64,
}

/// A value that may change over the run's lifetime.
#[derive(Debug, Clone, PartialEq)]
pub struct Schedule {
    points: Vec<Point>,
}

/// Why a schedule is refused.
#[derive(Debug, Clone, PartialEq)]
pub enum ScheduleError {
    /// Fewer than two points.
    TooFewPoints {
        /// How many there are.
        found: usize,
    },
    /// The first point is not at step 0.
    FirstNotZero {
        /// Where it is.
        found: u64,
    },
    /// A point is not later than the one before it.
    NotIncreasing {
        /// Position in the list, from 0.
        index: usize,
        /// Steps of the point before.
        previous: u64,
        /// Steps of this point.
        found: u64,
    },
    /// A value is NaN or infinite.
    NotFinite {
        /// Position in the list, from 0.
        index: usize,
        /// The value.
        found: f64,
    },
}

impl fmt::Display for ScheduleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooFewPoints { found } => write!(
                f,
                "a schedule needs two points or more, found {found}: write [[0, 0.001], [1000000, 0.0001]], or a plain \
                 number for a constant"
            ),
            Self::FirstNotZero { found } => {
                write!(
                    f,
                    "the first point of a schedule must be at step 0, found step {found}: put [0, value] first"
                )
            }
            Self::NotIncreasing { index, previous, found } => write!(
                f,
                "point {index} of the schedule is at step {found}, not later than step {previous} before it: put the \
                 points in increasing order of step"
            ),
            Self::NotFinite { index, found } => {
                write!(f, "point {index} of the schedule has the value {found}; expected a finite number")
            }
        }
    }
}

impl Error for ScheduleError {}

impl Schedule {
    /// The same value for ever.
    ///
    /// # Errors
    /// The value is not finite.
    pub fn constant(value: f64) -> Result<Self, ScheduleError> {
        check_finite(0, value)?;
        Ok(Self { points: vec![Point { env_steps: 0, value }] })
    }

    /// Linear between the points, the last value held after the last point.
    ///
    /// # Errors
    /// Fewer than two points, the first not at step 0, steps not increasing, a value not finite.
    pub fn piecewise_linear(points: Vec<Point>) -> Result<Self, ScheduleError> {
        if points.len() < 2 {
            return Err(ScheduleError::TooFewPoints { found: points.len() });
        }
        if points[0].env_steps != 0 {
            return Err(ScheduleError::FirstNotZero { found: points[0].env_steps });
        }
        for (index, point) in points.iter().enumerate() {
            check_finite(index, point.value)?;
            if index > 0 && point.env_steps <= points[index - 1].env_steps {
                let (previous, found) = (points[index - 1].env_steps, point.env_steps);
                return Err(ScheduleError::NotIncreasing { index, previous, found });
            }
        }
        Ok(Self { points })
    }

    /// Whether the value never changes.
    pub fn is_constant(&self) -> bool {
        self.points.len() == 1
    }

    /// The points; one for a constant.
    pub fn points(&self) -> &[Point] {
        &self.points
    }

    /// The value after `env_steps` steps.
    pub fn value(&self, env_steps: u64) -> f64 {
        let after = self.points.partition_point(|p| p.env_steps <= env_steps);
        // The first point is at step 0, so at least one point is not after `env_steps`.
        let from = self.points[after - 1];
        let Some(to) = self.points.get(after) else { return from.value };
        let fraction = (env_steps - from.env_steps) as f64 / (to.env_steps - from.env_steps) as f64;
        from.value + fraction * (to.value - from.value)
    }
}

fn check_finite(index: usize, found: f64) -> Result<(), ScheduleError> {
    if found.is_finite() { Ok(()) } else { Err(ScheduleError::NotFinite { index, found }) }
}
