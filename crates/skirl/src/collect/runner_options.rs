//! How an environment runner collects.

use std::sync::Arc;

use skirl_env::SharedState;
use skirl_math::rng::StreamKey;

use super::action_codec::ActionRules;
use super::rewards::{RewardClip, RewardConnector};
use crate::callbacks::CallbackList;
use crate::config::{ClipRewards, CommonConfig, ObservationFilter};
use crate::contract::{DEFAULT_MODULE_ID, ModuleId};

/// Which module acts for an agent.
pub type PolicyMapping = Arc<dyn Fn(&str) -> ModuleId + Send + Sync>;

/// How a runner collects.
#[derive(Clone)]
pub struct RunnerOptions {
    /// Reward connector.
    pub rewards: RewardConnector,
    /// Module-to-env connector.
    pub actions: ActionRules,
    /// Draw actions, or take the most likely ones.
    pub explore: bool,
    /// Normalise observations, clipped to ± this.
    pub observation_clip: Option<f32>,
    /// Root of the runner's random streams.
    pub seed: StreamKey,
    /// Which module acts for an agent.
    pub mapping: PolicyMapping,
    /// The user's code.
    pub callbacks: CallbackList,
    /// Environments of this process that fail are made anew, and so many failures in a row are put right; `None` ends the run
    /// with the first.
    pub restart_failed_envs: Option<usize>,
    /// What environments share: nothing is left of a rollout that is done again.
    pub shared: SharedState,
    /// Plays for evaluation: callbacks are told so, and nobody rewrites what nobody learns from.
    pub in_evaluation: bool,
}

impl RunnerOptions {
    /// What the configuration says, with streams under `seed`.
    pub fn from_config(common: &CommonConfig, seed: StreamKey) -> Self {
        let (environment, runners) = (&common.environment, &common.env_runners);
        let clip = match environment.clip_rewards {
            ClipRewards::Off => RewardClip::Off,
            ClipRewards::Sign => RewardClip::Sign,
            ClipRewards::At(bound) => RewardClip::Bound(bound),
        };
        let faults = &common.fault_tolerance;
        let filter = runners.observation_filter == ObservationFilter::MeanStdFilter;
        let multi_agent = common.multi_agent.clone();
        Self {
            rewards: RewardConnector { scale: environment.reward_scale, clip },
            actions: ActionRules { normalize: environment.normalize_actions, clip: environment.clip_actions },
            explore: runners.explore,
            observation_clip: filter.then_some(runners.observation_filter_clip as f32),
            seed,
            // Agents without a policy were refused when the plan was made.
            mapping: Arc::new(move |agent| {
                multi_agent.policy_for(agent).unwrap_or(DEFAULT_MODULE_ID).to_owned()
            }),
            callbacks: CallbackList::new(),
            restart_failed_envs: faults
                .restart_failed_sub_environments
                .then_some(faults.num_consecutive_env_runner_failures_tolerance),
            shared: SharedState::new(),
            in_evaluation: false,
        }
    }
}

impl std::fmt::Debug for RunnerOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RunnerOptions").field("explore", &self.explore).finish_non_exhaustive()
    }
}
