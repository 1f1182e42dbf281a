//! Where an algorithm is: at home between calls, or away at work on its thread.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};

use pyo3::prelude::*;
use skirl::Algorithm;

use crate::call::{attached, detached, message, panicked};
use crate::engine_thread::{self, Answer, EngineThread};
use crate::errors::{SkirlError, StoppedError, to_py_err};
use crate::lent;

/// Every algorithm of the process, so that all are closed before the interpreter is.
static ALIVE: Mutex<Vec<Weak<Held>>> = Mutex::new(Vec::new());

/// An algorithm and its thread.
pub(crate) struct Held {
    state: Mutex<State>,
    thread: EngineThread,
    /// A weak reference to the Python object that the user holds, which hooks are given.
    owner: OnceLock<Arc<Py<PyAny>>>,
}

/// Where the algorithm is.
pub(crate) enum State {
    /// Here, for whoever asks next.
    Home(Box<Algorithm>),
    /// At work on its thread.
    Away,
    /// After `stop`.
    Stopped,
    /// Lost in a panic, which said this.
    Broken(String),
}

impl Held {
    /// Starts a thread, on which an algorithm is to be [built](Self::build).
    pub(crate) fn start(py: Python<'_>) -> PyResult<Arc<Self>> {
        let state = Mutex::new(State::Away);
        let held = Arc::new(Self { state, thread: EngineThread::start(py)?, owner: OnceLock::new() });
        let mut alive = alive();
        alive.retain(|held| held.strong_count() > 0);
        alive.push(Arc::downgrade(&held));
        Ok(held)
    }

    /// Says whose algorithm it is: `owner` is a weak reference.
    pub(crate) fn belongs_to(&self, owner: Py<PyAny>) {
        let _ = self.owner.set(Arc::new(owner));
    }

    /// Builds the algorithm.
    pub(crate) fn build(
        &self,
        py: Python<'_>,
        build: impl FnOnce() -> Result<Algorithm, skirl::Error> + Send + 'static,
    ) -> PyResult<()> {
        let (key, owner) = (self.key(), self.owner.get().cloned());
        let built = self.thread.run(py, || {}, move || lent::at_work(key, owner, build));
        let built = built.and_then(Answer::into_result);
        let built = built.and_then(|built| built.map_err(|error| to_py_err(py, error)));
        let (outcome, state) = match built {
            Ok(algorithm) => (Ok(()), State::Home(Box::new(algorithm))),
            Err(error) => {
                self.thread.end();
                (Err(error), State::Stopped)
            }
        };
        *self.lock() = state;
        outcome
    }

    fn key(&self) -> usize {
        std::ptr::from_ref(self).addr()
    }

    /// Does something quick where the caller is.
    pub(crate) fn quick<T>(
        &self,
        py: Python<'_>,
        work: impl FnOnce(&mut Algorithm) -> Result<T, skirl::Error>,
    ) -> PyResult<T> {
        if let Some(loan) = lent::lent(self.key()) {
            return loan.with("the algorithm", |algorithm| attached(py, || work(algorithm)))?;
        }
        match &mut *self.lock() {
            State::Home(algorithm) => attached(py, || work(algorithm)),
            other => Err(self.not_home(other)),
        }
    }

    /// Does something that may take long on the algorithm's thread. `on_interrupt` is called when Ctrl-C is.
    pub(crate) fn long<T: Send + 'static>(
        &self,
        py: Python<'_>,
        on_interrupt: impl Fn(),
        work: impl FnOnce(&mut Algorithm) -> Result<T, skirl::Error> + Send + 'static,
    ) -> PyResult<T> {
        if let Some(loan) = lent::lent(self.key()) {
            lent::check_depth()?;
            return loan.with("the algorithm", |algorithm| detached(py, || work(algorithm)))?;
        }
        let mut algorithm = self.leave()?;
        let (key, owner) = (self.key(), self.owner.get().cloned());
        let answer = self.thread.run(py, on_interrupt, move || {
            let outcome = lent::at_work(key, owner, || work(&mut algorithm));
            (algorithm, outcome)
        })?;
        let (outcome, state) = match answer.outcome {
            Ok((algorithm, outcome)) => {
                (outcome.map_err(|error| to_py_err(py, error)), State::Home(algorithm))
            }
            Err(panic) => {
                let said = message(&*panic).to_owned();
                (Err(panicked(&said)), State::Broken(said))
            }
        };
        *self.lock() = state;
        answer.interrupted.map_or(outcome, Err)
    }

    /// Whether this is a hook of this algorithm.
    pub(crate) fn is_at_work_here(&self) -> bool {
        lent::is_at_work(self.key())
    }

    /// An error where a hook of this algorithm runs on this thread: `call` cannot be made in the middle of its work.
    pub(crate) fn refuse_in_hooks(&self, call: &str, remedy: &str) -> PyResult<()> {
        if !self.is_at_work_here() {
            return Ok(());
        }
        Err(SkirlError::new_err(format!(
            "{call} cannot be called from a hook of the same algorithm, which is at work: {remedy}"
        )))
    }

    /// Closes the algorithm and ends its thread. A second time nothing happens.
    pub(crate) fn stop(&self, py: Python<'_>) -> PyResult<()> {
        self.refuse_in_hooks(
            "stop()",
            "have the hook set a key of the result, or an attribute of your own, and call stop() where train() has returned",
        )?;
        if matches!(*self.lock(), State::Stopped | State::Broken(_)) {
            // Whoever waits for the thread of a lost algorithm must not wait for ever.
            self.thread.end();
            return Ok(());
        }
        let algorithm = self.leave()?;
        *self.lock() = State::Stopped;
        let closed = self.thread.run(py, || {}, move || drop(algorithm))?.into_result();
        self.thread.end();
        closed
    }

    fn leave(&self) -> PyResult<Box<Algorithm>> {
        let mut state = self.lock();
        match std::mem::replace(&mut *state, State::Away) {
            State::Home(algorithm) => Ok(algorithm),
            other => {
                let refused = self.not_home(&other);
                *state = other;
                Err(refused)
            }
        }
    }

    fn not_home(&self, state: &State) -> PyErr {
        match state {
            State::Away if lent::is_at_work(self.key()) => SkirlError::new_err(
                "the algorithm cannot be called from a hook that runs in the middle of its work (hooks of episodes, of rollouts \
                 and of batches, on_checkpoint_saved): do it in on_train_result, or after train()",
            ),
            other => not_home(other),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic cannot leave it half-written: it is replaced whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Held {
    /// The algorithm is closed on its thread, and nobody waits for it.
    fn drop(&mut self) {
        let state = self.state.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let State::Home(algorithm) = std::mem::replace(state, State::Stopped) {
            self.thread.leave_with(algorithm);
        }
    }
}

fn not_home(state: &State) -> PyErr {
    match state {
        State::Away => SkirlError::new_err(
            "this algorithm is at work in another thread; call it from one thread at a time",
        ),
        State::Broken(said) => SkirlError::new_err(format!(
            "this algorithm was lost in a defect of skirl ({said}); build a new one from its config, or from its last \
             checkpoint"
        )),
        State::Stopped | State::Home(_) => StoppedError::new_err(
            "this algorithm was stopped, by stop() or at the end of its `with` block: its environments, networks and threads \
             are gone. Move the call before that; or build a new one, algo.config.copy(copy_frozen=False).build_algo(). To go \
             on from where it was, call save_to_path() before stop(), and from_checkpoint(path) later",
        ),
    }
}

fn alive() -> MutexGuard<'static, Vec<Weak<Held>>> {
    ALIVE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Closes every algorithm, and waits for their threads. Called before the interpreter is taken down.
pub(crate) fn close_all(py: Python<'_>) {
    let held: Vec<Arc<Held>> = std::mem::take(&mut *alive()).iter().filter_map(Weak::upgrade).collect();
    for held in held {
        // One that is at work in another thread ends with that work; one of a process that this was forked from is not ours.
        if held.stop(py).is_err() {
            held.thread.end();
        }
    }
    engine_thread::join_all(py);
}
