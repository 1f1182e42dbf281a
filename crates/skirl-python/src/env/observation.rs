//! From the observation that Python returned to a row of the engine's columns: one copy, checked.

use numpy::{PyArrayDescrMethods, PyUntypedArray, PyUntypedArrayMethods};
use pyo3::prelude::*;
use pyo3::types::{PyMapping, PyString};
use skirl_env::{ColumnMut, ColumnRef, DType, EnvError, Leaf, Place, Space};

use super::array::{self, ElementType};
use super::convert::convert;
use super::outcome::{kind, shown};

/// How observations of one space are read.
pub(super) struct ObservationReader {
    tree: Tree,
    leaves: Vec<LeafReader>,
}

/// Where the leaves are in the object.
enum Tree {
    Leaf(usize),
    Dict(Vec<(Py<PyString>, Tree)>),
    Tuple(Vec<Tree>),
}

struct LeafReader {
    leaf: Leaf,
    size: usize,
    /// Elements of one observation; `size` is that of a whole batch where one is read at once.
    each: usize,
    own: ElementType,
    /// Bounds that a value of the element type may leave; none where it cannot.
    bounds: Option<Vec<(f64, f64)>>,
}

/// An element outside the bounds of its space.
pub(super) struct Outside {
    pub(super) leaf: String,
    pub(super) index: usize,
    pub(super) value: f64,
    pub(super) low: f64,
    pub(super) high: f64,
}

impl ObservationReader {
    pub(super) fn new(py: Python<'_>, space: &Space) -> Self {
        let leaves = space.leaves().into_iter().map(|leaf| LeafReader::new(py, leaf)).collect();
        Self { tree: Tree::of(py, space, &mut 0), leaves }
    }

    /// For `num_envs` observations in one object: arrays with one more axis in front, read as one row.
    pub(super) fn batch(py: Python<'_>, space: &Space, num_envs: usize) -> Self {
        let mut reader = Self::new(py, space);
        for leaf in &mut reader.leaves {
            leaf.size *= num_envs;
            leaf.leaf.shape.insert(0, num_envs);
            leaf.bounds = None;
        }
        reader
    }

    /// Copies `observation` into row `row`.
    pub(super) fn read(
        &self,
        observation: &Bound<'_, PyAny>,
        columns: &mut [ColumnMut<'_>],
        row: usize,
    ) -> Result<(), EnvError> {
        match &self.tree {
            Tree::Leaf(_) => self.leaves[0].read(observation, &mut columns[0], row),
            tree => self.read_tree(tree, observation, columns, row, ""),
        }
    }

    fn read_tree(
        &self,
        tree: &Tree,
        object: &Bound<'_, PyAny>,
        columns: &mut [ColumnMut<'_>],
        row: usize,
        path: &str,
    ) -> Result<(), EnvError> {
        match tree {
            Tree::Leaf(leaf) => self.leaves[*leaf].read(object, &mut columns[*leaf], row),
            Tree::Dict(parts) => {
                let Ok(map) = object.cast::<PyMapping>() else {
                    return Err(EnvError::raised(format!(
                        "observation{path} is {}, expected a dict",
                        kind(object)
                    )));
                };
                check_keys(map, parts, path)?;
                for (key, part) in parts {
                    let name = key.bind(object.py());
                    let Ok(value) = map.get_item(name) else { continue };
                    self.read_tree(part, &value, columns, row, &format!("{path}[{name}]"))?;
                }
                Ok(())
            }
            Tree::Tuple(parts) => {
                let found = object.len().unwrap_or(usize::MAX);
                if found != parts.len() || object.is_instance_of::<PyString>() {
                    let expected = parts.len();
                    let what = kind(object);
                    return Err(EnvError::raised(format!(
                        "observation{path} is {what}, expected a tuple of {expected}"
                    )));
                }
                for (index, part) in parts.iter().enumerate() {
                    let item = object.get_item(index).map_err(|error| {
                        EnvError::foreign(
                            format!("observation{path}[{index}] cannot be read: {error}"),
                            error,
                        )
                    })?;
                    self.read_tree(part, &item, columns, row, &format!("{path}[{index}]"))?;
                }
                Ok(())
            }
        }
    }

    /// The first element of row `row` that lies outside its bounds.
    pub(super) fn outside(&self, columns: &[ColumnMut<'_>], row: usize) -> Option<Outside> {
        self.leaves.iter().zip(columns).find_map(|(leaf, column)| leaf.outside(&column.as_ref(), row))
    }

    /// Whether any value can lie outside its bounds.
    pub(super) fn is_bounded(&self) -> bool {
        self.leaves.iter().any(|leaf| leaf.bounds.is_some())
    }
}

fn check_keys(
    map: &Bound<'_, PyMapping>,
    parts: &[(Py<PyString>, Tree)],
    path: &str,
) -> Result<(), EnvError> {
    let has = |key: &Py<PyString>| map.contains(key.bind(map.py())).unwrap_or(false);
    if map.len().is_ok_and(|len| len == parts.len()) && parts.iter().all(|(key, _)| has(key)) {
        return Ok(());
    }
    let expected: Vec<String> = parts.iter().map(|(key, _)| key.to_string()).collect();
    let found = map.keys().map_or_else(|_| "other keys".to_owned(), |keys| keys.to_string());
    Err(EnvError::raised(format!(
        "observation{path} has the keys {found}, expected {} as its space says",
        expected.join(", ")
    )))
}

impl Tree {
    fn of(py: Python<'_>, space: &Space, next: &mut usize) -> Self {
        match space {
            Space::Dict(parts) => Self::Dict(
                parts
                    .iter()
                    .map(|(name, part)| (PyString::intern(py, name).unbind(), Self::of(py, part, next)))
                    .collect(),
            ),
            Space::Tuple(parts) => Self::Tuple(parts.iter().map(|part| Self::of(py, part, next)).collect()),
            _ => {
                *next += 1;
                Self::Leaf(*next - 1)
            }
        }
    }
}

impl LeafReader {
    fn new(py: Python<'_>, leaf: Leaf) -> Self {
        Self {
            size: leaf.size(),
            each: leaf.size(),
            own: ElementType::of(py, leaf.dtype),
            bounds: bounds(&leaf),
            leaf,
        }
    }

    fn read(&self, value: &Bound<'_, PyAny>, column: &mut ColumnMut<'_>, row: usize) -> Result<(), EnvError> {
        if let Ok(array) = value.cast::<PyUntypedArray>() {
            return self.read_array(array, column, row);
        }
        if let (Space::Discrete(_), ColumnMut::I64(out)) = (&self.leaf.space, &mut *column)
            && let Ok(number) = value.extract::<i64>()
        {
            out[row] = number;
            return self.check_discrete(column, row);
        }
        self.read_object(value, column, row)
    }

    /// A number outside a discrete space belongs to no input of the network.
    fn check_discrete(&self, column: &ColumnMut<'_>, row: usize) -> Result<(), EnvError> {
        if !matches!(self.leaf.space, Space::Discrete(_) | Space::MultiDiscrete(_)) {
            return Ok(());
        }
        let values = column.as_ref();
        let outside = (0..self.size).find_map(|index| {
            let (low, high) = self.leaf.bounds(index % self.each);
            let value = values.get_f64(row * self.size + index)?;
            (value < low || value > high).then_some((index, value, low, high))
        });
        let Some((index, value, low, high)) = outside else { return Ok(()) };
        let element = if self.size == 1 { String::new() } else { format!(" in element {index}") };
        Err(EnvError::raised(format!(
            "{} is {value}{element}, expected {low} to {high} as its space says",
            self.field()
        )))
    }

    fn read_array(
        &self,
        array: &Bound<'_, PyUntypedArray>,
        column: &mut ColumnMut<'_>,
        row: usize,
    ) -> Result<(), EnvError> {
        if array.shape() != self.leaf.shape.as_slice() {
            return Err(self.wrong_shape(array.shape()));
        }
        match array::elements(array, &self.own) {
            Some(elements) if array::copy_row(&elements, column, row, self.size) => {}
            _ => self.read_other(array, column, row)?,
        }
        self.check_finite(&column.as_ref(), row)?;
        self.check_discrete(column, row)
    }

    /// NaN, infinities, and what becomes one in the network's `f32`. Rows of a batch that nobody asked for may hold anything.
    fn check_finite(&self, column: &ColumnRef<'_>, row: usize) -> Result<(), EnvError> {
        let range = row * self.size..(row + 1) * self.size;
        let is_finite = match column {
            // No early end: sixteen numbers at a time.
            ColumnRef::F32(values) => {
                values[range.clone()].iter().fold(true, |all, value| all & value.is_finite())
            }
            ColumnRef::F64(values) => values[range.clone()].iter().all(|&value| (value as f32).is_finite()),
            _ => true,
        };
        if is_finite || self.size != self.each {
            return Ok(());
        }
        let found = range.clone().find_map(|at| {
            let value = column.get_f64(at)?;
            (!(value as f32).is_finite()).then_some((at - range.start, value))
        });
        let Some((index, value)) = found else { return Ok(()) };
        let field = match self.leaf.path.as_str() {
            "" => String::new(),
            path => format!(" \"{path}\""),
        };
        Err(EnvError::NonFiniteObservation { field, index, value, place: Place::default() })
    }

    /// Lists, scalars, tensors: NumPy makes an array of them.
    fn read_object(
        &self,
        value: &Bound<'_, PyAny>,
        column: &mut ColumnMut<'_>,
        row: usize,
    ) -> Result<(), EnvError> {
        let refused =
            || EnvError::raised(format!("{} is {}, expected {}", self.field(), kind(value), self.expected()));
        let numpy = value.py().import("numpy").map_err(|_| refused())?;
        let made = numpy.call_method1("asarray", (value,)).map_err(|_| refused())?;
        match made.cast::<PyUntypedArray>() {
            Ok(array) if matches!(array.dtype().kind(), b'b' | b'i' | b'u' | b'f') => {
                self.read_array(array, column, row)
            }
            _ => Err(refused()),
        }
    }

    /// Another element type, byte order or memory layout.
    fn read_other(
        &self,
        array: &Bound<'_, PyUntypedArray>,
        column: &mut ColumnMut<'_>,
        row: usize,
    ) -> Result<(), EnvError> {
        let range = row * self.size..(row + 1) * self.size;
        let source = plain(array).ok().flatten();
        let (Some(source), Some(mut out)) = (source, column.slice_mut(range)) else {
            return Err(self.wrong_dtype(array, String::new()));
        };
        let lossy = match convert(&source.as_ref(), &mut out) {
            Ok(()) => return Ok(()),
            Err(lossy) => lossy,
        };
        let detail = format!(
            ", and element {} is {}, which {} does not hold",
            lossy.index,
            shown(lossy.value),
            self.leaf.dtype
        );
        Err(self.wrong_dtype(array, detail))
    }

    fn outside(&self, column: &ColumnRef<'_>, row: usize) -> Option<Outside> {
        let bounds = self.bounds.as_ref()?;
        let range = row * self.size..(row + 1) * self.size;
        let index = match column {
            ColumnRef::F32(values) => {
                let inside = |(&value, &(low, high)): (&f32, &(f64, f64))| {
                    low <= value.into() && f64::from(value) <= high
                };
                values.get(range.clone())?.iter().zip(bounds).position(|pair| !inside(pair))
            }
            _ => (0..self.size).find(|index| {
                let (low, high) = bounds[*index];
                column.get_f64(range.start + index).is_some_and(|value| !(low <= value && value <= high))
            }),
        }?;
        let value = column.get_f64(range.start + index)?;
        let (low, high) = bounds[index];
        // The guard behind refuses what is not finite, and says so.
        value.is_finite().then_some(())?;
        Some(Outside { leaf: self.leaf.path.clone(), index, value, low, high })
    }

    fn field(&self) -> String {
        match self.leaf.path.as_str() {
            "" => "observation".to_owned(),
            path => format!("observation \"{path}\""),
        }
    }

    fn expected(&self) -> String {
        match self.leaf.space {
            Space::Discrete(_) => "an integer".to_owned(),
            _ => format!("an array of shape {} and dtype {}", shape(&self.leaf.shape), self.leaf.dtype),
        }
    }

    fn wrong_shape(&self, found: &[usize]) -> EnvError {
        EnvError::WrongShape {
            field: self.field(),
            expected: shape(&self.leaf.shape),
            found: shape(found),
            place: Place::default(),
        }
    }

    fn wrong_dtype(&self, array: &Bound<'_, PyUntypedArray>, detail: String) -> EnvError {
        let found = array.dtype().str().map_or_else(|_| "another".to_owned(), |name| name.to_string());
        EnvError::raised(format!(
            "{} has dtype {found}, expected {} as its space says{detail}; convert it, or change the space",
            self.field(),
            self.leaf.dtype
        ))
    }
}

/// A contiguous copy in native byte order; half floats as `float32`.
fn plain(array: &Bound<'_, PyUntypedArray>) -> PyResult<Option<skirl_env::Column>> {
    let dtype = array.dtype();
    let wide = match (dtype.kind(), dtype.itemsize()) {
        (b'f', 2) => "float32".into_pyobject(array.py())?.into_any(),
        _ => dtype.call_method1("newbyteorder", ("=",))?,
    };
    let flat = array.call_method1("astype", (wide,))?.call_method0("ravel")?;
    array::to_column(flat.cast::<PyUntypedArray>()?)
}

/// Bounds of each element, if a value of the element type may leave them.
fn bounds(leaf: &Leaf) -> Option<Vec<(f64, f64)>> {
    if !matches!(leaf.space, Space::Box(_) | Space::MultiBinary { .. }) {
        return None;
    }
    let bounds: Vec<(f64, f64)> = (0..leaf.size()).map(|index| leaf.bounds(index)).collect();
    let (lowest, highest) = match leaf.dtype {
        DType::F32 | DType::F64 => (f64::NEG_INFINITY, f64::INFINITY),
        other => other.range(),
    };
    bounds.iter().any(|&(low, high)| low > lowest || high < highest).then_some(bounds)
}

/// `()`, `(4,)`, `(2, 3)`.
fn shape(shape: &[usize]) -> String {
    match shape {
        [only] => format!("({only},)"),
        _ => format!("({})", shape.iter().map(usize::to_string).collect::<Vec<_>>().join(", ")),
    }
}
