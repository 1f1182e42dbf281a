//! Several ranges on one thread: their environments share every forward.
//!
//! A forward of few rows costs nearly as much as one of twice as many. Ranges are cut for threads; where only one thread
//! works, they go on in step with each other as if they had never been cut. The bytes are the same: a row of a forward does
//! not depend on the rows beside it.

use skirl_nn::{Mat, Tape};

use super::{FORWARD_ROWS, StepRules, VectorRunner, values};
use crate::error::Error;

/// What ranges that are stepped in step need beside their own.
#[derive(Debug, Default)]
pub struct InStep {
    tape: Option<Tape>,
    obs: Vec<f32>,
}

/// A range, and how its work went.
type RangeAndOutcome<'a> = (&'a mut VectorRunner, &'a mut Result<(), Error>);

impl InStep {
    /// Whether all environments of these ranges fit into one forward.
    pub fn serves(num_envs: usize) -> bool {
        num_envs <= FORWARD_ROWS
    }

    /// Steps every environment of all ranges `steps` times, as [`VectorRunner::sample`] of each would: where one fails, the
    /// others go on.
    pub fn sample(&mut self, mut ranges: Vec<RangeAndOutcome<'_>>, rules: &StepRules<'_>, steps: usize) {
        ranges.iter_mut().for_each(|(_, outcome)| **outcome = Ok(()));
        of_each(&mut ranges, |runner| runner.open(steps));
        for t in 0..steps {
            if let Err(error) = self.act(&mut ranges, rules, t) {
                // What the network refuses it refuses for all.
                if let Some((_, outcome)) = ranges.first_mut() {
                    **outcome = Err(error);
                }
                return;
            }
            of_each(&mut ranges, |runner| runner.step_envs(rules, t));
        }
        of_each(&mut ranges, |runner| runner.close(rules, steps));
    }

    /// One forward for block `t` of all ranges.
    fn act(
        &mut self,
        ranges: &mut Vec<RangeAndOutcome<'_>>,
        rules: &StepRules<'_>,
        t: usize,
    ) -> Result<(), Error> {
        self.obs.clear();
        ranges.iter().for_each(|(runner, _)| self.obs.extend_from_slice(runner.block(t)));
        let rows = ranges.iter().map(|(runner, _)| runner.num_envs).sum();
        let tape = match &mut self.tape {
            Some(tape) => tape,
            none => none.insert(rules.policy.net.tape(rows)),
        };
        let obs = Mat::new(&self.obs, rows, self.obs.len() / rows.max(1));
        let outputs = values::act(rules.policy, obs, tape)?;
        let mut first = 0;
        of_each(ranges, |runner| {
            let envs = runner.num_envs;
            first += envs;
            runner.draw(rules, t, 0..envs, outputs.rows(first - envs..first))
        });
        Ok(())
    }
}

/// Does `work` for each range; those that fail are left out from then on.
fn of_each(
    ranges: &mut Vec<RangeAndOutcome<'_>>,
    mut work: impl FnMut(&mut VectorRunner) -> Result<(), Error>,
) {
    ranges.retain_mut(|(runner, outcome)| {
        let done = work(runner);
        let goes_on = done.is_ok();
        if !goes_on {
            **outcome = done;
        }
        goes_on
    });
}
