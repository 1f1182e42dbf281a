//! TensorBoard event files.
//!
//! Written by hand (see [`tfrecord`](super::tfrecord)): `tensorboard-rs` (last release 2023) brings an image library and
//! protobuf 2, `tfrecord` (2024) prost and a dozen more; scalars need four protobuf fields and one CRC.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use super::append_file::AppendFile;
use super::tfrecord::{self, Event, What};
use super::{ITERATION_KEY, ResumePoint, STEPS_KEY, Sink};
use crate::report::{ReportError, TrainResult};

/// Start of every event file's name, by which TensorBoard finds it.
const PREFIX: &str = "events.out.tfevents.";
/// End of the names of our own, the only ones that are ever cut or removed.
const SUFFIX: &str = ".skirl";

/// Writes every numeric metric as a scalar. The tag is the metric's path, the x-axis is
/// `num_env_steps_sampled_lifetime` (the iteration where a result has none).
#[derive(Debug)]
pub struct TensorBoardSink {
    file: AppendFile,
}

impl TensorBoardSink {
    /// Continues the newest event file of `directory`, cut after the resume point, or starts one.
    pub fn open(directory: &Path, resume: ResumePoint) -> Result<Self, ReportError> {
        let mut newest = None;
        for path in event_files(directory)? {
            let bytes = std::fs::read(&path).map_err(ReportError::io("read", &path))?;
            let len = tfrecord::len_up_to(&bytes, resume.last_step());
            if len == 0 || resume == ResumePoint::START {
                std::fs::remove_file(&path).map_err(ReportError::io("remove", &path))?;
            } else {
                newest = Some(AppendFile::open(&path, len as u64)?);
            }
        }
        match newest {
            Some(file) => Ok(Self { file }),
            None => Self::create(directory),
        }
    }

    /// The event file.
    pub fn path(&self) -> &Path {
        self.file.path()
    }

    fn create(directory: &Path) -> Result<Self, ReportError> {
        let wall_time = now();
        let name = format!("{PREFIX}{:010}.{}{SUFFIX}", wall_time as u64, std::process::id());
        let mut file = AppendFile::open(&directory.join(name), 0)?;
        file.append(&tfrecord::encode(&Event {
            wall_time,
            step: 0,
            what: What::FileVersion("brain.Event:2"),
        }))?;
        Ok(Self { file })
    }
}

impl Sink for TensorBoardSink {
    fn write(&mut self, result: &TrainResult) -> Result<(), ReportError> {
        let step = result.get_count(STEPS_KEY).or_else(|| result.get_count(ITERATION_KEY)).unwrap_or(0);
        let scalars: Vec<(String, f32)> = result
            .flatten()
            .into_iter()
            .filter_map(|(path, leaf)| Some((path, leaf.as_f64()? as f32)))
            .filter(|(_, scalar)| scalar.is_finite())
            .collect();
        let wall_time = result.get("timestamp").unwrap_or_else(now);
        self.file.append(&tfrecord::encode(&Event { wall_time, step, what: What::Scalars(&scalars) }))
    }

    fn flush(&mut self) -> Result<(), ReportError> {
        self.file.sync()
    }
}

/// Our event files in a directory, oldest first.
fn event_files(directory: &Path) -> Result<Vec<PathBuf>, ReportError> {
    let entries = std::fs::read_dir(directory).map_err(ReportError::io("list", directory))?;
    let mut names: Vec<OsString> = Vec::new();
    for entry in entries {
        let name = entry.map_err(ReportError::io("list", directory))?.file_name();
        let text = name.to_string_lossy();
        if text.starts_with(PREFIX) && text.ends_with(SUFFIX) {
            names.push(name);
        }
    }
    names.sort();
    Ok(names.into_iter().map(|name| directory.join(name)).collect())
}

fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |elapsed| elapsed.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn result(iteration: u64) -> TrainResult {
        let mut result = TrainResult::new();
        result.set(ITERATION_KEY, iteration).set(STEPS_KEY, 4_000 * iteration);
        result
            .set("env_runners/episode_return_mean", 1.5 * iteration as f64)
            .set("timestamp", 1_000 + iteration);
        result
    }

    #[test]
    fn a_resumed_run_continues_the_file_without_doubles() {
        let directory = tempfile::tempdir().unwrap();
        let mut sink = TensorBoardSink::open(directory.path(), ResumePoint::START).unwrap();
        (1..=6).for_each(|i| sink.write(&result(i)).unwrap());
        let straight = std::fs::read(sink.path()).unwrap();
        let point = ResumePoint { training_iteration: 2, env_steps: 8_000 };
        let mut sink = TensorBoardSink::open(directory.path(), point).unwrap();
        assert!(std::fs::read(sink.path()).unwrap().len() < straight.len());
        (3..=6).for_each(|i| sink.write(&result(i)).unwrap());
        sink.close().unwrap();
        assert_eq!(std::fs::read(sink.path()).unwrap(), straight);
        assert_eq!(event_files(directory.path()).unwrap().len(), 1);
    }
}
