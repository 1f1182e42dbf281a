//! Calling a method that is bound already.

use pyo3::ffi;
use pyo3::prelude::*;

/// Calls `method(argument)` without a tuple for the argument, which the stable interface would otherwise make for every call.
pub(super) fn call_with<'py>(
    method: &Bound<'py, PyAny>,
    argument: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyAny>> {
    let end = std::ptr::null_mut::<ffi::PyObject>();
    // SAFETY: both are live objects of this interpreter, whose lock is held (there is a Bound); the arguments end with a null,
    // as the function asks for. What it returns is a new reference, or null with an exception set.
    unsafe {
        let returned = ffi::PyObject_CallFunctionObjArgs(method.as_ptr(), argument.as_ptr(), end);
        Bound::from_owned_ptr_or_err(method.py(), returned)
    }
}
