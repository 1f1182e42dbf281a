//! NumPy arrays as columns and tensors, and back.

use numpy::{PyArray1, PyArrayDyn, PyArrayMethods, PyReadonlyArrayDyn, PyUntypedArrayMethods};
use pyo3::prelude::*;
use pyo3::types::PyDict;
use skirl::checkpoint::Tensor;
use skirl_env::Column;
use skirl_nn::NamedTensor;

use crate::errors::ConfigError;

/// For each element type: the variant of `Column`, and Rust's type.
macro_rules! for_each_dtype {
    ($apply:ident) => {
        $apply!(
            F32 f32, F64 f64, I8 i8, I16 i16, I32 i32, I64 i64, U8 u8, U16 u16, U32 u32, U64 u64, Bool bool
        )
    };
}

/// The elements of an array in C order.
pub(crate) fn column_from(array: &Bound<'_, PyAny>) -> PyResult<Column> {
    macro_rules! read {
        ($($variant:ident $kind:ty),+) => {
            $(if let Ok(array) = array.cast::<PyArrayDyn<$kind>>() {
                return Ok(Column::$variant(elements(&array.readonly())));
            })+
        };
    }
    for_each_dtype!(read);
    Err(ConfigError::new_err(format!(
        "expected a NumPy array of numbers or booleans, found {} of type {}",
        array.repr()?,
        array.get_type().qualname()?
    )))
}

fn elements<T: numpy::Element + Copy>(array: &PyReadonlyArrayDyn<'_, T>) -> Vec<T> {
    array.as_slice().map_or_else(|_| array.as_array().iter().copied().collect(), <[T]>::to_vec)
}

/// A column as a flat array.
pub(crate) fn column_to_array(py: Python<'_>, column: Column) -> Bound<'_, PyAny> {
    macro_rules! write {
        ($($variant:ident $kind:ty),+) => {
            match column {
                $(Column::$variant(values) => PyArray1::from_vec(py, values).into_any(),)+
            }
        };
    }
    for_each_dtype!(write)
}

/// Tensors by name, as arrays of their shape.
pub(crate) fn tensors_to_dict<'py>(py: Python<'py>, tensors: &[NamedTensor]) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    for tensor in tensors {
        let array = PyArray1::from_slice(py, &tensor.data).reshape(tensor.shape.as_slice())?;
        dict.set_item(&tensor.name, array)?;
    }
    Ok(dict)
}

/// Arrays by name as tensors; `f64` is rounded to `f32`.
pub(crate) fn tensors_from(dict: &Bound<'_, PyDict>) -> PyResult<Vec<NamedTensor>> {
    let tensor = |(name, array): (Bound<'_, PyAny>, Bound<'_, PyAny>)| -> PyResult<NamedTensor> {
        let name: String = name.extract().map_err(|_| {
            ConfigError::new_err(format!(
                "expected names of weights, as get_weights gives them, found {name}"
            ))
        })?;
        let tensor = tensor_from(&format!("weights '{name}'"), &array)?;
        Ok(NamedTensor { name, ..tensor })
    };
    dict.iter().map(tensor).collect()
}

/// An array of floats; `f64` is rounded to `f32`. `name` says what it is in the error.
pub(crate) fn tensor_from(name: &str, array: &Bound<'_, PyAny>) -> PyResult<NamedTensor> {
    let (shape, data) = if let Ok(array) = array.cast::<PyArrayDyn<f32>>() {
        (array.shape().to_vec(), elements(&array.readonly()))
    } else if let Ok(array) = array.cast::<PyArrayDyn<f64>>() {
        (array.shape().to_vec(), elements(&array.readonly()).into_iter().map(|value| value as f32).collect())
    } else {
        let dtype = array.getattr("dtype").map_or_else(|_| String::new(), |dtype| format!(" of {dtype}"));
        return Err(ConfigError::new_err(format!(
            "{name}: expected a NumPy array of floats, found {}{dtype}",
            array.get_type().qualname()?
        )));
    };
    match data.iter().find(|value: &&f32| !value.is_finite()) {
        Some(value) => Err(ConfigError::new_err(format!("{name}: expected finite numbers, found {value}"))),
        None => Ok(NamedTensor { name: name.to_owned(), shape, data }),
    }
}

/// An array of one of the types that a checkpoint holds; `None` for anything else.
pub(crate) fn tensor_of_any_type(array: &Bound<'_, PyAny>) -> PyResult<Option<Tensor>> {
    macro_rules! read {
        ($($kind:ty),+) => {
            $(if let Ok(array) = array.cast::<PyArrayDyn<$kind>>() {
                let tensor = Tensor::new(array.shape().to_vec(), elements(&array.readonly()));
                return tensor.map(Some).map_err(|error| ConfigError::new_err(error.to_string()));
            })+
        };
    }
    read!(f32, f64, i32, i64, u8, u64, bool);
    Ok(None)
}
