//! What a user's loop or callback changes in a running algorithm: its environments and the shared state.

use skirl_env::{EnvError, LiveEnv, SharedState};

use super::Algorithm;
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
    /// otherwise; it is saved in checkpoints. The environments of evaluation are others: they are told apart in
    /// `evaluation_config.env_config`.
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
