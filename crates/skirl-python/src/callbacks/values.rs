//! Observations and actions of one step as Python values.

use numpy::{PyArray1, PyArrayMethods};
use pyo3::prelude::*;
use skirl_env::{Column, Space};

use crate::arrays::column_to_array;

/// What an engine's flat row is to the environment.
#[derive(Default)]
pub(super) enum Form {
    /// An array of this shape.
    Array(Vec<usize>),
    /// One integer, counted from this; observations are one-hot.
    Integer(i64),
    /// Left flat.
    #[default]
    Flat,
}

/// Of a single agent.
#[derive(Default)]
pub(super) struct Forms {
    pub(super) observation: Form,
    pub(super) action: Form,
}

impl Forms {
    pub(super) fn of(observation: &Space, action: &Space) -> Self {
        Self { observation: Form::of(observation), action: Form::of(action) }
    }
}

impl Form {
    fn of(space: &Space) -> Self {
        match space {
            Space::Discrete(discrete) => Self::Integer(discrete.start),
            Space::Box(bounds) => Self::Array(bounds.shape.clone()),
            Space::MultiBinary { shape } => Self::Array(shape.clone()),
            _ => Self::Flat,
        }
    }
}

/// An observation that was flattened to float32.
pub(super) fn observation_to_python<'py>(
    py: Python<'py>,
    flat: &[f32],
    form: &Form,
) -> PyResult<Bound<'py, PyAny>> {
    match form {
        Form::Integer(start) => {
            let hot = flat.iter().position(|&value| value != 0.0).unwrap_or(0) as i64;
            Ok((hot + start).into_pyobject(py)?.into_any())
        }
        Form::Array(shape) => Ok(PyArray1::from_slice(py, flat).reshape(shape.as_slice())?.into_any()),
        Form::Flat => Ok(PyArray1::from_slice(py, flat).into_any()),
    }
}

/// An action as the environment took it.
pub(super) fn action_to_python<'py>(
    py: Python<'py>,
    action: &Column,
    form: &Form,
) -> PyResult<Bound<'py, PyAny>> {
    let array = column_to_array(py, action.clone());
    match form {
        Form::Integer(_) => array.get_item(0)?.call_method0("item"),
        Form::Array(shape) => array.call_method1("reshape", (shape.clone(),)),
        Form::Flat => Ok(array),
    }
}
