//! The directory of one run.
//!
//! ```text
//! runs/PPO_CartPole-v1_2026-01-31_12-00-00_42/
//!   config.json            resolved configuration
//!   progress.csv           one row per iteration
//!   result.jsonl           one result per line
//!   events.out.tfevents.*  TensorBoard
//!   checkpoints/           see `skirl::checkpoint`
//!   .run.lock              process and host that write here
//! ```

use std::fs::File;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::Value;

use super::sink::{CsvSink, JsonlSink, ResumePoint, Sink, TensorBoardSink};
use super::{LockOwner, ReportError, RunLock};

/// Entries by which a directory is recognised as holding a run.
const TRACES: [&str; 4] = ["config.json", "progress.csv", "result.jsonl", "checkpoints"];
/// Attempts to find a free name for a run.
const MAX_NAMES: u32 = 10_000;

/// A run's directory, writable and locked by this process while the value lives.
#[derive(Debug)]
pub struct RunDirectory {
    path: PathBuf,
    lock: RunLock,
    /// Directories that were made for this run, the innermost first.
    made: Vec<PathBuf>,
}

impl RunDirectory {
    /// Where new runs go when nothing else is said.
    pub const DEFAULT_PARENT: &str = "runs";

    /// Starts a run in `path`: creates it, locks it, and proves that a file can be written and synced there.
    ///
    /// # Errors
    /// When it already holds a run, another process uses it, or nothing can be written.
    pub fn create(path: &Path) -> Result<Self, ReportError> {
        let made = missing(path);
        std::fs::create_dir_all(path).map_err(ReportError::io("create", path))?;
        let lock = RunLock::acquire(path)?;
        if let Some(found) = TRACES.iter().find(|name| is_trace(&path.join(name))) {
            return Err(ReportError::AlreadyARun { path: path.to_path_buf(), found: (*found).to_string() });
        }
        Ok(Self { made, ..Self::prepare(path, lock)? })
    }

    /// Removes what [`create`](Self::create) made, as far as it is still empty: for a run that could not be built.
    pub fn discard(self) {
        let Self { path, lock, made } = self;
        let _ = std::fs::remove_dir(path.join("checkpoints"));
        if made.first() == Some(&path) {
            // Still held: whoever waits for it finds no directory.
            let _ = std::fs::remove_file(path.join(RunLock::FILE_NAME));
            made.iter().take_while(|directory| std::fs::remove_dir(directory).is_ok()).for_each(drop);
        }
        drop(lock);
    }

    /// Who wrote here before and ended without an orderly end: killed, or the machine stopped.
    pub fn taken_over(&self) -> Option<&LockOwner> {
        self.lock.taken_over()
    }

    /// Starts a run in `parent/<ALGO>_<env>_<date>_<time>_<seed>` (UTC), with `_2`, `_3`, … if that name is taken.
    pub fn create_in(parent: &Path, algorithm: &str, env: &str, seed: u64) -> Result<Self, ReportError> {
        let made = missing(parent);
        std::fs::create_dir_all(parent).map_err(ReportError::io("create", parent))?;
        let name = default_name(algorithm, env, SystemTime::now(), seed);
        for attempt in 1..=MAX_NAMES {
            let suffix = if attempt == 1 { String::new() } else { format!("_{attempt}") };
            let path = parent.join(format!("{name}{suffix}"));
            // `create_dir` fails if another process was faster, so the name is ours alone.
            match std::fs::create_dir(&path) {
                Ok(()) => {
                    let made = std::iter::once(path.clone()).chain(made).collect();
                    return Ok(Self { made, ..Self::create(&path)? });
                }
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(source) => return Err(ReportError::Io { action: "create", path, source }),
            }
        }
        Err(ReportError::AlreadyARun { path: parent.join(&name), found: name })
    }

    /// Continues the run in `path`.
    ///
    /// # Errors
    /// When there is no run, or a checkpoint of one; when another process uses it, or nothing can be written.
    pub fn resume(path: &Path) -> Result<Self, ReportError> {
        if let Some(run) = run_of_checkpoint(path) {
            return Err(ReportError::NotARunButCheckpoint { path: path.to_path_buf(), run });
        }
        if !path.join("config.json").is_file() {
            return Err(ReportError::NotARun { path: path.to_path_buf() });
        }
        Self::prepare(path, RunLock::acquire(path)?)
    }

    fn prepare(path: &Path, lock: RunLock) -> Result<Self, ReportError> {
        probe(path)?;
        let run = Self { path: path.to_path_buf(), lock, made: Vec::new() };
        let checkpoints = run.checkpoints();
        std::fs::create_dir_all(&checkpoints).map_err(ReportError::io("create", &checkpoints))?;
        sync_names(&checkpoints);
        Ok(run)
    }

    /// The directory itself.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// `checkpoints/`, the parent to give to [`checkpoint::save`](crate::checkpoint::save).
    pub fn checkpoints(&self) -> PathBuf {
        self.path.join("checkpoints")
    }

    /// `config.json`.
    pub fn config_path(&self) -> PathBuf {
        self.path.join("config.json")
    }

    /// `progress.csv`.
    pub fn csv_path(&self) -> PathBuf {
        self.path.join("progress.csv")
    }

    /// `result.jsonl`.
    pub fn jsonl_path(&self) -> PathBuf {
        self.path.join("result.jsonl")
    }

    /// Writes the resolved configuration, replacing an earlier one as a whole.
    pub fn write_config(&self, config: &Value) -> Result<(), ReportError> {
        super::sink::replace_file(&self.config_path(), format!("{config:#}\n").as_bytes())
    }

    /// Reads the resolved configuration of a run.
    pub fn read_config(path: &Path) -> Result<Value, ReportError> {
        let path = path.join("config.json");
        let text = std::fs::read_to_string(&path).map_err(ReportError::io("read", &path))?;
        serde_json::from_str(&text).map_err(|error| ReportError::Malformed {
            path,
            expected: "JSON".into(),
            found: error.to_string(),
        })
    }

    /// Opens the three sinks: CSV, JSON lines, TensorBoard. A new run gives [`ResumePoint::START`].
    pub fn open_sinks(&self, resume: ResumePoint) -> Result<Vec<Box<dyn Sink>>, ReportError> {
        Ok(vec![
            Box::new(CsvSink::open(&self.csv_path(), resume)?),
            Box::new(JsonlSink::open(&self.jsonl_path(), resume)?),
            Box::new(TensorBoardSink::open(&self.path, resume)?),
        ])
    }
}

/// The directories on the way to `path` that are not there, the innermost first.
fn missing(path: &Path) -> Vec<PathBuf> {
    let is_missing = |directory: &&Path| !directory.as_os_str().is_empty() && !directory.exists();
    path.ancestors().take_while(is_missing).map(Path::to_path_buf).collect()
}

/// The run of a checkpoint directory, which has a `config.json` as well.
fn run_of_checkpoint(path: &Path) -> Option<PathBuf> {
    if !path.join("manifest.json").is_file() {
        return None;
    }
    let path = path.canonicalize().ok()?;
    let run = path.parent()?.parent()?;
    Some(if run.join("config.json").is_file() { run } else { path.parent()? }.to_path_buf())
}

/// Whether something of a run is there. An empty directory is what a failed start leaves: no reason to refuse the
/// corrected one.
fn is_trace(path: &Path) -> bool {
    match std::fs::read_dir(path) {
        Ok(mut entries) => entries.next().is_some(),
        Err(_) => path.exists(),
    }
}

/// Makes the names of the run's directories durable, so that a power cut cannot take a synced checkpoint with its parent.
/// Best effort: some systems cannot open a directory, and the grandparent may be unreadable.
fn sync_names(checkpoints: &Path) {
    for directory in checkpoints.ancestors().take(4) {
        let _ = File::open(directory).and_then(|directory| directory.sync_all());
    }
}

/// Writes, syncs and removes a file, so that a directory that cannot be written is found before any training.
fn probe(path: &Path) -> Result<(), ReportError> {
    let file_path = path.join(format!(".probe-{}", std::process::id()));
    let written = File::create(&file_path).and_then(|mut file| {
        file.write_all(b"skirl")?;
        file.sync_all()
    });
    let removed = std::fs::remove_file(&file_path);
    written.and(removed).map_err(ReportError::io("write a file in", path))
}

fn default_name(algorithm: &str, env: &str, time: SystemTime, seed: u64) -> String {
    let seconds = time.duration_since(UNIX_EPOCH).map_or(0, |elapsed| elapsed.as_secs());
    let (year, month, day) = date_of(seconds / 86_400);
    let (hour, minute, second) = (seconds / 3_600 % 24, seconds / 60 % 60, seconds % 60);
    let plain = |name: &str| -> String {
        name.chars().map(|c| if c.is_alphanumeric() || "-_.".contains(c) { c } else { '-' }).collect()
    };
    format!(
        "{}_{}_{year:04}-{month:02}-{day:02}_{hour:02}-{minute:02}-{second:02}_{seed}",
        plain(algorithm),
        plain(env)
    )
}

/// Gregorian year, month and day of a day counted from 1970-01-01 (H. Hinnant, "chrono-compatible low-level date
/// algorithms", `civil_from_days`). Years start in March there, so that the leap day is the last one.
fn date_of(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    (year_of_era + era * 400 + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn names_carry_algorithm_env_time_and_seed() {
        let time = UNIX_EPOCH + Duration::from_secs(951_782_399 + 86_400);
        assert_eq!(default_name("PPO", "ALE/Pong-v5", time, 42), "PPO_ALE-Pong-v5_2000-02-29_23-59-59_42");
        assert_eq!(date_of(0), (1970, 1, 1));
        assert_eq!(date_of(20_515), (2026, 3, 3));
    }

    #[test]
    fn every_run_gets_its_own_directory() {
        let parent = tempfile::tempdir().unwrap();
        let runs: Vec<RunDirectory> = (0..3)
            .map(|_| RunDirectory::create_in(parent.path(), "PPO", "CartPole-v1", 0).unwrap())
            .collect();
        let mut paths: Vec<_> = runs.iter().map(|run| run.path().to_path_buf()).collect();
        paths.dedup();
        assert_eq!(paths.len(), 3);
    }

    #[test]
    fn a_directory_with_a_run_is_refused_and_can_be_resumed() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("mit Leerzeichen ü");
        let config = serde_json::json!({"run": "PPO"});
        assert!(matches!(RunDirectory::resume(&path), Err(ReportError::NotARun { .. })));
        let run = RunDirectory::create(&path).unwrap();
        run.write_config(&config).unwrap();
        assert!(matches!(RunDirectory::resume(&path), Err(ReportError::Locked { .. })));
        drop(run);
        let message = RunDirectory::create(&path).unwrap_err().to_string();
        assert!(message.contains("config.json") && message.contains("--resume"), "{message}");
        drop(RunDirectory::resume(&path).unwrap());
        assert_eq!(RunDirectory::read_config(&path).unwrap(), config);
    }

    #[test]
    fn a_checkpoint_is_not_a_run() {
        let parent = tempfile::tempdir().unwrap();
        let run = RunDirectory::create(&parent.path().join("run")).unwrap();
        run.write_config(&serde_json::json!({})).unwrap();
        let checkpoint = run.checkpoints().join("step-1");
        std::fs::create_dir(&checkpoint).unwrap();
        for name in ["manifest.json", "config.json"] {
            std::fs::write(checkpoint.join(name), "{}").unwrap();
        }
        let message = RunDirectory::resume(&checkpoint).unwrap_err().to_string();
        let whole = run.path().canonicalize().unwrap();
        assert!(message.ends_with(&format!("Resume `{}`", whole.display())), "{message}");
        assert!(!checkpoint.join(RunLock::FILE_NAME).exists());
    }

    #[test]
    fn a_discarded_directory_leaves_what_was_there_before() {
        let parent = tempfile::tempdir().unwrap();
        RunDirectory::create(&parent.path().join("a/b/run")).unwrap().discard();
        RunDirectory::create_in(&parent.path().join("runs"), "PPO", "X", 1).unwrap().discard();
        assert_eq!(std::fs::read_dir(parent.path()).unwrap().count(), 0);
        std::fs::create_dir(parent.path().join("mine")).unwrap();
        RunDirectory::create(&parent.path().join("mine")).unwrap().discard();
        assert!(parent.path().join("mine").exists());
        let run = RunDirectory::create(&parent.path().join("used")).unwrap();
        std::fs::write(run.path().join("notes.txt"), "").unwrap();
        run.discard();
        assert!(parent.path().join("used/notes.txt").exists());
    }

    #[test]
    fn a_failed_start_does_not_block_the_next() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("run");
        drop(RunDirectory::create(&path).unwrap());
        let run = RunDirectory::create(&path).unwrap();
        std::fs::create_dir(run.checkpoints().join("step-1")).unwrap();
        drop(run);
        let message = RunDirectory::create(&path).unwrap_err().to_string();
        assert!(message.contains("checkpoints"), "{message}");
    }

    #[test]
    fn a_place_that_cannot_be_written_is_found_at_the_start() {
        let parent = tempfile::tempdir().unwrap();
        let file = parent.path().join("file");
        std::fs::write(&file, "").unwrap();
        let message = RunDirectory::create(&file.join("run")).unwrap_err().to_string();
        assert!(message.contains("could not create") && message.contains("file"), "{message}");
    }
}
