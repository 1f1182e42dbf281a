//! What a worker prints, on its way to the terminal: line by line, with the runner's name in front.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Lines that are kept for error messages.
const KEPT: usize = 40;

/// Lines that came from one worker.
#[derive(Debug, Clone, Default)]
pub struct Output {
    inner: Arc<Mutex<Lines>>,
}

#[derive(Debug, Default)]
struct Lines {
    last: VecDeque<String>,
    /// A dump of the stack is expected: lines are gathered here and not shown.
    dump: Option<Vec<String>>,
    last_line: Option<Instant>,
    closed: bool,
}

impl Output {
    /// Shows all lines of `from` on this process's standard error, each after `tag`, until it is closed.
    pub fn pump(from: impl Read + Send + 'static, tag: String) -> Self {
        let output = Self::default();
        let lines = output.clone();
        let pump = move || lines.run(from, &tag);
        if std::thread::Builder::new().name("skirl-output".to_owned()).spawn(pump).is_err() {
            output.lock().closed = true;
        }
        output
    }

    fn run(&self, from: impl Read, tag: &str) {
        let mut reader = BufReader::new(from);
        let mut line = Vec::new();
        while reader.read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
            let text = String::from_utf8_lossy(&line).trim_end_matches(['\n', '\r']).to_owned();
            line.clear();
            if self.keep(&text) {
                // One write, so that lines of several workers do not mix. A closed terminal is no reason to stop reading.
                let _ = std::io::stderr().write_all(format!("{tag} {text}\n").as_bytes());
            }
        }
        self.lock().closed = true;
    }

    /// Keeps a line; whether it is to be shown.
    fn keep(&self, text: &str) -> bool {
        let mut lines = self.lock();
        lines.last_line = Some(Instant::now());
        if let Some(dump) = &mut lines.dump {
            dump.push(text.to_owned());
            return false;
        }
        if lines.last.len() == KEPT {
            lines.last.pop_front();
        }
        lines.last.push_back(text.to_owned());
        true
    }

    /// The last lines.
    pub fn last_lines(&self) -> Vec<String> {
        self.lock().last.iter().cloned().collect()
    }

    /// Gathers what is printed from now on instead of showing it.
    pub fn begin_dump(&self) {
        let mut lines = self.lock();
        lines.dump = Some(Vec::new());
        lines.last_line = None;
    }

    /// What was gathered, once nothing has come for a moment, at the latest after `patience`.
    pub fn end_dump(&self, patience: Duration) -> Vec<String> {
        let (started, quiet) = (Instant::now(), Duration::from_millis(100));
        while started.elapsed() < patience {
            std::thread::sleep(Duration::from_millis(10));
            let lines = self.lock();
            if lines.closed || lines.last_line.is_some_and(|last| last.elapsed() > quiet) {
                break;
            }
        }
        self.lock().dump.take().unwrap_or_default()
    }

    /// Waits a moment for the last words of a process that has ended.
    pub fn wait_until_closed(&self, patience: Duration) {
        let started = Instant::now();
        while !self.lock().closed && started.elapsed() < patience {
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn lock(&self) -> MutexGuard<'_, Lines> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Tells the user something that is no error.
pub fn tell(tag: &str, text: &str) {
    let _ = std::io::stderr().write_all(format!("{tag} {text}\n").as_bytes());
}

/// The traceback that was shown last since workers were started last.
static TOLD: Mutex<Option<String>> = Mutex::new(None);

/// New workers: their tracebacks are shown whatever others had.
pub fn forget_told() {
    *TOLD.lock().unwrap_or_else(PoisonError::into_inner) = None;
}

/// Tells of a failure that is put right. A Python traceback is shown once: the same one again, of whichever worker, is left out.
pub fn tell_failure(tag: &str, message: &str, what_follows: &str) {
    let (first, rest) = message.split_once('\n').unwrap_or((message, ""));
    if !rest.starts_with("Traceback") {
        let rest = if rest.is_empty() { String::new() } else { format!("\n{rest}") };
        return tell(tag, &format!("{first}; {what_follows}{rest}"));
    }
    let cause = cause_of(rest);
    let mut told = TOLD.lock().unwrap_or_else(PoisonError::into_inner);
    if told.as_deref() == Some(&cause) {
        return tell(tag, &format!("{first} (the traceback ends as the one above); {what_follows}"));
    }
    tell(tag, &format!("{first}; {what_follows}\n{rest}"));
    *told = Some(cause);
}

/// A traceback without what its exception says, which may hold the worker's number: the lines of code and the exception's type.
fn cause_of(trace: &str) -> String {
    let (code, raised) = trace.rsplit_once('\n').unwrap_or(("", trace));
    let kind = raised.split(':').next().unwrap_or_default();
    format!("{code}\n{kind}")
}
