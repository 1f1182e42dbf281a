//! Parameters: one flat array, addressed by stable names.
//!
//! Weights are kept in the layout that the kernels read (column panels, or padded rows for narrow outputs); names and
//! shapes seen from outside are logical: `pi.0.weight` is `[out, in]`, row-major, as in PyTorch. Gradients and optimizer
//! moments share the flat layout. Padding elements are zero, and stay so: their gradients are always zero.

use std::collections::BTreeMap;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use crate::NnError;
use crate::kernels::linear::{NARROW, PANEL};
use crate::matrix::{AlignedVec, padded};

/// How a logical tensor lies in the flat array.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// In order, padded at the end.
    Vector,
    /// `[out, in]`, every row padded (narrow outputs).
    Rows,
    /// `[in, out]` in panels of 64 columns of `out`; the last panel is narrower.
    Panels,
}

/// One logical tensor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorInfo {
    name: String,
    shape: Vec<usize>,
    form: Form,
    offset: usize,
}

impl TensorInfo {
    /// Stable name, such as `pi.0.weight`.
    pub fn name(&self) -> &str {
        &self.name
    }
    /// Logical shape; a weight is `[out, in]`.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }
    /// Number of elements, without padding.
    pub fn num_elements(&self) -> usize {
        self.shape.iter().product()
    }
    /// Inputs of each output unit: columns of a weight, 1 for a vector.
    pub fn fan_in(&self) -> usize {
        if self.shape.len() == 2 { self.shape[1] } else { 1 }
    }
    /// Output units: rows of a weight, elements of a vector.
    pub fn fan_out(&self) -> usize {
        self.shape.first().copied().unwrap_or(1)
    }
    /// Where it starts in the flat array.
    pub fn offset(&self) -> usize {
        self.offset
    }
    /// Length in the flat array, with padding.
    pub fn flat_len(&self) -> usize {
        match self.form {
            Form::Vector => padded(self.num_elements()),
            Form::Rows => self.shape[0] * padded(self.shape[1]),
            Form::Panels => self.shape[1] * padded(self.shape[0]),
        }
    }

    /// Calls `visit(logical index, flat index)` for every element, in logical order.
    fn each_index(&self, mut visit: impl FnMut(usize, usize)) {
        let cols = self.fan_in();
        for logical in 0..self.num_elements() {
            let (out, input) = (logical / cols, logical % cols);
            let place = match self.form {
                Form::Vector => logical,
                Form::Rows => out * padded(cols) + input,
                Form::Panels => {
                    let panel = out / PANEL * PANEL;
                    let width = PANEL.min(padded(self.shape[0]) - panel);
                    panel * cols + input * width + (out - panel)
                }
            };
            visit(logical, self.offset + place);
        }
    }

    fn gather(&self, flat: &[f32]) -> Vec<f32> {
        let mut data = vec![0.0; self.num_elements()];
        self.each_index(|logical, place| data[logical] = flat[place]);
        data
    }

    fn scatter(&self, data: &[f32], flat: &mut [f32]) {
        self.each_index(|logical, place| flat[place] = data[logical]);
    }
}

/// Names, shapes and places of all tensors of a module.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ParamLayout {
    tensors: Vec<TensorInfo>,
    len: usize,
}

impl ParamLayout {
    /// Without tensors.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a vector and returns where it starts in the flat array.
    pub fn add_vector(&mut self, name: impl Into<String>, len: usize) -> usize {
        self.add(name.into(), vec![len], Form::Vector)
    }

    /// Adds the `[outputs, inputs]` weight of a linear layer, in the layout its kernels read, and returns where it
    /// starts in the flat array.
    pub fn add_weight(&mut self, name: impl Into<String>, outputs: usize, inputs: usize) -> usize {
        let form = if outputs <= NARROW { Form::Rows } else { Form::Panels };
        self.add(name.into(), vec![outputs, inputs], form)
    }

    fn add(&mut self, name: String, shape: Vec<usize>, form: Form) -> usize {
        let tensor = TensorInfo { name, shape, form, offset: self.len };
        self.len += tensor.flat_len();
        let offset = tensor.offset;
        self.tensors.push(tensor);
        offset
    }

    /// The tensors, in the order of the flat array.
    pub fn tensors(&self) -> &[TensorInfo] {
        &self.tensors
    }
    /// Length of the flat array, with padding.
    pub fn len(&self) -> usize {
        self.len
    }
    /// Whether there are no parameters.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
    /// Number of trainable values, without padding.
    pub fn num_trainable(&self) -> usize {
        self.tensors.iter().map(TensorInfo::num_elements).sum()
    }

    /// Unpacks a flat array of this layout into logical tensors.
    pub fn export(&self, flat: &[f32]) -> Result<Vec<NamedTensor>, NnError> {
        self.check_len(flat.len())?;
        let named = |t: &TensorInfo| NamedTensor {
            name: t.name.clone(),
            shape: t.shape.clone(),
            data: t.gather(flat),
        };
        Ok(self.tensors.iter().map(named).collect())
    }

    /// Packs logical tensors into a flat array of this layout. On an error nothing is changed.
    pub fn import(&self, tensors: &[NamedTensor], flat: &mut [f32]) -> Result<(), NnError> {
        self.check_len(flat.len())?;
        let by_name = self.check(tensors)?;
        for tensor in &self.tensors {
            if let Some(given) = by_name.get(tensor.name.as_str()) {
                tensor.scatter(&given.data, flat);
            }
        }
        Ok(())
    }

    fn check_len(&self, found: usize) -> Result<(), NnError> {
        if found == self.len {
            return Ok(());
        }
        Err(NnError::shape("flat parameter buffer", format!("{} values", self.len), found))
    }

    /// Every tensor present once, with its shape, finite, and no others.
    fn check<'t>(&self, given: &'t [NamedTensor]) -> Result<BTreeMap<&'t str, &'t NamedTensor>, NnError> {
        let mut by_name = BTreeMap::new();
        for tensor in given {
            if by_name.insert(tensor.name.as_str(), tensor).is_some() {
                return Err(NnError::DuplicateTensor { name: tensor.name.clone() });
            }
        }
        for expected in &self.tensors {
            let Some(found) = by_name.get(expected.name.as_str()) else {
                return Err(NnError::MissingTensor {
                    name: expected.name.clone(),
                    shape: expected.shape.clone(),
                });
            };
            found.check_against(expected)?;
        }
        self.check_no_others(given)?;
        Ok(by_name)
    }

    fn check_no_others(&self, given: &[NamedTensor]) -> Result<(), NnError> {
        let known = |name: &str| self.tensors.iter().any(|t| t.name == name);
        match given.iter().find(|t| !known(&t.name)) {
            None => Ok(()),
            Some(other) => {
                let names: Vec<&str> = self.tensors.iter().map(TensorInfo::name).collect();
                Err(NnError::UnexpectedTensor { name: other.name.clone(), expected: names.join(", ") })
            }
        }
    }
}

/// A logical tensor with its values, row-major.
#[derive(Debug, Clone, PartialEq)]
pub struct NamedTensor {
    /// Stable name.
    pub name: String,
    /// Logical shape.
    pub shape: Vec<usize>,
    /// Values in row-major order.
    pub data: Vec<f32>,
}

impl NamedTensor {
    fn check_against(&self, expected: &TensorInfo) -> Result<(), NnError> {
        if self.shape != expected.shape || self.data.len() != expected.num_elements() {
            return Err(NnError::shape(
                format!("shape of tensor `{}`", self.name),
                format!("{:?}", expected.shape),
                format!("{:?} with {} values", self.shape, self.data.len()),
            ));
        }
        match self.data.iter().position(|x| !x.is_finite()) {
            None => Ok(()),
            Some(index) => Err(NnError::NonFinite {
                name: self.name.clone(),
                index,
                value: self.data[index].to_string(),
            }),
        }
    }
}

/// The parameters of one module.
#[derive(Debug, Clone)]
pub struct ParamStore {
    layout: Arc<ParamLayout>,
    values: AlignedVec,
    version: u64,
}

impl ParamStore {
    /// All zero.
    pub fn new(layout: ParamLayout) -> Self {
        let values = AlignedVec::zeros(layout.len());
        Self { layout: Arc::new(layout), values, version: 1 }
    }

    /// Names, shapes and places.
    pub fn layout(&self) -> &Arc<ParamLayout> {
        &self.layout
    }
    /// Number of trainable values, without padding.
    pub fn num_trainable(&self) -> usize {
        self.layout.num_trainable()
    }
    /// The flat array.
    #[inline]
    pub fn values(&self) -> &[f32] {
        &self.values
    }
    /// The flat array, to be changed: the module then needs [`refresh`](crate::Module::refresh). Padding must stay zero.
    #[inline]
    pub fn values_mut(&mut self) -> &mut [f32] {
        self.version += 1;
        &mut self.values
    }
    /// As [`values_mut`](Self::values_mut), with the version that the change makes.
    pub(crate) fn values_mut_and_version(&mut self) -> (&mut [f32], u64) {
        self.version += 1;
        (&mut self.values, self.version)
    }
    /// Grows with every change; tells whether derived copies are fresh.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// All tensors with their values.
    pub fn export(&self) -> Vec<NamedTensor> {
        // The store's own array always fits its layout.
        self.layout.export(&self.values).unwrap_or_default()
    }

    /// Replaces all values. Errors name the tensor that is missing, unexpected, of another shape or not finite, and
    /// then nothing is changed.
    pub fn import(&mut self, tensors: &[NamedTensor]) -> Result<(), NnError> {
        self.layout.import(tensors, &mut self.values)?;
        self.version += 1;
        Ok(())
    }

    /// Unpacks a buffer in the layout of these parameters (gradients, optimizer moments).
    pub fn export_buffer(&self, flat: &[f32]) -> Result<Vec<NamedTensor>, NnError> {
        self.layout.export(flat)
    }

    /// Packs into a buffer in the layout of these parameters. On an error nothing is changed.
    pub fn import_buffer(&self, tensors: &[NamedTensor], flat: &mut [f32]) -> Result<(), NnError> {
        self.layout.import(tensors, flat)
    }

    /// Calls `init(tensor, logical values)` for every tensor in order; what it leaves in the values is stored.
    pub fn init_tensors(&mut self, mut init: impl FnMut(&TensorInfo, &mut [f32])) {
        let layout = Arc::clone(&self.layout);
        for tensor in layout.tensors() {
            let mut data = tensor.gather(&self.values);
            init(tensor, &mut data);
            tensor.scatter(&data, &mut self.values);
        }
        self.version += 1;
    }
}

/// Gradients in the flat layout of a [`ParamStore`].
#[derive(Debug, Clone, PartialEq)]
pub struct Grads(AlignedVec);

impl Deref for Grads {
    type Target = [f32];
    #[inline]
    fn deref(&self) -> &[f32] {
        &self.0
    }
}

impl DerefMut for Grads {
    #[inline]
    fn deref_mut(&mut self) -> &mut [f32] {
        &mut self.0
    }
}

impl Grads {
    /// Zeros for these parameters.
    pub fn new(params: &ParamStore) -> Self {
        Self(AlignedVec::zeros(params.values().len()))
    }
    /// Sets all to zero.
    pub fn zero(&mut self) {
        self.0.fill(0.0);
    }
    /// The flat array.
    #[inline]
    pub fn values(&self) -> &[f32] {
        &self.0
    }
    /// The flat array. Padding must stay zero.
    #[inline]
    pub fn values_mut(&mut self) -> &mut [f32] {
        &mut self.0
    }
    /// Adds gradients of the same layout, element by element.
    pub fn add(&mut self, other: &Self) -> Result<(), NnError> {
        if self.0.len() != other.0.len() {
            return Err(NnError::shape("gradients to add", self.0.len(), other.0.len()));
        }
        for (sum, &x) in self.0.iter_mut().zip(other.0.iter()) {
            *sum += x;
        }
        Ok(())
    }
}
