//! An evaluation with a camera.

use super::{Algorithm, EvaluateRequest, Evaluator};
use crate::error::Error;
use crate::evaluate::Evaluation;
use crate::film::Film;

impl Algorithm {
    /// As [`evaluate`](Self::evaluate), and films the first `episodes` episodes of its list. The episodes are the same,
    /// to the bit, with and without a camera.
    ///
    /// # Errors
    /// As `evaluate`; an environment that does not draw itself.
    pub fn evaluate_filmed(
        &mut self,
        request: &EvaluateRequest,
        episodes: usize,
    ) -> Result<(Evaluation, Film), Error> {
        let (duration, root) = self.evaluation_of(request);
        // Evaluator and camera serve this evaluation only: a later one has nothing to pay for pictures.
        let (mut evaluator, film) = Evaluator::filmed(
            &*self.config,
            &self.plan,
            self.parts.learners.policies(),
            duration,
            &self.workers,
            &self.callbacks,
            episodes,
        )?;
        let normalizers = self.parts.runner.lock().normalizers().clone();
        let policies = self.parts.learners.policies();
        let evaluation = evaluator.run(policies, &normalizers, root, duration, request.explore)?;
        Ok((evaluation, film))
    }
}
