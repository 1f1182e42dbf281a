//! The numbers of a run.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use skirl::report::TrainResult;

use super::metric;
use super::runs::FoundRun;
use crate::args::XAxis;
use crate::exit::{ExitStatus, Failure};
use crate::output;

/// What is drawn of one run: for each metric its points by x.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Series {
    pub(super) path: PathBuf,
    pub(super) name: Option<String>,
    pub(super) points: Vec<Vec<(f64, f64)>>,
}

/// Reads all runs. What is missing in some is told and left out; a metric that none has is an error.
pub(super) fn read_all(runs: &[FoundRun], x: XAxis, metrics: &[String]) -> Result<Vec<Series>, Failure> {
    let mut all = Vec::new();
    for run in runs {
        let results = read(&run.path)?;
        if results.is_empty() {
            output::remark(&format!("{}: no result yet; left out", run.path.display()));
            continue;
        }
        let points = metrics.iter().map(|metric| points(&results, x, metric)).collect();
        all.push(Series { path: run.path.clone(), name: run.name.clone(), points });
    }
    if all.is_empty() {
        return Err(Failure::usage("none of the runs has a result yet: there is nothing to draw"));
    }
    for (index, metric) in metrics.iter().enumerate() {
        let (with, without): (Vec<_>, Vec<_>) = all.iter().partition(|run| !run.points[index].is_empty());
        if with.is_empty() {
            return Err(metric::unknown(metric, runs));
        }
        for run in without {
            output::remark(&format!("{}: has no {metric}", run.path.display()));
        }
    }
    Ok(all)
}

/// The points at which both numbers are there, in the order of x.
fn points(results: &[TrainResult], x: XAxis, metric: &str) -> Vec<(f64, f64)> {
    let key = match x {
        XAxis::Steps => "num_env_steps_sampled_lifetime",
        XAxis::Seconds => "time_total_s",
        XAxis::Iterations => "training_iteration",
    };
    let point = |result: &TrainResult| Some((result.get(key)?, result.get(metric)?));
    let mut points: Vec<(f64, f64)> = results.iter().filter_map(point).collect();
    points.sort_by(|left, right| left.0.total_cmp(&right.0));
    points
}

/// The results of a run, from `result.jsonl`, else from `progress.csv`; none if it has not written any.
pub(super) fn read(run: &Path) -> Result<Vec<TrainResult>, Failure> {
    let lines = run.join("result.jsonl");
    if lines.is_file() {
        return from_lines(&lines, &text_of(&lines)?);
    }
    let table = run.join("progress.csv");
    if table.is_file() { from_table(&table, &text_of(&table)?) } else { Ok(Vec::new()) }
}

fn text_of(path: &Path) -> Result<String, Failure> {
    let bytes = fs::read(path).map_err(|error| broken(path, &error.to_string()))?;
    // A character that is cut in half at the end of a file being written is part of its torn last line.
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// One JSON object in each line. A last line without its end is still being written, or was when its writer died.
fn from_lines(path: &Path, text: &str) -> Result<Vec<TrainResult>, Failure> {
    let mut results = Vec::new();
    for (number, line) in text.split_inclusive('\n').enumerate() {
        match serde_json::from_str::<Value>(line) {
            Ok(value) if value.is_object() => results.push(TrainResult::from_value(&value)),
            _ if !line.ends_with('\n') => {
                output::remark(&format!("{}: the last line is not whole yet; left out", path.display()));
            }
            _ => return Err(broken(path, &format!("line {} is not a result in JSON", number + 1))),
        }
    }
    Ok(results)
}

/// A header of metrics, then a row for each result; empty cells are metrics without data.
fn from_table(path: &Path, text: &str) -> Result<Vec<TrainResult>, Failure> {
    let whole = text.rfind('\n').map_or("", |end| &text[..=end]);
    let mut reader = csv::ReaderBuilder::new().flexible(false).from_reader(whole.as_bytes());
    let columns = reader.headers().map_err(|error| broken(path, &error.to_string()))?.clone();
    let result = |record: Result<csv::StringRecord, csv::Error>| {
        let record = record.map_err(|error| broken(path, &error.to_string()))?;
        let mut result = TrainResult::new();
        for (column, cell) in columns.iter().zip(&record) {
            result.set(column, cell.parse::<f64>().ok());
        }
        Ok(result)
    };
    reader.records().map(result).collect()
}

fn broken(path: &Path, problem: &str) -> Failure {
    let help = "restore the file from a copy, or leave this run out";
    let message = format!("{} cannot be read: {problem}\n  help: {help}", path.display());
    Failure { status: ExitStatus::Failed, message }
}
