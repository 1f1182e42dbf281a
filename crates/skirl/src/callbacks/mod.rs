//! Callbacks: a user's own code at fixed points of a run, called *hooks*. The page is `docs/callbacks.md`.
//!
//! ```
//! use skirl::Algorithm;
//! use skirl::callbacks::{CallbackFns, CallbackList};
//! use skirl::config::PpoConfig;
//!
//! let speed = CallbackFns::new("speed")
//!     .on_episode_step(|episode| {
//!         let speed = episode.observation(0).map_or(0.0, |cart| f64::from(cart[1].abs()));
//!         let fastest = episode.custom_metrics.entry("fastest".to_owned()).or_insert(0.0);
//!         *fastest = fastest.max(speed);
//!         Ok(())
//!     })
//!     .on_train_result(|algorithm, result| {
//!         result.set("iterations_squared", algorithm.training_iteration().pow(2));
//!         Ok(())
//!     });
//! let config = PpoConfig::new().environment("CartPole-v1").training(|t| t.train_batch_size(256).num_epochs(1));
//! let mut ppo = Algorithm::build_with(Box::new(config), CallbackList::new().with(speed))?;
//! let result = ppo.train()?;
//! assert!(result.get("env_runners/custom_metrics/fastest_max").is_some());
//! assert_eq!(result.get("iterations_squared"), Some(1.0));
//! # Ok::<(), skirl::Error>(())
//! ```
//!
//! This room names types of all others, because it hands them to the user's code; the rooms that are before it in the
//! walk only call [`CallbackList`]. Without callbacks the engine does what it did before: the hot loops look at one
//! `Option` for each environment step.

mod environment;
mod episode;
mod error;
mod hooks;
mod learn_on_batch;
mod list;
mod recreated;
mod registry;
mod trajectory;

pub use environment::Environment;
pub use episode::{Episode, EpisodeHooks};
pub use error::{CallbackError, Place};
pub use hooks::{CallbackFns, Callbacks, Hook, HookResult, HookSet};
pub use list::CallbackList;
pub use recreated::RecreatedRunners;
pub use registry::{register_callbacks, registered_callbacks};
pub use trajectory::Trajectory;

pub(crate) use episode::Moment;
pub(crate) use learn_on_batch::LearnOnBatch;
pub(crate) use recreated::Told;
pub(crate) use registry::complete;
pub(crate) use trajectory::postprocess;
