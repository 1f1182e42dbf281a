//! What a user's loop or callback changes in a running algorithm: its environments and the shared state.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use skirl_env::{EnvError, LiveEnv, SharedState};

use super::{Algorithm, EvaluateRequest, Evaluator};
use crate::collect::ShardFaults;
use crate::error::Error;

impl Algorithm {
    /// Calls `visit(index, environment)` for every training environment, in order, and gathers what it returns: a
    /// curriculum, for example.
    ///
    /// ```no_run
    /// # let mut ppo = skirl::Algorithm::build(Box::new(skirl::config::PpoConfig::new())).unwrap();
    /// let result = ppo.train()?;
    /// if result.get("env_runners/episode_return_mean") > Some(100.0) {
    ///     ppo.foreach_env(|_, env| env.set_task(&serde_json::json!({ "phase": 1 })))?;
    /// }
    /// # Ok::<(), skirl::Error>(())
    /// ```
    /// Running episodes go on. A task takes effect at an environment's next reset, unless the environment does it
    /// otherwise; it is saved in checkpoints. The environments of evaluation are others:
    /// [`foreach_evaluation_env`](Self::foreach_evaluation_env).
    ///
    /// # Errors
    /// The first one that `visit` returns; the environments before it were visited, those after it were not.
    pub fn foreach_env<T>(
        &mut self,
        visit: impl FnMut(usize, &mut LiveEnv<'_>) -> Result<T, EnvError>,
    ) -> Result<Vec<T>, Error> {
        let visited = self.parts.runner.lock().foreach_env(visit);
        // Whatever the visits shared: nothing waits between two iterations, where checkpoints are written.
        self.plan.environment.shared.commit()?;
        visited
    }

    /// As [`foreach_env`](Self::foreach_env), for the environments of evaluation as configured, which are made now if they
    /// are not there yet. They begin fresh episodes with each evaluation. Tasks stay with them, whatever the length of the
    /// next evaluation, and are saved in checkpoints; what else is changed is gone where another length needs another number
    /// of environments.
    ///
    /// # Errors
    /// The first one that `visit` returns; environments that cannot be made; a call from within an own evaluation function,
    /// which has them in hand.
    pub fn foreach_evaluation_env<T>(
        &mut self,
        visit: impl FnMut(usize, &mut LiveEnv<'_>) -> Result<T, EnvError>,
    ) -> Result<Vec<T>, Error> {
        self.with_evaluator(|evaluator| evaluator.foreach_env(visit))?
    }

    /// The number of evaluation's environments as configured, and what their processes went through; `None` where they are
    /// stepped in this one. They are made now if they are not there yet.
    ///
    /// # Errors
    /// As [`foreach_evaluation_env`](Self::foreach_evaluation_env).
    pub fn evaluation_envs(&mut self) -> Result<(usize, Option<ShardFaults>), Error> {
        self.with_evaluator(|evaluator| (evaluator.runner_mut().num_envs(), evaluator.faults()))
    }

    fn with_evaluator<T>(&mut self, work: impl FnOnce(&mut Evaluator) -> T) -> Result<T, Error> {
        let name = &self.config.common().evaluation.custom_evaluation_function;
        if let (Some(name), None) = (name, &self.own_evaluation) {
            return Err(Error::Argument {
                what: "the environments of evaluation".to_owned(),
                expected: "a call between evaluations".to_owned(),
                found: format!("one from the evaluation function '{name}', which has them in hand"),
                remedy: "Use the environment runner that the function is given".to_owned(),
            });
        }
        let duration = self.evaluation_duration(&EvaluateRequest::default());
        let mut evaluator = self.take_evaluator(duration)?;
        // Kept also where a panic goes on to somebody who catches it.
        let worked = catch_unwind(AssertUnwindSafe(|| work(&mut evaluator)));
        self.keep_evaluator(evaluator);
        Ok(worked.unwrap_or_else(|panic| resume_unwind(panic)))
    }

    /// What the processes of the training environments went through since this process was started; `None` where they are
    /// stepped in this one.
    #[must_use]
    pub fn faults(&self) -> Option<ShardFaults> {
        self.parts.runner.lock().faults()
    }

    /// The state that this run's environments, callbacks and user share. What is changed here is seen by the environments
    /// from the next training step on.
    #[must_use]
    pub fn shared_state(&self) -> &SharedState {
        &self.shared
    }
}
