//! A worker process as its parent holds it: started, asked, watched, ended.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use crate::death;
use crate::frame::{self, Frame, FrameError};
use crate::handover;
use crate::memory::{Progress, SharedMemory};
use crate::message::{HookFailure, LOOK, Reply, Request};
use crate::output::Output;
use crate::tables::OpenTable;

/// How long a process that was asked to end, or whose end was noticed, may take to be gone.
const LAST_MOMENTS: Duration = Duration::from_secs(2);

/// How a worker is started. Its standard input is the socket, its standard output the shared memory, its standard error what
/// it prints; the program calls [`serve`](crate::worker::serve) with the first two.
#[derive(Debug, Clone, Default)]
pub struct WorkerCommand {
    /// The program.
    pub program: OsString,
    /// Its arguments.
    pub args: Vec<OsString>,
    /// Environment variables beside those of this process.
    pub env: Vec<(OsString, OsString)>,
}

/// How long a worker may go without a sign of life, and the option that says so.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// What it did not do in that time, in words.
    pub what: &'static str,
    /// The time.
    pub time: Duration,
    /// The option.
    pub option: &'static str,
}

/// Why a worker did not do what it was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// Its environments, or what built them, said no. The process is well.
    Refused(String),
    /// The process is gone.
    Died(String),
    /// It made no progress in time, and was killed.
    Hung(String),
    /// A hook of callbacks failed.
    Hook(Box<HookFailure>),
    /// Nobody wants the answer any more.
    Interrupted {
        /// The process did not take notice, and was killed.
        killed: bool,
    },
}

impl Failure {
    /// Of asking where there is none.
    pub(crate) fn no_process() -> Self {
        Self::Died("has no process".to_owned())
    }

    /// In words, as the end of a sentence about the runner.
    pub fn message(&self) -> &str {
        match self {
            Self::Refused(message) | Self::Died(message) | Self::Hung(message) => message,
            Self::Hook(hook) => &hook.message,
            Self::Interrupted { .. } => "interrupted",
        }
    }
}

/// A running worker.
#[derive(Debug)]
pub struct Process {
    child: Child,
    socket: UnixStream,
    output: Output,
    progress: Progress,
    newest_request: u64,
    /// Tables that it has mapped.
    tables: BTreeSet<u64>,
    last_memory: Option<u64>,
    /// Raised while nobody wants to wait.
    interrupted: Arc<AtomicBool>,
}

impl Process {
    /// Starts a worker with this memory.
    ///
    /// # Errors
    /// The system's: a program that is not there, too many processes or files.
    pub fn start(
        command: &WorkerCommand,
        memory: &SharedMemory,
        tag: &str,
        interrupted: Arc<AtomicBool>,
    ) -> std::io::Result<Self> {
        let (here, there) = UnixStream::pair()?;
        here.set_read_timeout(Some(LOOK))?;
        let mut starting = Command::new(&command.program);
        starting
            // Ctrl-C in a terminal is sent to the group of the process that trains, which decides what happens.
            .process_group(0)
            .args(&command.args)
            .envs(command.env.iter().cloned())
            .stdin(Stdio::from(OwnedFd::from(there)))
            .stdout(Stdio::from(memory.file().try_clone()?))
            .stderr(Stdio::piped());
        let mut child = start_from_lasting_thread(starting)?;
        let stderr = child.stderr.take().ok_or_else(|| std::io::Error::other("no standard error"))?;
        let output = Output::pump(stderr, tag.to_owned());
        let progress = Progress::of(memory.file())?;
        // Requests are counted anew.
        progress.cancel(0);
        Ok(Self {
            child,
            socket: here,
            output,
            progress,
            newest_request: 0,
            tables: BTreeSet::new(),
            last_memory: None,
            interrupted,
        })
    }

    /// The process's number.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Steps of environments since its memory was made, also by processes before it.
    pub fn env_steps(&self) -> u64 {
        self.progress.env_steps()
    }

    /// Sends a request and waits for its reply, as long as the process makes progress while `patience` lasts. After an
    /// interruption nothing is sampled, and whatever else is under way has a moment left.
    ///
    /// # Errors
    /// The process said no, died, or made no progress; in the last two cases it is gone. An interruption.
    pub fn ask(
        &mut self,
        request: &Request,
        bytes: &[u8],
        patience: Patience,
    ) -> Result<(Reply, Vec<u8>), Failure> {
        self.post(request, bytes, patience)?;
        self.answer(patience)
    }

    /// Sends a request, without waiting for its reply: [`answer`](Self::answer) must follow, or the reply is passed over. The
    /// request's number.
    ///
    /// # Errors
    /// As [`ask`](Self::ask).
    pub fn post(&mut self, request: &Request, bytes: &[u8], patience: Patience) -> Result<u64, Failure> {
        self.send(request, bytes, None, patience)?;
        Ok(self.newest_request)
    }

    /// Number of the request that [`answer`](Self::answer) waits for.
    pub fn newest_request(&self) -> u64 {
        self.newest_request
    }

    /// Whether it has mapped the table.
    pub fn has_table(&self, id: u64) -> bool {
        self.tables.contains(&id)
    }

    /// Has it map a table, unless it has, and forget those that are not among `known` any more. `file` opens the table.
    ///
    /// # Errors
    /// As [`ask`](Self::ask).
    pub fn take_table(
        &mut self,
        table: OpenTable,
        known: &[u64],
        file: impl FnOnce() -> std::io::Result<File>,
        patience: Patience,
    ) -> Result<(), Failure> {
        self.tables.retain(|id| known.contains(id));
        if self.tables.contains(&table.id) {
            return Ok(());
        }
        let refused = |error| Failure::Refused(format!("could not be given memory: {error}"));
        let file = file().map_err(refused)?;
        self.send(&Request::TakeTable(table), &[], Some(&file), patience)?;
        self.answer(patience)?;
        self.tables.insert(table.id);
        Ok(())
    }

    fn send(
        &mut self,
        request: &Request,
        bytes: &[u8],
        file: Option<&File>,
        patience: Patience,
    ) -> Result<(), Failure> {
        if matches!(request, Request::Sample { .. }) && self.is_interrupted() {
            return Err(Failure::Interrupted { killed: false });
        }
        self.newest_request += 1;
        let header = serde_json::to_vec(request)
            .map_err(|error| Failure::Refused(format!("could not be asked: {error}")))?;
        let sent = frame::send(&mut self.socket, self.newest_request, &header, bytes);
        let sent = sent.and_then(|()| Ok(file.map_or(Ok(()), |file| handover::send(&self.socket, file))?));
        sent.map_err(|error| self.autopsy(&error, patience))
    }

    /// Waits for the reply to the newest request.
    ///
    /// # Errors
    /// As [`ask`](Self::ask).
    pub fn answer(&mut self, patience: Patience) -> Result<(Reply, Vec<u8>), Failure> {
        let frame = self.wait(patience).map_err(|error| self.autopsy(&error, patience))?;
        let reply = serde_json::from_slice(&frame.header).map_err(|error| {
            let broken = FrameError::Malformed(error.to_string());
            self.autopsy(&broken, patience)
        })?;
        match reply {
            Reply::Failed { .. } if self.is_interrupted() => Err(Failure::Interrupted { killed: false }),
            Reply::Failed { hook: Some(hook), .. } => Err(Failure::Hook(hook)),
            Reply::Failed { message, hook: None } => Err(Failure::Refused(message)),
            reply => Ok((reply, frame.bytes)),
        }
    }

    fn is_interrupted(&self) -> bool {
        self.interrupted.load(Ordering::Relaxed)
    }

    fn wait(&mut self, patience: Patience) -> Result<Frame, FrameError> {
        let Self { socket, progress, last_memory, child, interrupted, newest_request, .. } = self;
        let (mut seen, mut since) = (progress.count(), Instant::now());
        let mut looks = 0u32;
        let mut cancelled: Option<Instant> = None;
        frame::receive_reply(socket, *newest_request, &mut || {
            let now = progress.count();
            if now != seen {
                (seen, since) = (now, Instant::now());
            }
            if looks.is_multiple_of(10) {
                *last_memory = death::memory_of(child.id()).or(*last_memory);
            }
            looks += 1;
            if interrupted.load(Ordering::Relaxed) && cancelled.is_none() {
                progress.cancel(*newest_request);
                cancelled = Some(Instant::now());
            }
            cancelled.map_or(since.elapsed() < patience.time, |since| since.elapsed() < LAST_MOMENTS)
        })
    }

    /// What became of the process, after a reply did not come. It is gone afterwards.
    fn autopsy(&mut self, error: &FrameError, patience: Patience) -> Failure {
        let pid = self.pid();
        match error {
            FrameError::GaveUp if self.is_interrupted() => {
                self.kill();
                Failure::Interrupted { killed: true }
            }
            FrameError::GaveUp => {
                let stack = self.stack_dump();
                self.kill();
                Failure::Hung(format!(
                    "(pid {pid}) {} for {} s and was killed ({})\n{stack}",
                    patience.what,
                    patience.time.as_secs_f64(),
                    patience.option
                ))
            }
            FrameError::Closed => {
                let ended = self.wait_for_end(LAST_MOMENTS);
                let how = ended.map_or_else(
                    || "closed its connection and was killed".to_owned(),
                    |status| death::describe(status, self.last_memory),
                );
                self.kill();
                self.output.wait_until_closed(Duration::from_millis(200));
                Failure::Died(format!("(pid {pid}) {how}"))
            }
            other => {
                self.kill();
                Failure::Died(format!("(pid {pid}) could not be understood and was killed: {other}"))
            }
        }
    }

    /// The last lines that it printed.
    pub fn last_lines(&self) -> Vec<String> {
        self.output.last_lines()
    }

    /// Where it is, as far as it can still tell: Python's `faulthandler` answers to SIGUSR1.
    fn stack_dump(&mut self) -> String {
        self.output.begin_dump();
        if let Some(pid) = rustix::process::Pid::from_raw(self.child.id() as i32) {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::USR1);
        }
        let lines = self.output.end_dump(Duration::from_millis(1500));
        if lines.is_empty() {
            return "It did not say where it hangs".to_owned();
        }
        format!("It hangs here:\n{}", lines.join("\n"))
    }

    fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    fn wait_for_end(&mut self, patience: Duration) -> Option<std::process::ExitStatus> {
        let started = Instant::now();
        loop {
            match self.child.try_wait() {
                Ok(Some(status)) => return Some(status),
                Ok(None) if started.elapsed() < patience => std::thread::sleep(Duration::from_millis(2)),
                _ => return None,
            }
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(Some(_))) {
            return;
        }
        let header = serde_json::to_vec(&Request::Stop).unwrap_or_default();
        let _ = frame::send(&mut self.socket, self.newest_request + 1, &header, &[]);
        let _ = self.socket.shutdown(std::net::Shutdown::Both);
        self.wait_for_end(LAST_MOMENTS);
        self.kill();
    }
}

type Starting = (Command, Sender<std::io::Result<Child>>);

/// Starts all workers from one thread that never ends: a worker ends when the *thread* that started it does
/// (`PR_SET_PDEATHSIG`), and the callers' threads come and go.
fn start_from_lasting_thread(command: Command) -> std::io::Result<Child> {
    static STARTER: OnceLock<Option<Sender<Starting>>> = OnceLock::new();
    let starter = STARTER.get_or_init(|| {
        let (orders, received) = channel::<Starting>();
        let start_all = move || {
            for (mut command, answer) in received {
                let _ = answer.send(command.spawn());
            }
        };
        std::thread::Builder::new().name("skirl-starter".to_owned()).spawn(start_all).ok().map(|_| orders)
    });
    let gone = || std::io::Error::other("no thread could be started");
    let (answer, child) = channel();
    starter.as_ref().ok_or_else(gone)?.send((command, answer)).map_err(|_| gone())?;
    child.recv().map_err(|_| gone())?
}
