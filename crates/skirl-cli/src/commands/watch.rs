//! `skirl watch`: the live table of a run from its files.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use skirl::report::RunDirectory;

use crate::args::WatchArgs;
use crate::exit::{ExitStatus, Failure};
use crate::output;
use crate::progress::{InPlace, PlainLines, Progress, block, terminal_width};
use crate::watch::{RunView, overview};

/// Time between two looks at the files.
const INTERVAL: Duration = Duration::from_millis(200);

pub(crate) fn run(args: &WatchArgs) -> Result<ExitStatus, Failure> {
    let runs = if args.runs.is_empty() {
        vec![newest_run()?]
    } else {
        args.runs.iter().flat_map(|named| runs_of(named)).collect()
    };
    if args.once {
        return once(args, &runs);
    }
    let quit = listen();
    let mut display: Box<dyn Display> = match (args.json, output::is_interactive()) {
        (true, _) => Box::new(Json::default()),
        (false, true) => Box::new(Drawn::new()),
        (false, false) => Box::new(Plain::new(runs.len())),
    };
    loop {
        let views: Vec<RunView> = runs.iter().map(|run| RunView::read(run)).collect();
        display.show(&views);
        let ended = !args.follow && views.iter().all(|view| view.status.has_ended());
        let interrupted = quit.load(Ordering::Acquire) || output::reader_has_left();
        if ended || interrupted {
            display.finish();
            return Ok(if ended { ExitStatus::Success } else { ExitStatus::Interrupted });
        }
        std::thread::sleep(INTERVAL);
    }
}

/// The run that is named, or all runs in the directory that is named. What is neither may become a run.
fn runs_of(named: &Path) -> Vec<PathBuf> {
    let is_run = |path: &PathBuf| path.join("config.json").is_file();
    let entries = named.read_dir().into_iter().flatten().flatten();
    let mut inside: Vec<PathBuf> = entries.map(|entry| entry.path()).filter(is_run).collect();
    if is_run(&named.to_path_buf()) || inside.is_empty() {
        return vec![named.to_path_buf()];
    }
    inside.sort();
    inside
}

/// Raised by Ctrl-C, so that the table stays as it is and the shell's prompt gets a line of its own.
fn listen() -> Arc<AtomicBool> {
    let flag = Arc::new(AtomicBool::new(false));
    let raised = Arc::clone(&flag);
    // Where a handler is set already (tests in one process), the flag stays down.
    let _ = ctrlc::set_handler(move || raised.store(true, Ordering::Release));
    flag
}

fn once(args: &WatchArgs, runs: &[PathBuf]) -> Result<ExitStatus, Failure> {
    if let Some(missing) = runs.iter().find(|run| !run.join("config.json").is_file()) {
        let problem = format!("there is no run in `{}`", missing.display());
        return Err(Failure::usage(format!(
            "{problem}\n  help: without --once, a run that starts there is waited for"
        )));
    }
    let views: Vec<RunView> = runs.iter().map(|run| RunView::read(run)).collect();
    if args.json {
        views.iter().for_each(|view| output::line(&view.to_value().to_string()));
    } else {
        lines(&views, &mut Vec::new()).iter().for_each(|line| output::line(line));
    }
    Ok(ExitStatus::Success)
}

/// The run under `runs/` that was started or resumed last.
fn newest_run() -> Result<PathBuf, Failure> {
    let parent = Path::new(RunDirectory::DEFAULT_PARENT);
    let entries = parent.read_dir().into_iter().flatten().flatten();
    let started = |run: PathBuf| {
        let written: SystemTime = run.join("config.json").metadata().ok()?.modified().ok()?;
        Some((written, run))
    };
    let newest = entries.filter_map(|entry| started(entry.path())).max();
    newest.map(|(_, run)| run).ok_or_else(|| {
        Failure::usage("there is no run under runs/\n  help: name the directory of a run: skirl watch DIR")
    })
}

/// One run with its bar and table, several as a table with a line each.
fn lines(views: &[RunView], widths: &mut Vec<(&'static str, usize)>) -> Vec<String> {
    match views {
        [only] => {
            let table = only.last().map(|last| block(last, &only.stop, &only.start(), widths));
            only.headline().into_iter().chain(table.into_iter().flatten()).collect()
        }
        many => overview(many, terminal_width() - 1),
    }
}

/// How watched runs are shown.
trait Display {
    fn show(&mut self, views: &[RunView]);

    fn finish(&mut self) {}
}

/// In place, in a terminal.
struct Drawn {
    place: InPlace,
    widths: Vec<(&'static str, usize)>,
}

impl Drawn {
    fn new() -> Self {
        Self { place: InPlace::new(false), widths: Vec::new() }
    }
}

impl Display for Drawn {
    fn show(&mut self, views: &[RunView]) {
        self.place.show(&lines(views, &mut self.widths));
    }

    fn finish(&mut self) {
        self.place.finish();
    }
}

/// A line for each new result and each change of state, in a pipe.
struct Plain {
    runs: Vec<Shown>,
    several: bool,
}

/// What was last said of a run.
#[derive(Default)]
struct Shown {
    status: &'static str,
    iteration: Option<u64>,
    lines: Option<PlainLines>,
}

impl Plain {
    fn new(runs: usize) -> Self {
        Self { runs: (0..runs).map(|_| Shown::default()).collect(), several: runs > 1 }
    }
}

impl Display for Plain {
    fn show(&mut self, views: &[RunView]) {
        for (shown, view) in self.runs.iter_mut().zip(views) {
            shown.see(view, self.several);
        }
    }
}

impl Shown {
    fn see(&mut self, view: &RunView, several: bool) {
        let (status, ended) = (view.status.word(), view.status.has_ended());
        let changed = std::mem::replace(&mut self.status, status) != status;
        let prefix = if several { format!("{}: ", view.name()) } else { String::new() };
        if changed && !ended {
            output::line(&format!("{}{}", view.title_and_place(), view.in_words()));
        }
        if let Some(last) = view.last() {
            let iteration = last.get_count("training_iteration");
            let new = std::mem::replace(&mut self.iteration, iteration) != iteration;
            let lines = self
                .lines
                .get_or_insert_with(|| PlainLines::of(view.stop.clone(), view.start(), prefix.clone()));
            if new {
                lines.result(last);
            }
            if changed && ended {
                lines.finish();
            }
        }
        if changed && ended {
            output::line(&format!("{prefix}{}", view.in_words()));
        }
    }
}

/// An object for each change, for machines.
#[derive(Default)]
struct Json {
    shown: Vec<String>,
}

impl Display for Json {
    fn show(&mut self, views: &[RunView]) {
        let now: Vec<String> = views.iter().map(|view| view.to_value().to_string()).collect();
        let changed = now.iter().enumerate().filter(|(at, text)| self.shown.get(*at) != Some(text));
        changed.for_each(|(_, text)| output::line(text));
        self.shown = now;
    }
}
