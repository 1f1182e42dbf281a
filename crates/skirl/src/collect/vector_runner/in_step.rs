//! Several ranges on one thread: their environments share every forward.
//!
//! A forward of few rows costs nearly as much as one of twice as many. Ranges are cut for threads; where only one thread
//! works, they go on in step with each other as if they had never been cut. The bytes are the same: a row of a forward does
//! not depend on the rows beside it.

use skirl_nn::{Mat, Tape};

use super::{FORWARD_ROWS, Outputs, StepRules, VectorRunner};
use crate::error::Error;

/// What ranges that are stepped in step need beside their own.
#[derive(Debug, Default)]
pub struct InStep {
    tape: Option<Tape>,
    obs: Vec<f32>,
}

impl InStep {
    /// Whether all environments of these ranges fit into one forward.
    pub fn serves(num_envs: usize) -> bool {
        num_envs <= FORWARD_ROWS
    }

    /// Steps every environment of all ranges `steps` times, as [`VectorRunner::sample`] of each would.
    ///
    /// # Errors
    /// The first one of any range.
    pub fn sample(
        &mut self,
        runners: &mut [&mut VectorRunner],
        rules: &StepRules<'_>,
        steps: usize,
    ) -> Result<(), Error> {
        runners.iter_mut().for_each(|runner| runner.open(steps));
        for t in 0..steps {
            self.act(runners, rules, t)?;
            of_each(runners, |runner| runner.step_envs(rules, t))?;
        }
        of_each(runners, |runner| runner.close(rules, steps))
    }

    /// One forward for block `t` of all ranges.
    fn act(
        &mut self,
        runners: &mut [&mut VectorRunner],
        rules: &StepRules<'_>,
        t: usize,
    ) -> Result<(), Error> {
        self.obs.clear();
        runners.iter().for_each(|runner| self.obs.extend_from_slice(runner.block(t)));
        let rows = runners.iter().map(|runner| runner.num_envs).sum();
        let tape = match &mut self.tape {
            Some(tape) => tape,
            none => none.insert(rules.policy.net.tape(rows)),
        };
        let obs = Mat::new(&self.obs, rows, self.obs.len() / rows.max(1));
        rules.policy.net.forward(&[obs], None, tape)?;
        let outputs = Outputs::of(rules.policy, tape);
        let mut first = 0;
        of_each(runners, |runner| {
            let envs = runner.num_envs;
            first += envs;
            runner.draw(rules, t, 0..envs, outputs.rows(first - envs..first))
        })
    }
}

fn of_each(
    runners: &mut [&mut VectorRunner],
    mut work: impl FnMut(&mut VectorRunner) -> Result<(), Error>,
) -> Result<(), Error> {
    runners.iter_mut().try_for_each(|runner| work(runner))
}
