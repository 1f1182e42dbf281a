//! `progress.csv`: one row per result, one column per metric.
//!
//! The header is the union of all metrics seen. A metric that first appears later (evaluation every tenth iteration, an
//! episode that ends late) adds a column at the end: the file is written anew beside the old one and renamed over it.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::append_file::{AppendFile, replace_file};
use super::{ITERATION_KEY, ResumePoint, Sink};
use crate::report::{ReportError, TrainResult};

/// Writes every result as one row; a metric without data is an empty cell.
#[derive(Debug)]
pub struct CsvSink {
    path: PathBuf,
    columns: Vec<String>,
    /// Open once there is a header.
    file: Option<AppendFile>,
}

impl CsvSink {
    /// Opens `path`, keeping the rows up to the resume point; an incomplete last row goes too.
    pub fn open(path: &Path, resume: ResumePoint) -> Result<Self, ReportError> {
        let mut sink = Self { path: path.to_path_buf(), columns: Vec::new(), file: None };
        let Some(table) = Table::read(path)? else { return Ok(sink) };
        let kept = table.up_to(resume);
        if kept.rows.is_empty() {
            std::fs::remove_file(path).map_err(ReportError::io("remove", path))?;
            return Ok(sink);
        }
        sink.replace(kept)?;
        Ok(sink)
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn replace(&mut self, table: Table) -> Result<(), ReportError> {
        let bytes = table.to_bytes();
        replace_file(&self.path, &bytes)?;
        self.file = Some(AppendFile::open(&self.path, bytes.len() as u64)?);
        self.columns = table.columns;
        Ok(())
    }

    /// Adds the columns that `leaves` has and the file has not.
    fn grow(&mut self, leaves: &[(String, &Value)]) -> Result<(), ReportError> {
        let new: Vec<String> = leaves
            .iter()
            .map(|(path, _)| path)
            .filter(|path| !self.columns.contains(path))
            .cloned()
            .collect();
        if new.is_empty() {
            return Ok(());
        }
        let mut table = Table { columns: self.columns.clone(), rows: Vec::new() };
        if self.file.is_some() {
            table = Table::read(&self.path)?.unwrap_or(table);
        }
        table.columns.extend(new);
        self.replace(table)
    }
}

impl Sink for CsvSink {
    fn write(&mut self, result: &TrainResult) -> Result<(), ReportError> {
        let leaves = result.flatten();
        self.grow(&leaves)?;
        let cells: Vec<String> = self
            .columns
            .iter()
            .map(|column| {
                leaves.iter().find(|(path, _)| path == column).map_or(String::new(), |(_, leaf)| cell(leaf))
            })
            .collect();
        match &mut self.file {
            Some(file) => file.append(&row_bytes(&cells)),
            None => Ok(()),
        }
    }

    fn flush(&mut self) -> Result<(), ReportError> {
        self.file.as_mut().map_or(Ok(()), AppendFile::sync)
    }
}

fn cell(leaf: &Value) -> String {
    match leaf {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// A CSV file in memory.
#[derive(Debug)]
struct Table {
    columns: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// Reads the whole rows of `path`; `None` when there is no header.
    fn read(path: &Path) -> Result<Option<Self>, ReportError> {
        let mut bytes = match std::fs::read(path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(ReportError::Io { action: "read", path: path.to_path_buf(), source }),
        };
        // A process that was killed while writing leaves a row without its line end.
        bytes.truncate(bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |last| last + 1));
        let mut reader =
            csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(bytes.as_slice());
        let mut records =
            reader.records().map(|record| record.map(|row| row.iter().map(str::to_string).collect()));
        let malformed = |error: csv::Error| ReportError::Malformed {
            path: path.to_path_buf(),
            expected: "comma-separated values in UTF-8".into(),
            found: error.to_string(),
        };
        let Some(columns) = records.next().transpose().map_err(malformed)? else { return Ok(None) };
        let rows = records.collect::<Result<Vec<Vec<String>>, _>>().map_err(malformed)?;
        Ok(Some(Self { columns, rows }))
    }

    /// The leading rows whose iteration is not after the resume point.
    fn up_to(mut self, resume: ResumePoint) -> Self {
        let iteration = self.columns.iter().position(|column| column == ITERATION_KEY);
        let is_kept = |row: &Vec<String>| {
            let number = iteration.and_then(|column| row.get(column)?.parse::<u64>().ok());
            number.is_some_and(|number| number <= resume.training_iteration)
        };
        let kept = self.rows.iter().take_while(|row| is_kept(row)).count();
        self.rows.truncate(kept);
        self
    }

    /// Header and rows, short rows filled up with empty cells.
    fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = row_bytes(&self.columns);
        for row in &self.rows {
            let mut row = row.clone();
            row.resize(self.columns.len(), String::new());
            bytes.extend(row_bytes(&row));
        }
        bytes
    }
}

fn row_bytes(cells: &[String]) -> Vec<u8> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    // Neither can fail: the writer's target is a vector.
    let _ = writer.write_record(cells);
    writer.into_inner().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn result(iteration: u64, extra: &[(&str, f64)]) -> TrainResult {
        let mut result = TrainResult::new();
        result.set(ITERATION_KEY, iteration);
        for (path, value) in extra {
            result.set(path, *value);
        }
        result
    }

    fn resume(training_iteration: u64) -> ResumePoint {
        ResumePoint { training_iteration, env_steps: 0 }
    }

    #[test]
    fn columns_grow_and_absent_is_empty() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("progress.csv");
        let mut sink = CsvSink::open(&path, ResumePoint::START).unwrap();
        sink.write(&result(1, &[("a", 0.5)])).unwrap();
        sink.write(&result(2, &[("evaluation/b", 7.0)])).unwrap();
        let mut third = result(3, &[("a", 1e-7)]);
        third.set("note", "comma, \"quote\"\nline");
        sink.write(&third).unwrap();
        sink.close().unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        let expected = "training_iteration,a,evaluation/b,note\n1,0.5,,\n2,,7.0,\n3,1e-7,,\"comma, \"\"quote\"\"\nline\"\n";
        assert_eq!(text, expected);
    }

    #[test]
    fn a_resumed_run_writes_the_file_of_an_uninterrupted_one() {
        let directory = tempfile::tempdir().unwrap();
        let (straight, resumed) =
            (directory.path().join("straight.csv"), directory.path().join("resumed.csv"));
        let row =
            |i: u64| result(i, &[("a", i as f64), (if i.is_multiple_of(2) { "even" } else { "odd" }, 1.0)]);
        let mut sink = CsvSink::open(&straight, ResumePoint::START).unwrap();
        (1..=6).for_each(|i| sink.write(&row(i)).unwrap());
        let mut sink = CsvSink::open(&resumed, ResumePoint::START).unwrap();
        (1..=4).for_each(|i| sink.write(&row(i)).unwrap());
        sink.file.as_mut().unwrap().append(b"5,0.12").unwrap();
        let mut sink = CsvSink::open(&resumed, resume(2)).unwrap();
        (3..=6).for_each(|i| sink.write(&row(i)).unwrap());
        assert_eq!(std::fs::read(&resumed).unwrap(), std::fs::read(&straight).unwrap());
        drop(CsvSink::open(&resumed, ResumePoint::START).unwrap());
        assert!(!resumed.exists());
    }

    #[test]
    fn a_single_column_that_is_empty_is_still_a_row() {
        assert_eq!(row_bytes(&[String::new()]), b"\"\"\n");
    }
}
