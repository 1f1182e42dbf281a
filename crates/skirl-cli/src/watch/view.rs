//! What is shown of runs that are watched.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde_json::{Value, json};
use skirl::config::{StopCriteria, StopReason};
use skirl::report::{RunDirectory, TrainResult};

use super::status::{Lock, Status};
use super::tail::{self, Ends};
use crate::number::{measured, whole_duration};
use crate::progress::{self, Cell, Start, cells};

/// Columns of an overview of several runs.
const COLUMNS: [&str; 9] =
    ["run", "state", "iteration", "steps", "return", "evaluation", "time", "ETA", "steps/s"];

/// A run as its files show it at one moment.
#[derive(Debug)]
pub(crate) struct RunView {
    directory: PathBuf,
    title: String,
    pub(crate) stop: StopCriteria,
    ends: Option<Ends>,
    pub(crate) status: Status,
}

impl RunView {
    /// Reads the files.
    pub(crate) fn read(directory: &Path) -> Self {
        // A configuration of another version, or half of one, costs the title and the bar, not the results.
        let config = RunDirectory::read_config(directory).unwrap_or_default();
        let stop = stop_criteria(&config);
        let lock = Lock::read(directory);
        let ends = tail::read(&directory.join("result.jsonl"));
        let status = Status::of(directory, lock, &stop, ends.as_ref().map(|ends| &ends.last));
        Self { directory: directory.to_owned(), title: title(&config), stop, ends, status }
    }

    /// The last whole result.
    pub(crate) fn last(&self) -> Option<&TrainResult> {
        self.ends.as_ref().map(|ends| &ends.last)
    }

    /// The name of its directory.
    pub(crate) fn name(&self) -> String {
        let name = self.directory.file_name().map(|name| name.to_string_lossy().into_owned());
        name.unwrap_or_else(|| self.directory.display().to_string())
    }

    /// Its first result: what progress is measured against.
    pub(crate) fn start(&self) -> Start {
        let mut start = Start::default();
        self.ends.iter().for_each(|ends| start.see(&ends.first));
        if self.status.has_ended() {
            start.end();
        }
        start
    }

    /// What runs where, how it is, and how it goes on if it was cut short.
    pub(crate) fn headline(&self) -> Vec<String> {
        let place = self.directory.display();
        let mut lines = vec![self.title.clone(), place.to_string(), self.in_words()];
        lines.retain(|line| !line.is_empty());
        if matches!(self.status, Status::Stopped | Status::Died(_)) {
            lines.push(format!("to go on: skirl train --resume {place}"));
        }
        lines
    }

    /// `PPO on CartPole-v1, seed 1, in runs/mine: `, before a state.
    pub(crate) fn title_and_place(&self) -> String {
        let separator = if self.title.is_empty() { "" } else { ", in " };
        format!("{}{separator}{}: ", self.title, self.directory.display())
    }

    /// The state in words, for example `running (process 12), last result 3 s ago`.
    pub(crate) fn in_words(&self) -> String {
        match &self.status {
            Status::Waiting => "waiting for a run to start here".to_owned(),
            Status::Running(owner) => format!("running (process {}), {}", owner.pid, self.since_last()),
            Status::Finished(reason) => {
                let StopReason { metric, value, threshold } = reason;
                format!("finished: {metric} = {} reached {}", measured(*value), measured(*threshold))
            }
            Status::Stopped => "stopped before a stop criterion was met".to_owned(),
            Status::Died(owner) => format!("process {} is gone without an orderly end", owner.pid),
        }
    }

    fn since_last(&self) -> String {
        let Some(ends) = &self.ends else { return "no result yet".to_owned() };
        let seconds = SystemTime::now().duration_since(ends.written).unwrap_or_default().as_secs();
        format!("last result {} ago", whole_duration(seconds))
    }

    pub(crate) fn to_value(&self) -> Value {
        let pid = match &self.status {
            Status::Running(owner) => json!(owner.pid),
            _ => Value::Null,
        };
        json!({
            "event": "watch",
            "run_dir": self.directory,
            "state": self.status.word(),
            "pid": pid,
            "result": self.last().map(TrainResult::as_value),
        })
    }

    /// Name and value of each column of an overview.
    fn row(&self) -> Vec<Cell> {
        let mut row = vec![("run", self.name()), ("state", self.status.word().to_owned())];
        if let Some(last) = self.last() {
            row.extend(cells(last, &self.stop, &self.start()));
        }
        row
    }
}

/// One line for each run under a header, in `width` characters.
pub(crate) fn overview(views: &[RunView], width: usize) -> Vec<String> {
    let rows: Vec<Vec<Cell>> = views.iter().map(RunView::row).collect();
    progress::overview(&rows, &COLUMNS, width)
}

/// `PPO on CartPole-v1, seed 1`, as far as the configuration says so.
fn title(config: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let (run, env) = (text(&config["run"]), text(&config["environment"]["env"]));
    let seed = config["debugging"]["seed"].as_u64().map(|seed| format!(", seed {seed}"));
    if run.is_empty() { String::new() } else { format!("{run} on {env}{}", seed.unwrap_or_default()) }
}

fn stop_criteria(config: &Value) -> StopCriteria {
    let criteria = config["stop"].as_object().into_iter().flatten();
    StopCriteria(criteria.filter_map(|(metric, minimum)| Some((metric.clone(), minimum.as_f64()?))).collect())
}
