//! NumPy arrays seen as memory: what the fast path needs to know of one, without a look-up by name.

use numpy::npyffi::{_PyArray_GET_ITEM_DATA, flags};
use numpy::{PyArrayDescr, PyArrayDescrMethods, PyUntypedArray, PyUntypedArrayMethods, dtype};
use pyo3::prelude::*;
use skirl_env::{Column, ColumnMut, ColumnRef, DType};

/// NumPy's descriptor of an element type.
pub(super) fn descr(py: Python<'_>, kind: DType) -> Bound<'_, PyArrayDescr> {
    match kind {
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
    }
}

/// The memory of an array whose elements lie one after the other, in C order and aligned, as a column; `None` for any other
/// array.
///
/// The column is valid as long as `array` is, and nobody writes to the array meanwhile: no Python code may run.
pub(super) fn elements<'a>(
    array: &'a Bound<'_, PyUntypedArray>,
    kind: DType,
    own: &Py<PyArrayDescr>,
) -> Option<ColumnRef<'a>> {
    // SAFETY: `array` is an instance of numpy.ndarray, so it points to a PyArrayObject; the interpreter's lock is held
    // (there is a Bound), so nobody changes it meanwhile.
    let fields = unsafe { &*_PyArray_GET_ITEM_DATA(array.as_array_ptr().cast_const()) };
    let wanted = flags::NPY_ARRAY_CARRAY_RO;
    if fields.flags & wanted != wanted {
        return None;
    }
    // Built-in descriptors are single objects; only unusual ones need the comparison.
    let same = fields.descr.cast::<pyo3::ffi::PyObject>() == own.as_ptr()
        || array.dtype().is_equiv_to(own.bind(array.py()));
    if !same || array.is_empty() {
        return (same && array.is_empty()).then(|| empty(kind));
    }
    let (data, len) = (fields.data.cast::<std::ffi::c_void>().cast_const(), array.len());
    macro_rules! column {
        ($($variant:ident: $kind:ty),+) => {
            match kind {
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

/// A new array of this shape with a copy of the elements.
pub(super) fn fresh<'py>(
    py: Python<'py>,
    elements: &ColumnRef<'_>,
    shape: &[usize],
) -> PyResult<Bound<'py, PyAny>> {
    macro_rules! copy {
        ($($variant:ident),+) => {
            match elements {
                $(ColumnRef::$variant(values) => shaped(numpy::PyArray1::from_slice(py, values), shape),)+
            }
        };
    }
    copy!(F32, F64, I8, I16, I32, I64, U8, U16, U32, U64, Bool)
}

fn shaped<'py, T: numpy::Element>(
    flat: Bound<'py, numpy::PyArray1<T>>,
    shape: &[usize],
) -> PyResult<Bound<'py, PyAny>> {
    use numpy::PyArrayMethods;
    match shape {
        [_] => Ok(flat.into_any()),
        _ => Ok(flat.reshape(shape)?.into_any()),
    }
}

/// A flat array as a column of its own; `None` for element types that columns do not have.
pub(super) fn to_column(array: &Bound<'_, PyUntypedArray>) -> PyResult<Option<Column>> {
    let name = array.dtype().str()?.to_string();
    let Some(kind) = crate::space::dtype_named(&name) else { return Ok(None) };
    if kind == DType::Bool {
        let bytes: Vec<bool> = array.call_method0("tolist")?.extract()?;
        return Ok(Some(Column::Bool(bytes)));
    }
    let own = descr(array.py(), kind).unbind();
    Ok(elements(array, kind, &own).map(|column| column.to_column()))
}

/// Copies one row of a column; `false` where type or length differ.
pub(super) fn copy_row(from: &ColumnRef<'_>, to: &mut ColumnMut<'_>, row: usize, size: usize) -> bool {
    to.slice_mut(row * size..(row + 1) * size).is_some_and(|mut to| to.copy_from(from))
}
