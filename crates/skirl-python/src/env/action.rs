//! From the engine's action columns to the objects that Gymnasium's environments expect.

use std::cell::Cell;

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString, PyTuple};
use skirl_env::{ColumnRef, DType, Space};

use super::array::{self, ElementType};

/// Scalars that are made beforehand at most.
const MAX_SCALARS: i64 = 4096;

/// How actions of one space are made. Every array is a new one to the environment: it may keep it, or write to it.
pub(super) enum ActionMaker {
    /// NumPy scalars of the space's type, for `start, start + 1, …`.
    Scalars { start: i64, made: Vec<Py<PyAny>> },
    /// A discrete space with more values than are made beforehand: the scalar type.
    Scalar { kind: Py<PyAny> },
    /// An array.
    Array(ArrayMaker),
    /// Names and parts; each part reads as many columns as it has leaves.
    Dict(Vec<(Py<PyString>, usize, ActionMaker)>),
    /// Parts.
    Tuple(Vec<(usize, ActionMaker)>),
}

/// How arrays are made.
pub(super) struct ArrayMaker {
    shape: Vec<usize>,
    size: usize,
    /// The column's.
    own: ElementType,
    /// The space's, where it is another than the column's.
    kind: Option<Py<PyAny>>,
    /// An array that was made before.
    spare: Cell<Option<Py<PyAny>>>,
}

impl ActionMaker {
    /// `python` is the space as Python knows it, `space` the same in the engine's form.
    pub(super) fn new(python: &Bound<'_, PyAny>, space: &Space) -> PyResult<Self> {
        match space {
            Space::Discrete(space) => {
                let kind = scalar_type(python)?;
                if space.n > MAX_SCALARS {
                    return Ok(Self::Scalar { kind: kind.unbind() });
                }
                let values = space.start..space.start + space.n;
                let made: PyResult<Vec<_>> = values.map(|value| Ok(kind.call1((value,))?.unbind())).collect();
                Ok(Self::Scalars { start: space.start, made: made? })
            }
            Space::Dict(parts) => {
                let inner = python.getattr("spaces")?;
                let part = |(name, part): &(String, Space)| {
                    let key = PyString::new(python.py(), name);
                    let maker = Self::new(&inner.get_item(&key)?, part)?;
                    Ok((key.unbind(), part.leaves().len(), maker))
                };
                Ok(Self::Dict(parts.iter().map(part).collect::<PyResult<_>>()?))
            }
            Space::Tuple(parts) => {
                let inner = python.getattr("spaces")?;
                let part = |(index, part): (usize, &Space)| {
                    Ok((part.leaves().len(), Self::new(&inner.get_item(index)?, part)?))
                };
                Ok(Self::Tuple(parts.iter().enumerate().map(part).collect::<PyResult<_>>()?))
            }
            Space::Box(_) | Space::MultiDiscrete(_) | Space::MultiBinary { .. } => {
                let leaf = &space.leaves()[0];
                Ok(Self::Array(ArrayMaker::new(python, leaf.dtype, leaf.shape.clone())?))
            }
        }
    }

    /// For `num_envs` actions in one object: arrays with one more axis in front, made of all rows (as row 0).
    pub(super) fn batch(python: &Bound<'_, PyAny>, space: &Space, num_envs: usize) -> PyResult<Self> {
        match space {
            Space::Dict(_) | Space::Tuple(_) => Err(crate::errors::EnvError::new_err(format!(
                "the action space of a batched environment is {space}, expected Discrete, MultiDiscrete, MultiBinary or Box"
            ))),
            _ => {
                let leaf = &space.leaves()[0];
                let shape = [&[num_envs], leaf.shape.as_slice()].concat();
                Ok(Self::Array(ArrayMaker::new(python, leaf.dtype, shape)?))
            }
        }
    }

    /// The action in row `row` of the columns of this space.
    pub(super) fn make<'py>(
        &self,
        py: Python<'py>,
        columns: &[ColumnRef<'_>],
        row: usize,
    ) -> PyResult<Bound<'py, PyAny>> {
        match self {
            Self::Scalars { start, made } => {
                let value = discrete(columns, row)?;
                let index = usize::try_from(value - start).unwrap_or(usize::MAX);
                let scalar = made.get(index).ok_or_else(|| outside(value, *start, made.len()))?;
                Ok(scalar.bind(py).clone())
            }
            Self::Scalar { kind } => kind.bind(py).call1((discrete(columns, row)?,)),
            Self::Array(maker) => maker.make(py, columns, row),
            Self::Dict(parts) => {
                let (dict, mut rest) = (PyDict::new(py), columns);
                for (name, leaves, part) in parts {
                    let (own, after) = rest.split_at_checked(*leaves).ok_or_else(too_short)?;
                    dict.set_item(name, part.make(py, own, row)?)?;
                    rest = after;
                }
                Ok(dict.into_any())
            }
            Self::Tuple(parts) => {
                let mut rest = columns;
                let mut made = Vec::with_capacity(parts.len());
                for (leaves, part) in parts {
                    let (own, after) = rest.split_at_checked(*leaves).ok_or_else(too_short)?;
                    made.push(part.make(py, own, row)?);
                    rest = after;
                }
                Ok(PyTuple::new(py, made)?.into_any())
            }
        }
    }

    /// Takes an action back that was used. If nobody has kept it, the next one is made of it.
    pub(super) fn take_back(&self, action: Bound<'_, PyAny>) {
        if let Self::Array(maker) = self {
            maker.spare.set(Some(action.unbind()));
        }
    }
}

impl ArrayMaker {
    fn new(python: &Bound<'_, PyAny>, column: DType, shape: Vec<usize>) -> PyResult<Self> {
        let dtype = python.getattr("dtype")?;
        let same = dtype.str()?.to_string() == column.to_string();
        Ok(Self {
            size: shape.iter().product(),
            shape,
            own: ElementType::of(python.py(), column),
            kind: (!same).then(|| dtype.unbind()),
            spare: Cell::new(None),
        })
    }

    fn make<'py>(
        &self,
        py: Python<'py>,
        columns: &[ColumnRef<'_>],
        row: usize,
    ) -> PyResult<Bound<'py, PyAny>> {
        let Self { shape, size, own, kind, spare } = self;
        let elements = columns.first().and_then(|column| column.slice(row * size..(row + 1) * size));
        let elements = elements.ok_or_else(too_short)?;
        if let Some(spare) = spare.take().map(|spare| spare.into_bound(py))
            && array::refill(&spare, &elements, own, shape)
        {
            return Ok(spare);
        }
        let array = array::fresh(py, &elements, shape)?;
        match kind {
            Some(kind) => array.call_method1("astype", (kind,)),
            None => Ok(array),
        }
    }
}

/// The type of a discrete space's values, `numpy.int64` unless it says otherwise.
fn scalar_type<'py>(space: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    match space.getattr("dtype") {
        Ok(dtype) if !dtype.is_none() => {
            space.py().import("numpy")?.call_method1("dtype", (dtype,))?.getattr("type")
        }
        _ => space.py().import("numpy")?.getattr("int64"),
    }
}

fn discrete(columns: &[ColumnRef<'_>], row: usize) -> PyResult<i64> {
    let values = columns.first().and_then(ColumnRef::i64);
    values.and_then(|values| values.get(row)).copied().ok_or_else(too_short)
}

fn outside(value: i64, start: i64, n: usize) -> PyErr {
    let last = start + i64::try_from(n).unwrap_or(i64::MAX) - 1;
    crate::errors::EnvError::new_err(format!(
        "the action {value} is outside the action space: expected {start} to {last}"
    ))
}

fn too_short() -> PyErr {
    crate::errors::InternalError::new_err("the columns of actions do not fit the action space")
}
