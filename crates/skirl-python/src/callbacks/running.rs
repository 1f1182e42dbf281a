//! The episodes that run now, by id, and what callbacks keep with them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};
use skirl::callbacks::Episode;

use super::episode::{EpisodeData, NativeEpisode};
use super::values::Forms;
use crate::errors::SkirlError;

/// The episodes that run now, shared by all callbacks of a run.
#[derive(Default)]
pub(super) struct Episodes {
    running: Mutex<BTreeMap<(bool, u64), Running>>,
    /// Trajectories are postprocessed elsewhere.
    in_worker: bool,
    forms: Mutex<Option<Arc<Forms>>>,
}

struct Running {
    data: Arc<Mutex<EpisodeData>>,
    object: Py<NativeEpisode>,
}

impl Episodes {
    /// Those of a worker.
    pub(super) fn of_worker() -> Self {
        Self { in_worker: true, ..Self::default() }
    }

    /// The object of an episode, with what the engine shows now.
    pub(super) fn object(&self, episode: &mut Episode<'_>) -> PyResult<Py<NativeEpisode>> {
        let key = (episode.in_evaluation(), episode.id());
        let known = {
            let running = self.lock();
            running.get(&key).map(|running| Arc::clone(&running.data))
        };
        if let Some(data) = known {
            data.lock().unwrap_or_else(PoisonError::into_inner).update(episode);
        } else {
            // The episode before it in the same environment is over, or was given up. One of training that ended is asked
            // for once more, with its trajectory.
            self.forget(|id, other| {
                let is_asked_for = !id.0 && !self.in_worker && other.ended();
                id.0 == key.0 && other.is_of(episode.env_index()) && !is_asked_for
            });
            let begun = self.begin(episode)?;
            self.lock().insert(key, begun);
        }
        Python::attach(|py| match self.lock().get(&key) {
            Some(running) => Ok(running.object.clone_ref(py)),
            None => Err(SkirlError::new_err("an episode was lost")),
        })
    }

    fn begin(&self, episode: &mut Episode<'_>) -> PyResult<Running> {
        let forms = self.forms(episode);
        let data = EpisodeData::of(episode, forms);
        let data = Arc::new(Mutex::new(data));
        // Of a resumed episode.
        let saved = serde_json::Value::Object(std::mem::take(episode.user_data));
        let object = Python::attach(|py| {
            let user_data = crate::value::to_python(py, &saved)?.cast_into::<PyDict>()?;
            let custom_metrics = PyDict::new(py);
            for (name, value) in episode.custom_metrics.iter() {
                custom_metrics.set_item(name, value)?;
            }
            let object = NativeEpisode {
                data: Arc::clone(&data),
                user_data: user_data.unbind(),
                custom_metrics: custom_metrics.unbind(),
                timestep_data: PyDict::new(py).unbind(),
            };
            Py::new(py, object)
        })?;
        Ok(Running { data, object })
    }

    /// The forms of observations and actions: found once, all environments of a run have the same.
    fn forms(&self, episode: &mut Episode<'_>) -> Option<Arc<Forms>> {
        let mut forms = self.forms.lock().unwrap_or_else(PoisonError::into_inner);
        if forms.is_none() {
            let (env, _) = episode.environment().vector()?;
            *forms = Some(Arc::new(Forms::of(env.observation_space(), env.action_space())));
        }
        forms.clone()
    }

    /// An episode of training by its id, also one that ended in this rollout.
    pub(super) fn of_training(&self, py: Python<'_>, id: u64) -> Option<Py<NativeEpisode>> {
        self.lock().get(&(false, id)).map(|running| running.object.clone_ref(py))
    }

    /// Forgets the episodes of training that are over.
    pub(super) fn drop_ended(&self) {
        self.forget(|key, running| !key.0 && running.ended());
    }

    /// Dropping Python objects may run Python code: not under the lock.
    fn forget(&self, mut which: impl FnMut(&(bool, u64), &Running) -> bool) {
        let mut forgotten = Vec::new();
        {
            let mut running = self.lock();
            let keys: Vec<_> =
                running.iter().filter(|(key, running)| which(key, running)).map(|(key, _)| *key).collect();
            forgotten.extend(keys.iter().filter_map(|key| running.remove(key)));
        }
        drop(forgotten);
    }

    /// Forgets everything: other episodes follow.
    pub(super) fn clear(&self) {
        self.forget(|_, _| true);
    }

    /// What callbacks keep with an episode of training that runs. What is no plain value cannot be saved: a warning says so.
    pub(super) fn user_data(
        &self,
        py: Python<'_>,
        id: u64,
    ) -> PyResult<serde_json::Map<String, serde_json::Value>> {
        let running = self.lock().get(&(false, id)).map(|running| running.object.clone_ref(py));
        running.map_or_else(
            || Ok(serde_json::Map::new()),
            |object| plain_values(object.get().user_data.bind(py)),
        )
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<(bool, u64), Running>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Running {
    fn ended(&self) -> bool {
        self.data.lock().unwrap_or_else(PoisonError::into_inner).ended()
    }

    fn is_of(&self, env_index: usize) -> bool {
        self.data.lock().unwrap_or_else(PoisonError::into_inner).env_index == env_index
    }
}

fn plain_values(user_data: &Bound<'_, PyDict>) -> PyResult<serde_json::Map<String, serde_json::Value>> {
    let mut plain = serde_json::Map::new();
    for (key, value) in user_data.iter() {
        let name = key.cast::<PyString>().map_or_else(|_| key.to_string(), ToString::to_string);
        match crate::value::from_python(&value, &format!("episode.user_data['{name}']")) {
            Ok(value) => drop(plain.insert(name, value)),
            Err(error) => {
                let message = format!("not saved in the checkpoint: {}", error.value(user_data.py()));
                let message = std::ffi::CString::new(message).unwrap_or_default();
                let category = user_data.py().get_type::<pyo3::exceptions::PyUserWarning>();
                PyErr::warn(user_data.py(), &category, &message, 1)?;
            }
        }
    }
    Ok(plain)
}

/// Copies `custom_metrics` into the engine's episode, as floats.
pub(super) fn take_metrics(
    py: Python<'_>,
    object: &Py<NativeEpisode>,
    into: &mut BTreeMap<String, f64>,
) -> PyResult<()> {
    let metrics = object.get().custom_metrics.bind(py);
    if metrics.is_empty() && into.is_empty() {
        return Ok(());
    }
    into.clear();
    for (name, value) in metrics.iter() {
        let number: f64 =
            value.extract().or_else(|_| value.call_method0("__float__")?.extract()).map_err(|_: PyErr| {
                PyTypeError::new_err(format!(
                    "episode.custom_metrics[{name}]: expected a number, found {value}"
                ))
            })?;
        into.insert(name.to_string(), number);
    }
    Ok(())
}
