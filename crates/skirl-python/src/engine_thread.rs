//! The thread on which an algorithm works. Everything that may take long happens there, from building the environments to
//! closing them, so environments that belong to one thread work; meanwhile the caller's thread looks after signals, which
//! Python hands to its main thread alone.

use std::any::Any;
use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, TryRecvError, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

use pyo3::prelude::*;
use skirl::contract::Herald;

use crate::call::{message, panicked};
use crate::errors::{InternalError, SkirlError};

/// How long a signal waits at most until it is noticed.
const LOOK_AFTER: Duration = Duration::from_millis(50);
/// How long a thread stays awake because something is about to come: the next work for the engine's, the end of the work for
/// the caller's. To be woken takes a thread some 50 to 100 microseconds, of which a short iteration would have two.
const LOOK_OUT: Duration = Duration::from_micros(300);
/// Debug builds have large frames, and environments may recurse: the main thread's usual size.
const STACK_BYTES: usize = 8 << 20;

type Job = Box<dyn FnOnce() + Send>;
type SaySoon = Box<dyn Fn() + Send>;
/// What work came to, or the panic that ended it.
type Outcome<T> = Result<T, Box<dyn Any + Send>>;

/// What the thread says to its caller.
enum Word<T> {
    /// The work is about to end.
    Soon,
    Done(Outcome<T>),
}

/// Every thread that was started, with its process, so that all can end before the interpreter does.
static RUNNING: Mutex<Vec<(u32, JoinHandle<()>)>> = Mutex::new(Vec::new());

thread_local! {
    /// Whether the work of this thread was interrupted; none on threads that are not an algorithm's.
    static INTERRUPTED: RefCell<Option<Arc<AtomicBool>>> = const { RefCell::new(None) };
    /// Where this thread can tell its caller something.
    static CALLER: Caller = Caller::default();
}

/// Tells whoever waits for the work under way that it is about to end; nobody while there is none.
#[derive(Clone, Default)]
struct Caller(Arc<Mutex<Option<SaySoon>>>);

impl Caller {
    fn set(&self, say_soon: Option<SaySoon>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = say_soon;
    }

    fn say_soon(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().for_each(|say| say());
    }
}

/// Wakes whoever waits for the work of this thread, from any of the threads that have a part in it.
pub(crate) fn herald() -> Herald {
    let caller = CALLER.with(Caller::clone);
    Herald::new(move || caller.say_soon())
}

/// Whether the caller's thread met a signal since the work of this thread began: environments need not be stepped on.
pub(crate) fn is_interrupted() -> bool {
    INTERRUPTED
        .with_borrow(|interrupted| interrupted.as_ref().is_some_and(|flag| flag.load(Ordering::Relaxed)))
}

/// What follows on this thread is done to its end: what an interruption cut off is put back.
pub(crate) fn forget_interruption() {
    interruption().store(false, Ordering::Relaxed);
}

/// What [`is_interrupted`] reads on this thread, for whoever has to know it on others.
pub(crate) fn interruption() -> Arc<AtomicBool> {
    INTERRUPTED.with_borrow(|interrupted| interrupted.clone().unwrap_or_default())
}

/// What a piece of work came to, or the panic that ended it.
pub(crate) struct Answer<T> {
    pub(crate) outcome: Outcome<T>,
    /// What a signal handler raised meanwhile: `KeyboardInterrupt` as a rule.
    pub(crate) interrupted: Option<PyErr>,
}

impl<T> Answer<T> {
    /// What came out. An interruption goes before it.
    pub(crate) fn into_result(self) -> PyResult<T> {
        match self.interrupted {
            Some(raised) => Err(raised),
            None => self.outcome.map_err(|panic| panicked(message(&*panic))),
        }
    }
}

/// A thread that works for one algorithm, one piece at a time.
pub(crate) struct EngineThread {
    /// None once the thread was asked to end.
    jobs: Mutex<Option<Sender<Job>>>,
    /// What [`is_interrupted`] reads on the thread.
    interrupted: Arc<AtomicBool>,
    /// Python's name for the thread.
    ident: u64,
    /// Threads do not outlive a fork.
    process: u32,
}

impl EngineThread {
    /// Starts the thread.
    pub(crate) fn start(py: Python<'_>) -> PyResult<Self> {
        // Whoever imports it first is the main thread for it: that must not be the new one.
        py.import("threading")?;
        let (jobs, inbox) = channel();
        let (say_ident, ident) = channel();
        let interrupted = Arc::new(AtomicBool::new(false));
        let on_thread = Arc::clone(&interrupted);
        let started =
            Builder::new().name("skirl-engine".to_owned()).stack_size(STACK_BYTES).spawn(move || {
                INTERRUPTED.set(Some(on_thread));
                // Attached once for all: a thread that Python knows by name keeps its `threading.local` from job to job.
                Python::attach(|py| {
                    let _ = say_ident.send(thread_ident(py));
                    py.detach(move || work_off(inbox));
                });
            });
        let handle = started.map_err(|error| {
            SkirlError::new_err(format!(
                "could not start a thread for the algorithm: {error}; the system is out of threads"
            ))
        })?;
        running().push((std::process::id(), handle));
        let ident = py.detach(move || ident.recv());
        let ident = ident
            .map_err(|_| InternalError::new_err("the engine's thread ended before its first work"))??;
        Ok(Self { jobs: Mutex::new(Some(jobs)), interrupted, ident, process: std::process::id() })
    }

    /// Does `work` on the thread and waits for it. `on_interrupt` is called once, when a signal handler raises; another signal
    /// then raises in the Python code that runs on the thread, such as an environment that does not return.
    pub(crate) fn run<T: Send + 'static>(
        &self,
        py: Python<'_>,
        on_interrupt: impl Fn(),
        work: impl FnOnce() -> T + Send + 'static,
    ) -> PyResult<Answer<T>> {
        self.interrupted.store(false, Ordering::Relaxed);
        let answers = self.send(work)?;
        let mut interrupted: Option<PyErr> = None;
        let mut look_at = Instant::now() + LOOK_AFTER;
        loop {
            match py.detach(|| receive(&answers, look_at)) {
                Ok(outcome) => return Ok(Answer { outcome, interrupted }),
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(InternalError::new_err(
                        "the engine's thread ended in the middle of its work",
                    ));
                }
                Err(RecvTimeoutError::Timeout) => look_at = Instant::now() + LOOK_AFTER,
            }
            let Err(raised) = py.check_signals() else { continue };
            match &interrupted {
                None => {
                    self.interrupted.store(true, Ordering::Relaxed);
                    on_interrupt();
                }
                Some(_) => self.raise_in_thread(py, &raised),
            }
            interrupted.get_or_insert(raised);
        }
    }

    fn send<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> PyResult<Guarded<Receiver<Word<T>>>> {
        if self.process != std::process::id() {
            return Err(SkirlError::new_err(format!(
                "this algorithm was built in process {}, and process {} was forked from it: threads do not go along. Build \
                 the algorithm in the process that uses it, or start processes with the method `spawn`",
                self.process,
                std::process::id()
            )));
        }
        let (answer, answers) = channel();
        let job: Job = Box::new(move || {
            let soon = answer.clone();
            CALLER.with(|caller| caller.set(Some(Box::new(move || drop(soon.send(Word::Soon))))));
            let outcome = catch_unwind(AssertUnwindSafe(work));
            CALLER.with(|caller| caller.set(None));
            let _ = answer.send(Word::Done(outcome));
        });
        let jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        let sent = jobs.as_ref().is_some_and(|jobs| jobs.send(job).is_ok());
        let ended = || SkirlError::new_err("this algorithm was stopped; build a new one from its config");
        sent.then_some(Guarded(Mutex::new(answers))).ok_or_else(ended)
    }

    /// Gives the thread something to drop, without waiting.
    pub(crate) fn leave_with(&self, last: impl Send + 'static) {
        let jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(jobs) = jobs.as_ref() {
            let _ = jobs.send(Box::new(move || drop(catch_unwind(AssertUnwindSafe(move || drop(last))))));
        }
    }

    /// Ends the thread after the work it was given.
    pub(crate) fn end(&self) {
        drop(self.jobs.lock().unwrap_or_else(PoisonError::into_inner).take());
    }

    fn raise_in_thread(&self, py: Python<'_>, raised: &PyErr) {
        let kind = raised.get_type(py);
        // SAFETY: the interpreter is attached, and `kind` is an exception type that outlives the call.
        unsafe {
            pyo3::ffi::PyThreadState_SetAsyncExc(self.ident as std::ffi::c_ulong as _, kind.as_ptr());
        }
    }
}

impl Drop for EngineThread {
    fn drop(&mut self) {
        self.end();
    }
}

/// A receiver that may be looked at from the detached closure; only one thread ever does.
struct Guarded<T>(Mutex<T>);

/// What the work came to; `Timeout` at `until`, when it is time to look after signals.
fn receive<T>(words: &Guarded<Receiver<Word<T>>>, until: Instant) -> Result<Outcome<T>, RecvTimeoutError> {
    let words = words.0.lock().unwrap_or_else(PoisonError::into_inner);
    loop {
        let mut word = words.recv_timeout(until.saturating_duration_since(Instant::now()))?;
        if let (Word::Soon, Some(next)) = (&word, look_out(&words)) {
            word = next?;
        }
        match word {
            Word::Done(outcome) => return Ok(outcome),
            // An iteration of many rollouts is about to end many times.
            Word::Soon if Instant::now() >= until => return Err(RecvTimeoutError::Timeout),
            Word::Soon => {}
        }
    }
}

/// Waits awake for what is about to come, and leaves the core to whoever wants it. `None` if it takes longer.
fn look_out<T>(inbox: &Receiver<T>) -> Option<Result<T, RecvTimeoutError>> {
    let until = Instant::now() + LOOK_OUT;
    while Instant::now() < until {
        match inbox.try_recv() {
            Ok(word) => return Some(Ok(word)),
            Err(TryRecvError::Disconnected) => return Some(Err(RecvTimeoutError::Disconnected)),
            Err(TryRecvError::Empty) => std::thread::yield_now(),
        }
    }
    None
}

fn work_off(inbox: Receiver<Job>) {
    while let Some(job) = next_job(&inbox) {
        job();
    }
}

/// Waits for work; `None` once there will be none. As a rule the caller comes back at once with the next piece.
fn next_job(inbox: &Receiver<Job>) -> Option<Job> {
    match look_out(inbox) {
        Some(job) => job.ok(),
        None => inbox.recv().ok(),
    }
}

fn thread_ident(py: Python<'_>) -> PyResult<u64> {
    py.import("_thread")?.call_method0("get_ident")?.extract()
}

fn running() -> MutexGuard<'static, Vec<(u32, JoinHandle<()>)>> {
    let mut running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
    let here = std::process::id();
    // Those of another process are not running: this one was forked from it.
    running.retain(|(process, handle)| *process == here && !handle.is_finished());
    running
}

/// Waits until every thread that was told to end has ended. A thread that asks for the interpreter's lock when the
/// interpreter is being taken down would be torn out of the middle of its work.
pub(crate) fn join_all(py: Python<'_>) {
    let handles = std::mem::take(&mut *running());
    py.detach(|| handles.into_iter().for_each(|(_, handle)| drop(handle.join())));
}
