//! The hooks: one table, from which the trait, the set and the form for closures are made.

use std::any::Any;
use std::error::Error;
use std::path::Path;

use serde_json::{Map, Value};

use super::{Environment, Episode, RecreatedRunners, Trajectory};
use crate::Algorithm;
use crate::contract::Rollout;
use crate::evaluate::Evaluation;
use crate::learn::Batch;
use crate::report::TrainResult;

/// What a hook returns; any error ends the run with [`Error::Callback`](crate::Error::Callback).
pub type HookResult = Result<(), Box<dyn Error + Send + Sync>>;

macro_rules! hooks {
    ($($(#[doc = $doc:literal])+ $hook:ident => $method:ident($($argument:ident: $type:ty),+);)+) => {
        /// A point of a run at which callbacks are called.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Hook {
            $($(#[doc = $doc])+ $hook,)+
        }

        impl Hook {
            /// Every hook.
            pub const ALL: &'static [Self] = &[$(Self::$hook),+];

            /// Its name, which is the method's.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$hook => stringify!($method),)+
                }
            }
        }

        /// A user's own code, called at the hooks that it implements.
        ///
        /// Methods take `&self`, and implementors are `Sync`: a hook may call back into the algorithm (evaluate from
        /// [`on_train_result`](Self::on_train_result)), which calls other hooks of the same callbacks meanwhile; and
        /// evaluation may run beside training. What belongs to an episode goes into its `user_data`, which is saved with
        /// it; other state needs a `Mutex` or an atomic, and [`save_state`](Self::save_state).
        ///
        /// An error or a panic ends the run with an error that names callbacks, hook, episode and step; what was
        /// learned before is saved.
        pub trait Callbacks: Send + Sync {
            /// The name in errors, in the configuration and in checkpoints; unique in a run.
            fn name(&self) -> &str;

            /// The hooks that are called. All of them by default: naming the ones that are implemented saves the work
            /// for the others. With hooks of episodes, one thread steps all environments.
            fn hooks(&self) -> HookSet {
                HookSet::ALL
            }

            /// State of its own that goes into checkpoints, so that a resumed run goes on exactly.
            ///
            /// # Errors
            /// Any error: the checkpoint is not written then.
            fn save_state(&self) -> Result<Option<Value>, Box<dyn Error + Send + Sync>> {
                Ok(None)
            }

            /// Takes back what [`save_state`](Self::save_state) gave; called before
            /// [`on_checkpoint_loaded`](Self::on_checkpoint_loaded).
            fn restore_state(&self, state: &Value) -> HookResult {
                let _ = state;
                Ok(())
            }

            /// Itself by its type, for a program that makes its like in the processes of environments.
            fn as_any(&self) -> Option<&dyn Any> {
                None
            }

            /// What it keeps with a running episode of training elsewhere than in the episode's `user_data`. It goes there
            /// before that is saved, and it is for [`on_episode_step`](Self::on_episode_step) and the others to take it back.
            ///
            /// # Errors
            /// Any error: the checkpoint is not written then.
            fn episode_data(&self, id: u64) -> Result<Map<String, Value>, Box<dyn Error + Send + Sync>> {
                let _ = id;
                Ok(Map::new())
            }

            /// Other episodes follow than those that ran: a saved state was put back.
            fn forget_episodes(&self) {}

            /// Takes what the same callbacks logged in processes of environments since the last call: a text of each.
            fn take_logged(&self, in_evaluation: bool, logged: &[String]) -> HookResult {
                let _ = (in_evaluation, logged);
                Ok(())
            }

            $($(#[doc = $doc])+
            fn $method(&self, $($argument: $type),+) -> HookResult {
                $(let _ = $argument;)+
                Ok(())
            })+
        }

        /// [`Callbacks`] from closures: plain functions in place of a type.
        pub struct CallbackFns {
            name: String,
            $($method: Option<Box<dyn Fn($($type),+) -> HookResult + Send + Sync>>,)+
        }

        impl CallbackFns {
            /// No hooks yet.
            #[must_use]
            pub fn new(name: impl Into<String>) -> Self {
                Self { name: name.into(), $($method: None,)+ }
            }

            $($(#[doc = $doc])+
            #[must_use]
            pub fn $method(mut self, function: impl Fn($($type),+) -> HookResult + Send + Sync + 'static) -> Self {
                self.$method = Some(Box::new(function));
                self
            })+
        }

        impl Callbacks for CallbackFns {
            fn name(&self) -> &str {
                &self.name
            }

            fn hooks(&self) -> HookSet {
                let mut hooks = HookSet::NONE;
                $(if self.$method.is_some() {
                    hooks = hooks.and(Hook::$hook);
                })+
                hooks
            }

            $(fn $method(&self, $($argument: $type),+) -> HookResult {
                self.$method.as_ref().map_or(Ok(()), |function| function($($argument),+))
            })+
        }
    };
}

hooks! {
    /// The algorithm was built; nothing has been sampled.
    AlgorithmInit => on_algorithm_init(algorithm: &mut Algorithm);
    /// An environment was made and has not been reset: once for each environment of training when the algorithm is built,
    /// once for each of evaluation before the first evaluation (and where its number of environments changes).
    EnvironmentCreated => on_environment_created(environment: &mut Environment<'_>);
    /// An episode is about to begin: its environment is reset right after. No observation yet.
    EpisodeCreated => on_episode_created(episode: &mut Episode<'_>);
    /// The environment was reset; the first observation is there.
    EpisodeStart => on_episode_start(episode: &mut Episode<'_>);
    /// The environment made a step (also the last one of an episode).
    EpisodeStep => on_episode_step(episode: &mut Episode<'_>);
    /// The episode ended. Its `custom_metrics` are taken after this.
    EpisodeEnd => on_episode_end(episode: &mut Episode<'_>);
    /// One agent's rows of one episode in this rollout, before advantages are estimated: rewards, observations and values
    /// may be changed. In training only.
    PostprocessTrajectory => on_postprocess_trajectory(trajectory: &mut Trajectory);
    /// A rollout is complete, after all its trajectories. Columns may be changed, their lengths may not; one end row
    /// stays after each row without successor, of value 0 where the episode terminated. In training only.
    SampleEnd => on_sample_end(sample: &mut Rollout);
    /// The rows of a module with advantages and value targets, before the first update with them. Everything may be
    /// changed; rows may be added or left out as long as all columns agree.
    LearnOnBatch => on_learn_on_batch(module: &str, batch: &mut Batch);
    /// An evaluation is about to begin.
    EvaluateStart => on_evaluate_start(algorithm: &mut Algorithm);
    /// An evaluation ended; numbers added to `evaluation.extra` are reported under `evaluation/`.
    EvaluateEnd => on_evaluate_end(algorithm: &mut Algorithm, evaluation: &mut Evaluation);
    /// The result of an iteration, which may be changed before stop criteria and sinks see it.
    TrainResult => on_train_result(algorithm: &mut Algorithm, result: &mut TrainResult);
    /// Environment runners failed in the rollout before and were replaced; their environments started new episodes. Called
    /// after what was learned from that rollout; of evaluation's runners, after the evaluation.
    EnvRunnersRecreated => on_env_runners_recreated(algorithm: &mut Algorithm, recreated: &RecreatedRunners);
    /// A checkpoint was written completely.
    CheckpointSaved => on_checkpoint_saved(algorithm: &Algorithm, path: &Path);
    /// A checkpoint was loaded into the algorithm.
    CheckpointLoaded => on_checkpoint_loaded(algorithm: &mut Algorithm);
}

impl std::fmt::Debug for CallbackFns {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CallbackFns")
            .field("name", &self.name)
            .field("hooks", &self.hooks())
            .finish_non_exhaustive()
    }
}

/// Some of the hooks.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct HookSet(u32);

impl HookSet {
    /// No hook.
    pub const NONE: Self = Self(0);
    /// Every hook.
    pub const ALL: Self = Self::of(Hook::ALL);
    /// The hooks of episodes: with one of them, one thread steps all environments.
    pub const EPISODE: Self =
        Self::of(&[Hook::EpisodeCreated, Hook::EpisodeStart, Hook::EpisodeStep, Hook::EpisodeEnd]);
    /// The hooks that have an environment in hand: they are called where it is.
    pub const ENVIRONMENT: Self = Self::EPISODE.and(Hook::EnvironmentCreated);
    /// The hooks that see whole rollouts of training.
    pub const SAMPLE: Self = Self::of(&[Hook::PostprocessTrajectory, Hook::SampleEnd]);

    /// These hooks.
    #[must_use]
    pub const fn of(hooks: &[Hook]) -> Self {
        let (mut set, mut index) = (Self::NONE, 0);
        while index < hooks.len() {
            set = set.and(hooks[index]);
            index += 1;
        }
        set
    }

    /// The set with one more hook.
    #[must_use]
    pub const fn and(self, hook: Hook) -> Self {
        Self(self.0 | 1 << hook as u32)
    }

    /// The hooks of both sets.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether a hook is among them.
    #[must_use]
    pub const fn contains(self, hook: Hook) -> bool {
        self.0 & (1 << hook as u32) != 0
    }

    /// Whether one hook is in both sets.
    #[must_use]
    pub const fn meets(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
}

impl std::fmt::Debug for HookSet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names = Hook::ALL.iter().filter(|hook| self.contains(**hook)).map(|hook| hook.name());
        f.debug_set().entries(names).finish()
    }
}
