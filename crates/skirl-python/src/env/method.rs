//! Calling a method.

use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyString;

/// `object.name(argument)`, without a tuple for the argument and without binding the method, which PyO3 would make for every call
/// through the stable interface.
pub(super) fn call_method_with<'py>(
    object: &Bound<'py, PyAny>,
    name: &Bound<'py, PyString>,
    argument: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyAny>> {
    let end = std::ptr::null_mut::<ffi::PyObject>();
    // SAFETY: all three are live objects of this interpreter, whose lock is held (there is a Bound); the arguments end with a
    // null, as the function asks for. What it returns is a new reference, or null with an exception set.
    unsafe {
        let returned =
            ffi::PyObject_CallMethodObjArgs(object.as_ptr(), name.as_ptr(), argument.as_ptr(), end);
        Bound::from_owned_ptr_or_err(object.py(), returned)
    }
}
