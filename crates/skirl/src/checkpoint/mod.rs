//! Checkpoints: the whole state of a run in files that any language can read, and that survive a crash at any instant.
//!
//! ```text
//! checkpoints/
//!   LATEST                                     name of the newest one; replaced by rename, last of all
//!   BEST                                       name of the best one, where the run ranks them ([`Ranking`])
//!   step-000000819200/
//!     manifest.json                            versions, algorithm, spaces, counters, length and BLAKE3 hash of each file
//!     algorithm_state.json  config.json
//!     env_runner/                              state.json, state.safetensors
//!     env_runner/env_to_module_connector/      state.safetensors
//!     learner_group/learner/                   state.json, optimizer.safetensors
//!     learner_group/learner/rl_module/<id>/    module_state.safetensors, module.json, example.safetensors
//! ```
//!
//! Every directory with files also gets a `component.json` (a manifest of its own), so that it loads alone, even when it
//! was copied elsewhere: [`load_component`]. Only safetensors and JSON are read; nothing in a checkpoint is ever executed.
//!
//! [`save`] builds the new checkpoint under a temporary name, syncs it, renames it, reads it back, and only then points
//! `LATEST` to it; so at every instant the previous one or the new one loads. The file system is behind a small trait, and
//! the tests cut the save after each of its operations and fail each of them in turn.
//!
//! ```
//! # let directory = tempfile::tempdir().map_err(|error| error.to_string())?;
//! # let parent = directory.path().join("checkpoints");
//! use skirl::checkpoint::{self, Snapshot, Tensor, Tensors};
//!
//! let mut snapshot = Snapshot::new("PPO");
//! snapshot.manifest.counters.insert("num_env_steps_sampled_lifetime".into(), 4000);
//! snapshot.put_json(checkpoint::ALGORITHM_STATE, serde_json::json!({"training_iteration": "1"}));
//! let weights = Tensors::from([("actor.bias".to_string(), Tensor::vector(vec![0.5_f32, -0.5]))]);
//! snapshot.put_tensors(checkpoint::module_file("default_policy", checkpoint::MODULE_STATE), weights);
//!
//! let path = checkpoint::save(&parent, &checkpoint::step_name(4000), &snapshot)?; // and LATEST
//! let loaded = checkpoint::load(&parent)?;
//! assert_eq!((&loaded.snapshot, loaded.warnings.len()), (&snapshot, 0));
//! let module = checkpoint::load_component(&path.join("learner_group/learner/rl_module/default_policy"))?;
//! assert_eq!(module.tensors(checkpoint::MODULE_STATE)?.f32("actor.bias", &[2])?, [0.5, -0.5]);
//! checkpoint::prune(&parent, 2)?; // keep the newest two
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod error;
mod fs;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzzing;
mod layout;
mod list;
mod load;
mod manifest;
mod path_rules;
mod ranking;
mod save;
mod snapshot;
mod tensor;
#[cfg(test)]
mod tests;

pub use error::CheckpointError;
pub use layout::*;
pub(crate) use list::has_never_saved;
pub use list::{Entry, best, list, prune, step_name};
pub use load::{Component, LoadOptions, Loaded, load, load_component, load_with};
pub use manifest::{ManifestInfo, ModuleSpaces};
pub use ranking::Ranking;
pub use save::{save, save_to};
pub use snapshot::{Payload, Snapshot, TensorFile};
pub use tensor::{Tensor, TensorData, Tensors};

/// Version of the format that this build writes, and the only one it reads.
pub const FORMAT_VERSION: u64 = 1;
