//! Columns of the engine as NumPy arrays that may be written to, and back, without a copy.
//!
//! A column moves out of the engine into a buffer that Python owns; arrays look at it. Afterwards it moves back, if nobody
//! looks at it any more; else it is copied, and the array that somebody kept stays valid.

use std::ops::DerefMut;

use numpy::ndarray::ArrayViewMutD;
use numpy::{Element, PyArrayDyn, PyArrayMethods, PyUntypedArrayMethods};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyDict;
use skirl::contract::{Actions, Observations};

/// The memory of one column.
#[pyclass(module = "skirl._native")]
pub(crate) struct ColumnBuffer {
    data: Data,
}

enum Data {
    F32(Vec<f32>),
    I64(Vec<i64>),
    Observations(Observations),
}

/// Columns that can be changed.
pub(crate) trait ChangingColumn:
    Clone + Default + DerefMut<Target = [Self::Item]> + From<Vec<Self::Item>>
{
    type Item: Element + Copy;
    fn wrap(self) -> ColumnBuffer;
    fn unwrap(buffer: &mut ColumnBuffer) -> Option<&mut Self>;
    const NAME: &'static str;
}

macro_rules! changing_column {
    ($kind:ty, $item:ty, $variant:ident, $name:literal) => {
        impl ChangingColumn for $kind {
            type Item = $item;

            fn wrap(self) -> ColumnBuffer {
                ColumnBuffer { data: Data::$variant(self) }
            }

            fn unwrap(buffer: &mut ColumnBuffer) -> Option<&mut Self> {
                match &mut buffer.data {
                    Data::$variant(data) => Some(data),
                    _ => None,
                }
            }

            const NAME: &'static str = $name;
        }
    };
}
changing_column!(Vec<f32>, f32, F32, "float32");
changing_column!(Vec<i64>, i64, I64, "int64");
changing_column!(Observations, f32, Observations, "float32");

/// A column that is on loan to Python.
pub(super) struct Moved {
    name: &'static str,
    buffer: Py<ColumnBuffer>,
    array: Py<PyAny>,
    shape: Vec<usize>,
}

impl Moved {
    /// Moves `column` out and puts an array of `shape` (of which the first axis are rows) into `dict` under `name`.
    pub(super) fn out<T: ChangingColumn>(
        dict: &Bound<'_, PyDict>,
        name: &'static str,
        column: &mut T,
        shape: Vec<usize>,
    ) -> PyResult<Self> {
        let py = dict.py();
        let (buffer, array) = shown(py, std::mem::take(column), &shape)?;
        dict.set_item(name, &array)?;
        Ok(Self { name, buffer: buffer.unbind(), array: array.into_any().unbind(), shape })
    }

    /// Moves the column back, with what stands in `dict` under its name now: `rows` rows, or any number where `None`.
    pub(super) fn back<T: ChangingColumn>(
        self,
        dict: &Bound<'_, PyDict>,
        column: &mut T,
        rows: Option<usize>,
    ) -> PyResult<()> {
        let py = dict.py();
        let found = dict.get_item(self.name)?.ok_or_else(|| {
            PyValueError::new_err(format!("the column '{}' was taken out; expected it to stay", self.name))
        })?;
        if found.is(&self.array) {
            let Self { buffer, array, .. } = self;
            dict.del_item(self.name)?;
            drop((found, array));
            *column = take(buffer.into_bound(py));
            return Ok(());
        }
        let expected = rows.map_or_else(|| "any number of rows".to_owned(), |rows| format!("{rows} rows"));
        let array = cast::<T::Item>(&found, self.name, T::NAME)?;
        let fits = array.shape().first().is_some_and(|&found| rows.is_none_or(|rows| rows == found));
        if !fits || array.shape().get(1..) != self.shape.get(1..) {
            return Err(PyValueError::new_err(format!(
                "the column '{}': expected {expected} of shape {:?}, found an array of shape {:?}",
                self.name,
                self.shape.get(1..).unwrap_or_default(),
                array.shape()
            )));
        }
        *column = array.to_vec()?.into();
        Ok(())
    }
}

/// A column in a buffer of Python's, and the array of `shape` that looks at it and keeps it alive.
#[expect(clippy::type_complexity, reason = "two objects of Python's")]
pub(crate) fn shown<'py, T: ChangingColumn>(
    py: Python<'py>,
    column: T,
    shape: &[usize],
) -> PyResult<(Bound<'py, ColumnBuffer>, Bound<'py, PyArrayDyn<T::Item>>)> {
    let buffer = Bound::new(py, column.wrap())?;
    let array = view::<T>(&buffer, shape)?;
    Ok((buffer, array))
}

fn view<'py, T: ChangingColumn>(
    buffer: &Bound<'py, ColumnBuffer>,
    shape: &[usize],
) -> PyResult<Bound<'py, PyArrayDyn<T::Item>>> {
    let mut held = buffer.borrow_mut();
    let data = T::unwrap(&mut held).map(|data| &mut **data).unwrap_or_default();
    // A table may have more memory than rows.
    let len: usize = shape.iter().product();
    let data = data.get_mut(..len).unwrap_or_default();
    let view = ArrayViewMutD::from_shape(shape, data)
        .map_err(|error| PyValueError::new_err(format!("a column of another size than its rows: {error}")))?;
    let owner = buffer.clone().into_any();
    // SAFETY: the array keeps the buffer alive, whose memory is neither resized nor read by Rust while an array looks at it:
    // `take` moves it out only when the buffer has no other owner.
    Ok(unsafe { PyArrayDyn::borrow_from_array(&view, owner) })
}

/// The column of a buffer: itself, or a copy where an array still looks at it.
fn take<T: ChangingColumn>(buffer: Bound<'_, ColumnBuffer>) -> T {
    // SAFETY: the object is alive and the interpreter attached.
    let alone = unsafe { pyo3::ffi::Py_REFCNT(buffer.as_ptr()) } == 1;
    let mut held = buffer.borrow_mut();
    match T::unwrap(&mut held) {
        Some(data) if alone => std::mem::take(data),
        Some(data) => data.clone(),
        None => T::default(),
    }
}

/// An array that the user put in the place of a column.
fn cast<'py, T: Element>(
    found: &Bound<'py, PyAny>,
    name: &str,
    dtype: &str,
) -> PyResult<Bound<'py, PyArrayDyn<T>>> {
    let numpy = found.py().import("numpy")?;
    let array = numpy.call_method1("ascontiguousarray", (found, dtype)).map_err(|error| {
        let wrong = PyTypeError::new_err(format!("the column '{name}': expected numbers, found {found}"));
        wrong.set_cause(found.py(), Some(error));
        wrong
    })?;
    Ok(array.cast_into::<PyArrayDyn<T>>()?)
}

/// The shape of an action column: `[rows]` where an action is one number.
pub(crate) fn action_shape(actions: &Actions) -> Vec<usize> {
    match actions.width() {
        1 => vec![actions.rows()],
        width => vec![actions.rows(), width],
    }
}
