//! The checkpoints of a run: saved, ranked and pruned as configured.

use std::path::{Path, PathBuf};

use crate::checkpoint::{self, CheckpointError, Ranking, Snapshot, step_name};
use crate::config::{CheckpointingOptions, ScoreOrder};
use crate::report::TrainResult;

/// Saves into the `checkpoints/` of a run.
#[derive(Debug)]
pub(super) struct Keeper {
    parent: PathBuf,
    ranking: Option<Ranking>,
    num_to_keep: Option<usize>,
    /// Environment steps and directory of the newest checkpoint of this process.
    last: Option<(u64, PathBuf)>,
    /// Saves in a row that failed.
    num_failed: u64,
}

impl Keeper {
    pub(super) fn new(parent: PathBuf, options: &CheckpointingOptions) -> Self {
        let is_max = options.checkpoint_score_order == ScoreOrder::Max;
        let ranking = options.checkpoint_score_attribute.as_ref().map(|metric| Ranking::new(metric, is_max));
        Self { parent, ranking, num_to_keep: options.num_to_keep, last: None, num_failed: 0 }
    }

    /// The state at `env_steps` came from `path`: it is not saved again.
    pub(super) fn set_last(&mut self, env_steps: u64, path: PathBuf) {
        // A checkpoint that was found under another name (its replacement was interrupted) is saved under its own.
        if path.file_name().is_some_and(|name| name == step_name(env_steps).as_str()) {
            self.last = Some((env_steps, path));
        }
    }

    pub(super) fn last(&self) -> Option<&Path> {
        self.last.as_ref().map(|(_, path)| path.as_path())
    }

    /// The newest checkpoint if it holds just this state, as far as it can be read. The number of steps does not tell:
    /// tasks, shared state or weights may have been changed by hand since.
    pub(super) fn holding(&self, env_steps: u64, state: &Snapshot) -> Option<PathBuf> {
        let (_, path) = self.last.as_ref().filter(|(saved_at, _)| *saved_at == env_steps)?;
        let saved = checkpoint::load(path).ok()?;
        (saved.snapshot.files == state.files).then(|| path.clone())
    }

    /// Saves, with its score by `result`, and removes what is not to be kept.
    pub(super) fn save(
        &mut self,
        env_steps: u64,
        mut snapshot: Snapshot,
        result: Option<&TrainResult>,
    ) -> Result<PathBuf, CheckpointError> {
        let name = step_name(env_steps);
        if let Some(ranking) = &self.ranking {
            ranking.mark(&mut snapshot, result.and_then(|result| result.get(ranking.metric())));
        }
        let path = checkpoint::save(&self.parent, &name, &snapshot)?;
        self.last = Some((env_steps, path.clone()));
        self.num_failed = 0;
        match (&mut self.ranking, self.num_to_keep) {
            (Some(ranking), keep) => ranking.update(&self.parent, &name, keep)?,
            (None, Some(keep)) => drop(checkpoint::prune(&self.parent, keep)?),
            (None, None) => {}
        }
        Ok(path)
    }

    /// What to say about a save that failed while the run goes on: at the 1st, 2nd, 4th, 8th, … in a row.
    pub(super) fn failed(&mut self, error: &CheckpointError) -> Option<String> {
        self.num_failed += 1;
        let again = if self.num_failed == 1 {
            String::new()
        } else {
            format!(" ({} times in a row)", self.num_failed)
        };
        self.num_failed.is_power_of_two().then(|| {
            format!(
                "no checkpoint{again}: {error}. Training goes on, the earlier checkpoints stay, and the next interval \
                 tries again"
            )
        })
    }

    /// The best checkpoint and its score.
    pub(super) fn best(&mut self) -> Option<(PathBuf, f64)> {
        self.ranking.as_mut()?.best(&self.parent).ok().flatten()
    }
}
