//! Shared state as files of a checkpoint: JSON, with the tensors beside it.

use serde_json::json;
use skirl_env::shared_state::{Parameter, SharedValues};

use super::Algorithm;
use super::snapshot::{from_json, to_json};
use crate::checkpoint::{SHARED_STATE, SHARED_STATE_TENSORS, Snapshot, Tensor, Tensors};
use crate::error::Error;

impl Algorithm {
    /// Adds the shared state, if there is any.
    pub(super) fn snapshot_shared(&self, snapshot: &mut Snapshot) -> Result<(), Error> {
        let mut values = SharedValues::clone(&*self.shared.values()?);
        if values == SharedValues::default() {
            return Ok(());
        }
        let mut tensors = Tensors::new();
        for parameter in parameters(&mut values) {
            let Parameter::Tensor { shape, data } = parameter else { continue };
            tensors.insert(tensors.len().to_string(), Tensor::new(shape.clone(), std::mem::take(data))?);
        }
        snapshot.put_json(SHARED_STATE, json!({ "values": to_json(&values)? }));
        snapshot.put_tensors(SHARED_STATE_TENSORS, tensors);
        Ok(())
    }

    /// Puts it back; a checkpoint without shared state leaves none. State that was handed in stays as it is: what others
    /// wrote there is not this run's to undo.
    pub(super) fn restore_shared(&self, snapshot: &Snapshot) -> Result<(), Error> {
        let values = match snapshot.contains(SHARED_STATE) {
            true => saved(snapshot)?,
            false => SharedValues::default(),
        };
        if self.owns_shared {
            self.shared.restore(values)?;
        }
        let environments = &self.plan.environment.shared;
        environments.discard();
        Ok(environments.begin()?)
    }
}

fn saved(snapshot: &Snapshot) -> Result<SharedValues, Error> {
    let tensors = snapshot.tensors(SHARED_STATE_TENSORS)?;
    let mut values: SharedValues = from_json(snapshot.json(SHARED_STATE)?.get("values"), "shared state")?;
    let mut next = 0;
    for parameter in parameters(&mut values) {
        let Parameter::Tensor { shape, data } = parameter else { continue };
        *data = tensors.f32(&next.to_string(), shape)?.to_vec();
        next += 1;
    }
    Ok(values)
}

/// All parameters in the order of stores and names.
fn parameters(values: &mut SharedValues) -> impl Iterator<Item = &mut Parameter> {
    values.parameters.values_mut().flat_map(|store| store.values.values_mut())
}
