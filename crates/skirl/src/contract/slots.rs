//! The slots that the stages of the online algorithms share.

use std::collections::BTreeMap;

use super::{Batch, ModuleId, Observations, Rollout, RowCounts, Weights};
use crate::collect::episodes::EpisodeRecord;
use crate::pipeline::Slot;

/// What was collected in this iteration.
pub const SAMPLE: Slot<Rollout> = Slot::iteration("sample");
/// Episodes that ended in this iteration.
pub const EPISODES: Slot<Vec<EpisodeRecord>> = Slot::iteration("episodes");
/// Rows with estimates, by module.
pub const TRAIN_BATCH: Slot<BTreeMap<ModuleId, Batch>> = Slot::iteration("train_batch");
/// What the learners report, by module: metric name and value.
pub const LEARNER_RESULTS: Slot<LearnerResults> = Slot::iteration("learner_results");
/// Weights that the learners made in this iteration.
pub const NEW_WEIGHTS: Slot<Weights> = Slot::iteration("new_weights");
/// Memory of observations that were learned from, for the next table: the system takes longer to hand out new pages than to
/// fill them. Memory that was lent goes back when it is taken.
pub const SPENT: Slot<Observations> = Slot::kept_unsaved("spent_observations");
/// Environment steps since the start of the run.
pub const ENV_STEPS: Slot<u64> = Slot::kept("env_steps");
/// Decisions of agents since the start of the run.
pub const AGENT_STEPS: Slot<u64> = Slot::kept("agent_steps");
/// Whose decisions those of this iteration are.
pub const ROW_COUNTS: Slot<RowCounts> = Slot::iteration("row_counts");
/// Version of the newest weights.
pub const WEIGHTS_VERSION: Slot<u64> = Slot::kept("weights_version");

/// Metrics of each module, in the order in which they are reported.
pub type LearnerResults = BTreeMap<ModuleId, Vec<(&'static str, f64)>>;
