//! Recorded runs of an environment under random actions.

use super::{Check, Finding};
use crate::column::{Column, column_muts, column_refs};
use crate::env::{Env, Step};
use crate::row::{Row, RowRef};
use crate::seeding::Generator;

/// One reset or step.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Moment {
    pub(super) observation: Vec<Column>,
    /// `None` after a reset.
    pub(super) step: Option<Step>,
}

impl Moment {
    /// Equality of bits: NaN equals NaN, so that a NaN is reported as a NaN and not as a difference.
    pub(super) fn same(&self, other: &Moment) -> bool {
        let bits = |moment: &Moment| {
            moment.step.map(|step| (step.reward.to_bits(), step.terminated, step.truncated))
        };
        let bytes = |moment: &Moment| moment.observation.iter().map(Column::to_le_bytes).collect::<Vec<_>>();
        bits(self) == bits(other) && bytes(self) == bytes(other)
    }
}

/// Runs an environment, choosing random actions.
pub(super) struct Player<'e> {
    pub(super) env: &'e mut dyn Env,
    pub(super) rng: Generator,
    /// Bits that observation buffers hold before the environment writes to them.
    fill: u8,
    pub(super) ended: bool,
}

impl<'e> Player<'e> {
    pub(super) fn new(env: &'e mut dyn Env, seed: u64) -> Player<'e> {
        Player { env, rng: Generator::seeded(seed), fill: 0, ended: false }
    }

    /// Fills observation buffers with another pattern than usual.
    pub(super) fn with_fill(mut self, fill: u8) -> Player<'e> {
        self.fill = fill;
        self
    }

    pub(super) fn reset(&mut self, seed: Option<u64>) -> Result<Moment, Finding> {
        let mut observation = self.buffers();
        self.ended = false;
        self.env
            .reset(seed, &mut Row::new(column_muts(&mut observation)))
            .map_err(|error| Finding::failed("reset", &error))?;
        Ok(Moment { observation, step: None })
    }

    /// One step with a random action.
    pub(super) fn step(&mut self) -> Result<Moment, Finding> {
        let space = self.env.action_space();
        let mut action = space.columns(1);
        space.sample(&mut self.rng, &mut column_muts(&mut action), 0);
        let mut observation = self.buffers();
        let action = RowRef::new(column_refs(&action));
        let step = self
            .env
            .step(&action, &mut Row::new(column_muts(&mut observation)))
            .map_err(|error| Finding::failed(&format!("step with action {action}"), &error))?;
        self.ended = step.ended();
        Ok(Moment { observation, step: Some(step) })
    }

    /// `steps` steps, resetting without a seed after every end.
    pub(super) fn run(&mut self, steps: usize) -> Result<Vec<Moment>, Finding> {
        let mut moments = Vec::with_capacity(steps);
        for _ in 0..steps {
            if self.ended {
                moments.push(self.reset(None)?);
            }
            moments.push(self.step()?);
        }
        Ok(moments)
    }

    /// A reset with a seed, then `steps` steps.
    pub(super) fn run_from(&mut self, seed: u64, steps: usize) -> Result<Vec<Moment>, Finding> {
        let mut moments = vec![self.reset(Some(seed))?];
        moments.extend(self.run(steps)?);
        Ok(moments)
    }

    fn buffers(&self) -> Vec<Column> {
        let leaves = self.env.observation_space().leaves();
        let filled = |leaf: &crate::space::Leaf| {
            let bytes = vec![self.fill; leaf.size() * leaf.dtype.size()];
            Column::from_le_bytes(leaf.dtype, &bytes).unwrap_or_else(|| leaf.column(1))
        };
        leaves.iter().map(filled).collect()
    }
}

/// Index of the first moment that differs.
pub(super) fn first_difference(left: &[Moment], right: &[Moment]) -> Option<usize> {
    left.iter().zip(right).position(|(left, right)| !left.same(right))
}

/// A finding if two runs differ.
pub(super) fn compare(left: &[Moment], right: &[Moment], check: Check, message: &str) -> Option<Finding> {
    first_difference(left, right).map(|at| {
        let describe = |moment: &Moment| {
            let observation = RowRef::new(column_refs(&moment.observation)).to_string();
            let reward = moment.step.map_or(String::new(), |step| format!(", reward {}", step.reward));
            format!("{observation}{reward}")
        };
        let (left, right) = (describe(&left[at]), describe(&right[at]));
        Finding::error(
            check,
            format!("{message} (first difference after {at} resets and steps: {left} against {right})"),
        )
    })
}
