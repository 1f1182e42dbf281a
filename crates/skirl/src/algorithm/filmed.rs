//! An evaluation with a camera.

use super::{Algorithm, EvaluateRequest, Evaluator};
use crate::callbacks::Hook;
use crate::error::Error;
use crate::evaluate::Evaluation;
use crate::film::Film;

impl Algorithm {
    /// As [`evaluate`](Self::evaluate), and films the first `episodes` episodes of its list (of environment 0, where
    /// `evaluation_duration_unit` counts steps). The episodes are the same, to the bit, with and without a camera. A
    /// `custom_evaluation_function` is not asked.
    ///
    /// # Errors
    /// As `evaluate`; an environment that does not draw itself.
    pub fn evaluate_filmed(
        &mut self,
        request: &EvaluateRequest,
        episodes: usize,
    ) -> Result<(Evaluation, Film), Error> {
        self.call_hook(Hook::EvaluateStart, |each, algorithm| each.on_evaluate_start(algorithm))?;
        let task = self.evaluation_task(request);
        let duration = task.duration;
        // Evaluator and camera serve this evaluation only: a later one has nothing to pay for pictures.
        let policies = self.parts.learners.policies();
        let parts = self.evaluator_parts(&self.workers);
        let (mut evaluator, film) = Evaluator::filmed(parts, policies, duration, episodes)?;
        evaluator.set_tasks(&self.evaluation_tasks)?;
        evaluator.prepare(task)?;
        let evaluation = evaluator.play(duration, &|| true)?;
        evaluator.commit()?;
        self.count_episodes(&evaluator);
        Ok((self.end_evaluation(evaluation)?, film))
    }
}
