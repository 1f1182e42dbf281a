//! The engine's things in the hands of Python code, for the time of one call: a hook is given `&mut Algorithm`, and the
//! user's code reaches it through the object that it holds anyway.
//!
//! A pointer is lent to the thread that the hook runs on, taken back when the hook returns or unwinds, and taken out while
//! it is in use, so there is never more than one reference to what it points at.

use std::cell::RefCell;
use std::ptr::NonNull;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, ThreadId};

use pyo3::prelude::*;
use skirl::Algorithm;

use crate::errors::SkirlError;

/// Something lent to the thread that runs a hook.
pub(crate) struct Loan<T: ?Sized> {
    /// `None` while it is in use, and after the hook.
    lent: Mutex<Option<NonNull<T>>>,
    thread: ThreadId,
}

// SAFETY: the pointer is followed on the thread that it was lent on and nowhere else (`with` compares); other threads can
// only learn that they may not.
unsafe impl<T: ?Sized> Send for Loan<T> {}
// SAFETY: as above; the slot itself is behind a mutex.
unsafe impl<T: ?Sized> Sync for Loan<T> {}

impl<T: ?Sized> Loan<T> {
    /// Lends `value` for the time of `hook`.
    pub(crate) fn lend<R>(value: &mut T, hook: impl FnOnce(&Arc<Self>) -> R) -> R {
        let loan = Self { lent: Mutex::new(Some(NonNull::from(value))), thread: thread::current().id() };
        let loan = Arc::new(loan);
        // Taken back also where the hook unwinds.
        let _ends = Ends(&loan);
        hook(&loan)
    }

    /// Uses what was lent; `what` names it in the error where that cannot be.
    pub(crate) fn with<R>(&self, what: &str, work: impl FnOnce(&mut T) -> R) -> PyResult<R> {
        let here = thread::current().id() == self.thread;
        let Some(mut pointer) = self.slot().take_if(|_| here) else {
            return Err(SkirlError::new_err(format!(
                "{what} can be used only while the function that it was given to runs, on the same thread, and not from within \
                 itself; take what you need from it there"
            )));
        };
        let _back = Back { loan: self, pointer };
        // SAFETY: `lend` made the pointer of a `&mut T` that it holds, without using it, until its hook has returned; `Ends`
        // empties the slot then, and this thread is inside the hook, so the hook has not returned. The slot was full, and is
        // empty until `_back` is dropped: no other reference is made of the pointer meanwhile.
        Ok(work(unsafe { pointer.as_mut() }))
    }

    fn slot(&self) -> std::sync::MutexGuard<'_, Option<NonNull<T>>> {
        self.lent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes back what was lent.
struct Ends<'a, T: ?Sized>(&'a Loan<T>);

impl<T: ?Sized> Drop for Ends<'_, T> {
    fn drop(&mut self) {
        *self.0.slot() = None;
    }
}

/// Puts the pointer back after its use.
struct Back<'a, T: ?Sized> {
    loan: &'a Loan<T>,
    pointer: NonNull<T>,
}

impl<T: ?Sized> Drop for Back<'_, T> {
    fn drop(&mut self) {
        *self.loan.slot() = Some(self.pointer);
    }
}

/// How deep calls from hooks may call hooks that call: a hook that calls what calls it would never end.
const MAX_DEPTH: usize = 8;

/// The algorithm, as hooks lend it.
type Lent = Arc<Loan<Algorithm>>;
/// A weak reference to the Python object of an algorithm.
pub(crate) type Owner = Arc<Py<PyAny>>;

/// An algorithm at work on this thread.
struct AtWork {
    key: usize,
    /// The Python object that the user holds (a weak reference to it).
    owner: Option<Owner>,
    loan: Option<Lent>,
    /// Hooks inside hooks.
    depth: usize,
}

thread_local! {
    /// Innermost last.
    static AT_WORK: RefCell<Vec<AtWork>> = const { RefCell::new(Vec::new()) };
}

/// Does engine work for the algorithm `key`, whose hooks then know whose they are. `owner` is a weak reference to its Python
/// object.
pub(crate) fn at_work<R>(key: usize, owner: Option<Owner>, work: impl FnOnce() -> R) -> R {
    AT_WORK.with_borrow_mut(|stack| stack.push(AtWork { key, owner, loan: None, depth: 0 }));
    let _pops = OnDrop(|| drop(AT_WORK.with_borrow_mut(Vec::pop)));
    work()
}

/// Lends the algorithm of a hook to the Python code that `hook` calls; it gets the Python object of that algorithm, where
/// there is one.
pub(crate) fn lend<R>(algorithm: &mut Algorithm, hook: impl FnOnce(Option<Owner>) -> R) -> R {
    Loan::lend(algorithm, |loan| {
        let (before, owner) = swap(Some(Arc::clone(loan)), |depth| depth + 1);
        let _back = OnDrop(|| drop(swap(before.clone(), |depth| depth - 1)));
        hook(owner)
    })
}

/// An error where hooks call each other without end.
pub(crate) fn check_depth() -> PyResult<()> {
    let depth = AT_WORK.with_borrow(|stack| stack.last().map_or(0, |entry| entry.depth));
    if depth < MAX_DEPTH {
        return Ok(());
    }
    Err(SkirlError::new_err(format!(
        "{depth} hooks are inside each other: a hook calls what calls the same hook again. Have it return early when it is \
         called from within itself"
    )))
}

/// Puts another loan into the innermost entry; what was there, and whose entry it is.
fn swap(loan: Option<Lent>, depth: impl FnOnce(usize) -> usize) -> (Option<Lent>, Option<Owner>) {
    AT_WORK.with_borrow_mut(|stack| match stack.last_mut() {
        Some(entry) => {
            entry.depth = depth(entry.depth);
            (std::mem::replace(&mut entry.loan, loan), entry.owner.clone())
        }
        None => (None, None),
    })
}

/// The algorithm `key`, if it is lent to Python code on this thread.
pub(crate) fn lent(key: usize) -> Option<Lent> {
    AT_WORK.with_borrow(|stack| stack.last().filter(|entry| entry.key == key)?.loan.clone())
}

/// Whether the algorithm `key` is at work on this thread: a call from a hook that was not given the algorithm.
pub(crate) fn is_at_work(key: usize) -> bool {
    AT_WORK.with_borrow(|stack| stack.iter().any(|entry| entry.key == key))
}

/// Calls a function when it is dropped.
struct OnDrop<F: FnMut()>(F);

impl<F: FnMut()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

/// The Python object of an algorithm, of the weak reference to it.
pub(crate) fn resolve<'py>(py: Python<'py>, owner: Option<&Py<PyAny>>) -> PyResult<Bound<'py, PyAny>> {
    match owner {
        Some(weak) => weak.bind(py).call0(),
        None => Ok(py.None().into_bound(py)),
    }
}
