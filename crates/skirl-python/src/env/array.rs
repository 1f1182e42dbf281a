//! NumPy arrays seen as memory: what the fast path needs to know of one, without a look-up by name.

use numpy::npyffi::{_PyArray_GET_ITEM_DATA, flags, objects::PyArrayObject_fields};
use numpy::{
    PyArrayDescr, PyArrayDescrMethods, PyArrayDyn, PyArrayMethods, PyUntypedArray, PyUntypedArrayMethods,
    dtype,
};
use pyo3::ffi::PyObject;
use pyo3::prelude::*;
use skirl_env::{Column, ColumnMut, ColumnRef, DType};

use super::object::references;
use crate::errors::InternalError;

/// An element type, with NumPy's descriptor of it.
pub(super) struct ElementType {
    pub(super) dtype: DType,
    descr: Py<PyArrayDescr>,
}

impl ElementType {
    pub(super) fn of(py: Python<'_>, kind: DType) -> Self {
        let descr = match kind {
            DType::F32 => dtype::<f32>(py),
            DType::F64 => dtype::<f64>(py),
            DType::I8 => dtype::<i8>(py),
            DType::I16 => dtype::<i16>(py),
            DType::I32 => dtype::<i32>(py),
            DType::I64 => dtype::<i64>(py),
            DType::U8 => dtype::<u8>(py),
            DType::U16 => dtype::<u16>(py),
            DType::U32 => dtype::<u32>(py),
            DType::U64 => dtype::<u64>(py),
            DType::Bool => dtype::<bool>(py),
        };
        Self { dtype: kind, descr: descr.unbind() }
    }

    /// Built-in descriptors are single objects.
    fn is_own(&self, fields: &PyArrayObject_fields) -> bool {
        fields.descr.cast::<PyObject>() == self.descr.as_ptr()
    }
}

fn fields<'a>(array: &'a Bound<'_, PyUntypedArray>) -> &'a PyArrayObject_fields {
    // SAFETY: `array` is an instance of numpy.ndarray, so it points to a PyArrayObject; the interpreter's lock is held
    // (there is a Bound), so nobody changes it meanwhile.
    unsafe { &*_PyArray_GET_ITEM_DATA(array.as_array_ptr().cast_const()) }
}

/// The memory of an array whose elements lie one after the other, in C order and aligned, as a column; `None` for any other
/// array.
///
/// The column is valid as long as `array` is, and nobody writes to the array meanwhile: no Python code may run.
#[inline]
pub(super) fn elements<'a>(array: &'a Bound<'_, PyUntypedArray>, own: &ElementType) -> Option<ColumnRef<'a>> {
    let fields = fields(array);
    let wanted = flags::NPY_ARRAY_CARRAY_RO;
    if fields.flags & wanted != wanted {
        return None;
    }
    // Only unusual descriptors need the comparison.
    let same = own.is_own(fields) || array.dtype().is_equiv_to(own.descr.bind(array.py()));
    if !same || array.is_empty() {
        return (same && array.is_empty()).then(|| empty(own.dtype));
    }
    let (data, len) = (fields.data.cast::<std::ffi::c_void>().cast_const(), array.len());
    macro_rules! column {
        ($($variant:ident: $kind:ty),+) => {
            match own.dtype {
                // SAFETY: the array is C-contiguous and aligned, and its element type is this one in native byte order, so
                // `data` points to `len` of them; they stay there while `array` lives, and nobody writes (see above).
                $(DType::$variant => ColumnRef::$variant(unsafe {
                    std::slice::from_raw_parts(data.cast::<$kind>(), len)
                }),)+
                // Any byte may stand in a boolean array (views of other types); Rust allows two.
                DType::Bool => return None,
            }
        };
    }
    Some(column!(
        F32: f32, F64: f64, I8: i8, I16: i16, I32: i32, I64: i64, U8: u8, U16: u16, U32: u32, U64: u64
    ))
}

fn empty(kind: DType) -> ColumnRef<'static> {
    macro_rules! nothing {
        ($($variant:ident),+) => { match kind { $(DType::$variant => ColumnRef::$variant(&[]),)+ } };
    }
    nothing!(F32, F64, I8, I16, I32, I64, U8, U16, U32, U64, Bool)
}

/// A new array of this shape with a copy of the elements, as many as it holds.
pub(super) fn fresh<'py>(
    py: Python<'py>,
    elements: &ColumnRef<'_>,
    shape: &[usize],
) -> PyResult<Bound<'py, PyAny>> {
    macro_rules! copy {
        ($($variant:ident),+) => {
            match elements { $(ColumnRef::$variant(values) => filled(py, values, shape),)+ }
        };
    }
    copy!(F32, F64, I8, I16, I32, I64, U8, U16, U32, U64, Bool)
}

fn filled<'py, T: numpy::Element + Copy>(
    py: Python<'py>,
    values: &[T],
    shape: &[usize],
) -> PyResult<Bound<'py, PyAny>> {
    if values.len() != shape.iter().product::<usize>() {
        return Err(InternalError::new_err("the elements do not fill the array"));
    }
    // SAFETY: an array of `values.len()` elements in C order, of which nobody else knows, is filled before anybody reads it.
    unsafe {
        let array = PyArrayDyn::<T>::new(py, shape, false);
        array.data().copy_from_nonoverlapping(values.as_ptr(), values.len());
        Ok(array.into_any())
    }
}

/// Writes other elements into an array that [`fresh`] made of as many of this type in this shape. `false`, and nothing
/// written, where somebody would see it: another than the caller holds the array, or it was made into something else.
pub(super) fn refill(
    array: &Bound<'_, PyAny>,
    elements: &ColumnRef<'_>,
    own: &ElementType,
    shape: &[usize],
) -> bool {
    let Ok(array) = array.cast_exact::<PyUntypedArray>() else { return false };
    let fields = fields(array);
    let unseen = references(array) == 1
        && fields.weakreflist.is_null()
        && fields.base.is_null()
        // One dimension is in both orders.
        && fields.flags & !flags::NPY_ARRAY_F_CONTIGUOUS == flags::NPY_ARRAY_CARRAY | flags::NPY_ARRAY_OWNDATA
        && own.is_own(fields)
        && array.shape() == shape;
    if !unseen || elements.len() != array.len() || elements.dtype() != own.dtype {
        return false;
    }
    macro_rules! write {
        ($($variant:ident),+) => {
            match elements {
                // SAFETY: the array owns its memory, lies in C order, is writable and aligned, and has as many elements of
                // this very type; nobody else holds it.
                $(ColumnRef::$variant(values) => unsafe {
                    values.as_ptr().copy_to_nonoverlapping(fields.data.cast(), values.len());
                },)+
            }
        };
    }
    write!(F32, F64, I8, I16, I32, I64, U8, U16, U32, U64, Bool);
    true
}

/// A flat array as a column of its own; `None` for element types that columns do not have.
pub(super) fn to_column(array: &Bound<'_, PyUntypedArray>) -> PyResult<Option<Column>> {
    let name = array.dtype().str()?.to_string();
    let Some(kind) = crate::space::dtype_named(&name) else { return Ok(None) };
    if kind == DType::Bool {
        let bytes: Vec<bool> = array.call_method0("tolist")?.extract()?;
        return Ok(Some(Column::Bool(bytes)));
    }
    let own = ElementType::of(array.py(), kind);
    Ok(elements(array, &own).map(|column| column.to_column()))
}

/// Copies one row of a column; `false` where type or length differ.
pub(super) fn copy_row(from: &ColumnRef<'_>, to: &mut ColumnMut<'_>, row: usize, size: usize) -> bool {
    macro_rules! copy {
        ($($variant:ident),+) => {
            match (from, to) {
                $((ColumnRef::$variant(from), ColumnMut::$variant(to)) => {
                    match to.get_mut(row * size..(row + 1) * size) {
                        Some(to) if to.len() == from.len() => to.copy_from_slice(from),
                        _ => return false,
                    }
                })+
                _ => return false,
            }
        };
    }
    copy!(F32, F64, I8, I16, I32, I64, U8, U16, U32, U64, Bool);
    true
}
