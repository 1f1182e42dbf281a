//! `result.jsonl`: one result per line.

use std::fs::File;
use std::io::{BufRead, BufReader, ErrorKind};
use std::path::Path;

use serde_json::Value;

use super::append_file::AppendFile;
use super::{ITERATION_KEY, ResumePoint, Sink};
use crate::report::{ReportError, TrainResult};

/// Writes every result as one line of JSON.
#[derive(Debug)]
pub struct JsonlSink {
    file: AppendFile,
}

impl JsonlSink {
    /// Opens `path`, keeping the lines up to the resume point; an incomplete last line goes too.
    pub fn open(path: &Path, resume: ResumePoint) -> Result<Self, ReportError> {
        let len = len_up_to(path, resume)?;
        Ok(Self { file: AppendFile::open(path, len)? })
    }

    /// The file.
    pub fn path(&self) -> &Path {
        self.file.path()
    }
}

impl Sink for JsonlSink {
    fn write(&mut self, result: &TrainResult) -> Result<(), ReportError> {
        let mut line = result.to_json_line();
        line.push('\n');
        self.file.append(line.as_bytes())
    }

    fn flush(&mut self) -> Result<(), ReportError> {
        self.file.sync()
    }
}

/// Bytes of the leading whole lines whose iteration is not after the resume point.
fn len_up_to(path: &Path, resume: ResumePoint) -> Result<u64, ReportError> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(0),
        Err(source) => return Err(ReportError::Io { action: "open", path: path.to_path_buf(), source }),
    };
    let mut reader = BufReader::new(file);
    let mut line = Vec::new();
    let mut len = 0;
    loop {
        line.clear();
        reader.read_until(b'\n', &mut line).map_err(ReportError::io("read", path))?;
        if !line.ends_with(b"\n") || iteration_of(&line).is_none_or(|i| i > resume.training_iteration) {
            return Ok(len);
        }
        len += line.len() as u64;
    }
}

fn iteration_of(line: &[u8]) -> Option<u64> {
    serde_json::from_slice::<Value>(line).ok()?.get(ITERATION_KEY)?.as_u64()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn result(iteration: u64) -> TrainResult {
        let mut result = TrainResult::new();
        result.set(ITERATION_KEY, iteration).set("env_runners/episode_return_mean", 0.1 * iteration as f64);
        result
    }

    #[test]
    fn a_resumed_run_writes_the_file_of_an_uninterrupted_one() {
        let directory = tempfile::tempdir().unwrap();
        let (straight, resumed) = (directory.path().join("straight"), directory.path().join("resumed"));
        let mut sink = JsonlSink::open(&straight, ResumePoint::START).unwrap();
        (1..=6).for_each(|i| sink.write(&result(i)).unwrap());
        let mut sink = JsonlSink::open(&resumed, ResumePoint::START).unwrap();
        (1..=4).for_each(|i| sink.write(&result(i)).unwrap());
        // Killed in the middle of a line, two iterations after the checkpoint of iteration 2.
        sink.file.append(br#"{"training_iteration":5,"env_ru"#).unwrap();
        let mut sink =
            JsonlSink::open(&resumed, ResumePoint { training_iteration: 2, env_steps: 0 }).unwrap();
        (3..=6).for_each(|i| sink.write(&result(i)).unwrap());
        sink.close().unwrap();
        assert_eq!(std::fs::read(&resumed).unwrap(), std::fs::read(&straight).unwrap());
    }

    #[test]
    fn a_half_line_goes_even_if_its_iteration_is_kept() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("result.jsonl");
        std::fs::write(&path, "{\"training_iteration\":1}\n{\"training_iteration\":2}").unwrap();
        let resume = ResumePoint { training_iteration: 9, env_steps: 0 };
        drop(JsonlSink::open(&path, resume).unwrap());
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "{\"training_iteration\":1}\n");
    }
}
