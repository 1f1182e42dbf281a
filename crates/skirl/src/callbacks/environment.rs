//! One environment as hooks see it.

use skirl_env::{LiveEnv, MultiAgentEnv, VectorEnv};

/// One environment, to look at and to change.
pub struct Environment<'a> {
    index: usize,
    in_evaluation: bool,
    access: Access<'a>,
}

enum Access<'a> {
    Vector { env: &'a mut dyn VectorEnv, row: usize },
    MultiAgent(&'a mut dyn MultiAgentEnv),
}

impl<'a> Environment<'a> {
    pub(crate) fn of_vector(
        env: &'a mut dyn VectorEnv,
        row: usize,
        first_env: usize,
        in_evaluation: bool,
    ) -> Self {
        Self { index: first_env + row, in_evaluation, access: Access::Vector { env, row } }
    }

    pub(crate) fn of_multi_agent(env: &'a mut dyn MultiAgentEnv, index: usize, in_evaluation: bool) -> Self {
        Self { index, in_evaluation, access: Access::MultiAgent(env) }
    }

    /// Index among all environments of training, or of evaluation.
    #[must_use]
    pub fn index(&self) -> usize {
        self.index
    }

    /// Whether it is one of evaluation's.
    #[must_use]
    pub fn in_evaluation(&self) -> bool {
        self.in_evaluation
    }

    /// The environments that this one steps with, and its place among them; `None` with several agents.
    ///
    /// `step` and `reset` belong to the runner, which does not see what they return to others.
    pub fn vector(&mut self) -> Option<(&mut dyn VectorEnv, usize)> {
        match &mut self.access {
            Access::Vector { env, row } => Some((&mut **env, *row)),
            Access::MultiAgent(_) => None,
        }
    }

    /// The environment as [`foreach_env`](crate::Algorithm::foreach_env) hands it out: to reach it by its type. A task that
    /// is set here is not remembered for checkpoints; one set with `foreach_env` is.
    pub fn live(&mut self) -> LiveEnv<'_> {
        match &mut self.access {
            Access::Vector { env, row } => LiveEnv::among(&mut **env, *row),
            Access::MultiAgent(env) => LiveEnv::multi(&mut **env),
        }
    }

    /// The environment, where it has several agents.
    pub fn multi_agent(&mut self) -> Option<&mut dyn MultiAgentEnv> {
        match &mut self.access {
            Access::Vector { .. } => None,
            Access::MultiAgent(env) => Some(&mut **env),
        }
    }
}

impl std::fmt::Debug for Environment<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Environment")
            .field("index", &self.index)
            .field("in_evaluation", &self.in_evaluation)
            .finish_non_exhaustive()
    }
}
