//! Which checkpoint is the best: by a metric of the result it was saved after.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::fs::{Fs, RealFs};
use super::list::{BEST, Entry, list_in, prune_in, read_pointer, steps_of};
use super::load::read_manifest;
use super::save::point;
use super::{CheckpointError, MANIFEST, Snapshot};

/// Field of a manifest's `extra`.
const SCORE: &str = "score";

/// Ranks the checkpoints of a run by a metric. The score of each is in its manifest, so the ranking needs no state of its
/// own: it is the same in a resumed run.
#[derive(Debug, Clone)]
pub struct Ranking {
    metric: String,
    is_max: bool,
    /// Scores by name, as far as they were read.
    scores: BTreeMap<String, Option<f64>>,
}

impl Ranking {
    /// A ranking by `metric`, the path of a number in a result; the largest is best, or the smallest.
    pub fn new(metric: impl Into<String>, is_max: bool) -> Self {
        Self { metric: metric.into(), is_max, scores: BTreeMap::new() }
    }

    /// The metric.
    pub fn metric(&self) -> &str {
        &self.metric
    }

    /// Writes the score of the state into its snapshot. Without a finite one it is never the best.
    pub fn mark(&self, snapshot: &mut Snapshot, score: Option<f64>) {
        if let Some(score) = score.filter(|score| score.is_finite()) {
            snapshot.manifest.extra.insert(SCORE.into(), json!({ "metric": self.metric, "value": score }));
        }
    }

    /// To be called after the checkpoint `name` was saved: points `BEST` to the best one, and with `keep` removes all but
    /// that many: the newest, and the best of the others (see [`prune`](super::prune)).
    ///
    /// # Errors
    /// When a directory cannot be read, or a file not be written or removed.
    pub fn update(&mut self, parent: &Path, name: &str, keep: Option<usize>) -> Result<(), CheckpointError> {
        self.scores.remove(name);
        self.update_in(&RealFs, parent, keep)
    }

    pub(super) fn update_in(
        &mut self,
        fs: &impl Fs,
        parent: &Path,
        keep: Option<usize>,
    ) -> Result<(), CheckpointError> {
        let best = self.best_in(fs, parent)?;
        if let Some((entry, _)) = &best
            && read_pointer(fs, parent, BEST) != Ok(Some(entry.name.clone()))
        {
            point(fs, parent, BEST, &entry.name)?;
        }
        // `BEST` names one that stays before anything goes.
        let Some(keep) = keep else { return Ok(()) };
        let sign = if self.is_max { 1.0 } else { -1.0 };
        let score = |name: &str| self.scores.get(name).copied().flatten().map(|score| sign * score);
        prune_in(fs, parent, keep, &score)?;
        Ok(())
    }

    /// The best checkpoint with its score; the newer of equal ones.
    ///
    /// # Errors
    /// When the directory cannot be listed.
    pub fn best(&mut self, parent: &Path) -> Result<Option<(PathBuf, f64)>, CheckpointError> {
        Ok(self.best_in(&RealFs, parent)?.map(|(entry, score)| (entry.path, score)))
    }

    fn best_in(&mut self, fs: &impl Fs, parent: &Path) -> Result<Option<(Entry, f64)>, CheckpointError> {
        let mut best: Option<(Entry, f64)> = None;
        for entry in list_in(fs, parent)? {
            if steps_of(&entry.name).is_none() {
                continue;
            }
            let Some(score) = self.score(fs, &entry) else { continue };
            let is_better =
                best.as_ref().is_none_or(|(_, top)| if self.is_max { score >= *top } else { score <= *top });
            if is_better {
                best = Some((entry, score));
            }
        }
        Ok(best)
    }

    fn score(&mut self, fs: &impl Fs, entry: &Entry) -> Option<f64> {
        if let Some(score) = self.scores.get(&entry.name) {
            return *score;
        }
        let score = self.read_score(fs, &entry.path);
        self.scores.insert(entry.name.clone(), score);
        score
    }

    /// The score in a manifest; none if it is by another metric, or the manifest is damaged.
    fn read_score(&self, fs: &impl Fs, path: &Path) -> Option<f64> {
        let manifest = read_manifest(fs, &path.join(MANIFEST)).ok()?;
        let score = manifest.extra.get(SCORE)?;
        let is_mine = score.get("metric").and_then(Value::as_str) == Some(&self.metric);
        score.get("value").and_then(Value::as_f64).filter(|_| is_mine)
    }
}
