//! A running episode as Python hooks hold it: one object from its creation to its end.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use numpy::PyArray1;
use pyo3::exceptions::{PyIndexError, PyKeyError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyString};
use skirl::callbacks::Episode;
use skirl_env::Column;

use super::environment::{EnvHandle, env_object};
use super::values::{Forms, action_to_python, observation_to_python};
use crate::errors::SkirlError;

/// Steps whose observations and rewards are kept. An episode that goes on for longer has its last ones only.
const MAX_STEPS: usize = 100_000;
/// Widest observation of which all are kept: pictures would fill the memory.
const MAX_WIDTH: usize = 256;

/// What an episode is told at each hook.
#[derive(Default)]
pub(super) struct EpisodeData {
    pub(super) id: u64,
    pub(super) env_index: usize,
    pub(super) in_evaluation: bool,
    pub(super) agents: Vec<String>,
    env_steps: u64,
    sum: f64,
    agent_returns: Vec<f64>,
    observations: Vec<Option<Vec<f32>>>,
    actions: Vec<Option<Column>>,
    rewards: Vec<f64>,
    terminated: bool,
    truncated: bool,
    history: Option<History>,
    forms: Option<Arc<Forms>>,
    /// While a hook of the episode runs.
    pub(super) env: Option<EnvHandle>,
}

/// Everything that one agent saw and was rewarded with, one row for each step; the observations have one more in front.
#[derive(Default, Clone)]
struct History {
    observations: Vec<Vec<f32>>,
    rewards: Vec<f64>,
}

impl EpisodeData {
    pub(super) fn ended(&self) -> bool {
        self.terminated || self.truncated
    }

    /// Takes what the engine's episode shows now.
    fn update(&mut self, episode: &Episode<'_>) {
        let agents = 0..self.agents.len();
        self.env_steps = episode.env_steps();
        self.sum = episode.episode_return();
        self.agent_returns = agents.clone().filter_map(|agent| episode.agent_return(agent)).collect();
        self.observations = agents.clone().map(|agent| Some(episode.observation(agent)?.to_vec())).collect();
        let action = |agent| Some(episode.action(agent)?.columns().first()?.to_column());
        self.actions = agents.clone().map(action).collect();
        self.rewards = agents.map(|agent| episode.reward(agent)).collect();
        (self.terminated, self.truncated) = (episode.terminated(), episode.truncated());
        self.remember();
    }

    /// Adds the step to the history, where it is complete so far.
    fn remember(&mut self) {
        let Some(Some(observation)) = self.observations.first() else { return };
        let kept = self.history.as_ref().map_or(0, |history| history.observations.len());
        let steps = self.env_steps as usize;
        if kept == steps + 1 {
            return;
        }
        let fits = self.agents.len() == 1 && observation.len() <= MAX_WIDTH && steps < MAX_STEPS;
        if kept != steps || !fits {
            self.history = None;
            return;
        }
        let history = self.history.get_or_insert_default();
        history.observations.push(observation.clone());
        if steps > 0 {
            history.rewards.push(self.rewards.first().copied().unwrap_or(0.0));
        }
    }

    fn agent(&self, agent_id: Option<&str>) -> PyResult<usize> {
        match agent_id {
            None if self.agents.len() <= 1 => Ok(0),
            None => Err(PyValueError::new_err(format!(
                "this episode has several agents; name one of {}",
                self.agents.join(", ")
            ))),
            Some(id) => self.agents.iter().position(|agent| agent == id).ok_or_else(|| {
                PyKeyError::new_err(format!(
                    "no agent '{id}' in this episode; expected one of {}",
                    self.agents.join(", ")
                ))
            }),
        }
    }

    /// How observations and actions look to the environment, where there is one agent.
    fn forms(&self) -> Arc<Forms> {
        self.forms.clone().filter(|_| self.agents.len() == 1).unwrap_or_default()
    }
}

/// A running episode.
///
/// What it holds is that of the last step; `user_data` (`custom_data`) is whatever callbacks keep until the episode ends, and
/// `custom_metrics` are numbers that are reported as mean, minimum and maximum over the last episodes.
#[pyclass(name = "Episode", module = "skirl._native", frozen, dict, weakref)]
pub(crate) struct NativeEpisode {
    data: Arc<Mutex<EpisodeData>>,
    user_data: Py<PyDict>,
    custom_metrics: Py<PyDict>,
    timestep_data: Py<PyDict>,
}

impl NativeEpisode {
    /// Never held while Python objects are made: that may run other Python code, which may ask another thread to wait for it.
    fn lock(&self) -> MutexGuard<'_, EpisodeData> {
        self.data.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn set_env(&self, env: Option<EnvHandle>) {
        self.lock().env = env;
    }

    fn history(&self, what: &str) -> PyResult<(History, Arc<Forms>)> {
        let data = self.lock();
        let history = data.history.clone().ok_or_else(|| not_kept(what))?;
        Ok((history, data.forms()))
    }
}

#[pymethods]
impl NativeEpisode {
    /// An integer that no other episode of the run has.
    #[getter]
    fn id_(&self) -> u64 {
        self.lock().id
    }

    /// As `id_` (older versions of RLlib).
    #[getter]
    fn episode_id(&self) -> u64 {
        self.id_()
    }

    /// Index of the environment.
    #[getter]
    fn env_index(&self) -> usize {
        self.lock().env_index
    }

    /// As `env_index` (older versions of RLlib).
    #[getter]
    fn env_id(&self) -> usize {
        self.env_index()
    }

    /// Whether it is an episode of evaluation.
    #[getter]
    fn in_evaluation(&self) -> bool {
        self.lock().in_evaluation
    }

    /// Ids of the agents.
    #[getter]
    fn agent_ids(&self) -> Vec<String> {
        self.lock().agents.clone()
    }

    /// As `agent_ids` (older versions of RLlib).
    fn get_agents(&self) -> Vec<String> {
        self.agent_ids()
    }

    /// Environment steps so far.
    #[getter]
    fn length(&self) -> u64 {
        self.lock().env_steps
    }

    /// Environment steps so far.
    #[getter]
    fn env_steps(&self) -> u64 {
        self.length()
    }

    fn __len__(&self) -> usize {
        self.lock().env_steps as usize
    }

    /// An episode is true also before its first step.
    #[allow(clippy::unused_self)]
    fn __bool__(&self) -> bool {
        true
    }

    /// Sum of the rewards of all agents so far, as the environment gave them.
    #[getter]
    fn total_reward(&self) -> f64 {
        self.lock().sum
    }

    /// Sum of the rewards so far: of all agents, or of one.
    #[pyo3(signature = (agent_id = None))]
    fn get_return(&self, agent_id: Option<&str>) -> PyResult<f64> {
        let data = self.lock();
        match agent_id {
            None => Ok(data.sum),
            Some(_) => Ok(data.agent_returns.get(data.agent(agent_id)?).copied().unwrap_or(0.0)),
        }
    }

    /// Sum of the rewards of each agent so far.
    #[getter]
    fn agent_returns(&self) -> BTreeMap<String, f64> {
        let data = self.lock();
        data.agents.iter().cloned().zip(data.agent_returns.iter().copied()).collect()
    }

    /// The environment's own rules ended the episode.
    #[getter]
    fn is_terminated(&self) -> bool {
        self.lock().terminated
    }

    /// The episode was cut from outside, by a time limit for example.
    #[getter]
    fn is_truncated(&self) -> bool {
        self.lock().truncated
    }

    /// The episode is over.
    #[getter]
    fn is_done(&self) -> bool {
        self.lock().ended()
    }

    /// What an agent observed at the reset or in the last step, before any normalisation: the array of a `Box` in its shape
    /// as float32, the integer of a `Discrete`; flattened as Gymnasium does otherwise. None if it observed nothing then.
    #[pyo3(signature = (agent_id = None))]
    fn last_observation_for<'py>(
        &self,
        py: Python<'py>,
        agent_id: Option<&str>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let (observation, forms) = {
            let data = self.lock();
            (data.observations.get(data.agent(agent_id)?).cloned().flatten(), data.forms())
        };
        match observation {
            Some(observation) => observation_to_python(py, &observation, &forms.observation),
            None => Ok(py.None().into_bound(py)),
        }
    }

    /// An agent's action in the last step, as the environment took it. None if it did not act.
    #[pyo3(signature = (agent_id = None))]
    fn last_action_for<'py>(&self, py: Python<'py>, agent_id: Option<&str>) -> PyResult<Bound<'py, PyAny>> {
        let (action, forms) = {
            let data = self.lock();
            (data.actions.get(data.agent(agent_id)?).cloned().flatten(), data.forms())
        };
        match action {
            Some(action) => action_to_python(py, &action, &forms.action),
            None => Ok(py.None().into_bound(py)),
        }
    }

    /// An agent's reward in the last step, as the environment gave it; 0 before the first one.
    #[pyo3(signature = (agent_id = None))]
    fn last_reward_for(&self, agent_id: Option<&str>) -> PyResult<f64> {
        let data = self.lock();
        Ok(data.rewards.get(data.agent(agent_id)?).copied().unwrap_or(0.0))
    }

    /// Observations from the reset on: one more than there are steps; with an index, one of them. All are kept of a single
    /// agent with at most 256 numbers in an observation; else only `get_observations(-1)` is there.
    #[pyo3(signature = (indices = None))]
    fn get_observations<'py>(
        &self,
        py: Python<'py>,
        indices: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        if is_last(indices)? {
            return self.last_observation_for(py, None);
        }
        let (history, forms) = self.history("observations")?;
        let one = |row: usize| observation_to_python(py, &history.observations[row], &forms.observation);
        chosen(py, history.observations.len(), indices, one)
    }

    /// Rewards of a single agent, one for each step; with an index, one of them.
    #[pyo3(signature = (indices = None))]
    fn get_rewards<'py>(
        &self,
        py: Python<'py>,
        indices: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        if is_last(indices)? {
            return Ok(self.last_reward_for(None)?.into_pyobject(py)?.into_any());
        }
        let (history, _) = self.history("rewards")?;
        match indices {
            None => Ok(PyArray1::from_slice(py, &history.rewards).into_any()),
            Some(_) => chosen(py, history.rewards.len(), indices, |row| {
                Ok(history.rewards[row].into_pyobject(py)?.into_any())
            }),
        }
    }

    /// The last action; of others nothing is kept.
    #[pyo3(signature = (indices = None))]
    fn get_actions<'py>(
        &self,
        py: Python<'py>,
        indices: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        if is_last(indices)? { self.last_action_for(py, None) } else { Err(not_kept("actions")) }
    }

    /// The environment, while the hook runs.
    #[getter]
    fn env<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let env = self.lock().env.clone();
        match env {
            Some(env) => env_object(py, &env),
            None => Err(SkirlError::new_err(
                "the environment of an episode can be reached only in hooks of episodes, while they run",
            )),
        }
    }

    /// Whatever callbacks keep with the episode. Plain values in it are saved with a checkpoint.
    #[getter]
    fn user_data<'py>(&self, py: Python<'py>) -> Bound<'py, PyDict> {
        self.user_data.bind(py).clone()
    }

    /// As `user_data`.
    #[getter]
    fn custom_data<'py>(&self, py: Python<'py>) -> Bound<'py, PyDict> {
        self.user_data(py)
    }

    /// Numbers that are reported as `env_runners/custom_metrics/NAME_mean`, `_min` and `_max`.
    #[getter]
    fn custom_metrics<'py>(&self, py: Python<'py>) -> Bound<'py, PyDict> {
        self.custom_metrics.bind(py).clone()
    }

    /// Appends `data` to the list of this name, which lives as long as the episode.
    fn add_temporary_timestep_data(
        &self,
        py: Python<'_>,
        key: &str,
        data: &Bound<'_, PyAny>,
    ) -> PyResult<()> {
        let lists = self.timestep_data.bind(py);
        match lists.get_item(key)? {
            Some(list) => list.call_method1("append", (data,)).map(drop),
            None => lists.set_item(key, PyList::new(py, [data])?),
        }
    }

    /// What `add_temporary_timestep_data` gathered.
    fn get_temporary_timestep_data<'py>(&self, py: Python<'py>, key: &str) -> PyResult<Bound<'py, PyAny>> {
        let list = self.timestep_data.bind(py).get_item(key)?;
        list.ok_or_else(|| PyKeyError::new_err(format!("no timestep data named '{key}' in this episode")))
    }

    fn __repr__(&self) -> String {
        let data = self.lock();
        format!(
            "Episode(id={}, env={}, steps={}, return={})",
            data.id, data.env_index, data.env_steps, data.sum
        )
    }
}

/// Whether the user asks for the last element alone.
fn is_last(indices: Option<&Bound<'_, PyAny>>) -> PyResult<bool> {
    indices.map_or(Ok(false), |indices| indices.eq(-1))
}

fn chosen<'py>(
    py: Python<'py>,
    len: usize,
    indices: Option<&Bound<'py, PyAny>>,
    one: impl Fn(usize) -> PyResult<Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyAny>> {
    let Some(indices) = indices else {
        let all: PyResult<Vec<_>> = (0..len).map(one).collect();
        return Ok(PyList::new(py, all?)?.into_any());
    };
    let index: isize = indices.extract().map_err(|_| {
        PyTypeError::new_err(format!(
            "expected an integer as index, found {indices}; take slices of the whole list"
        ))
    })?;
    let row = if index < 0 { index + len as isize } else { index };
    match usize::try_from(row) {
        Ok(row) if row < len => one(row),
        _ => Err(PyIndexError::new_err(format!(
            "index {index} is out of range: the episode has {len} of them"
        ))),
    }
}

fn not_kept(what: &str) -> PyErr {
    SkirlError::new_err(format!(
        "the {what} of this episode are not all kept (they are of a single agent with at most {MAX_WIDTH} numbers in an \
         observation, for {MAX_STEPS} steps, and only while hooks of its steps are called from its beginning): ask for the \
         last one, index -1, in on_episode_step and keep what you need in episode.user_data"
    ))
}

/// The episodes that run now, shared by all callbacks of a run.
#[derive(Default)]
pub(super) struct Episodes {
    running: Mutex<BTreeMap<(bool, u64), Running>>,
    /// Data of episodes that ran when a checkpoint was written, until they go on.
    restored: Mutex<BTreeMap<u64, serde_json::Value>>,
    forms: Mutex<Option<Arc<Forms>>>,
}

struct Running {
    data: Arc<Mutex<EpisodeData>>,
    object: Py<NativeEpisode>,
}

impl Episodes {
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
                id.0 == key.0 && other.is_of(episode.env_index()) && (id.0 || !other.ended())
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
        let mut data = EpisodeData {
            id: episode.id(),
            env_index: episode.env_index(),
            in_evaluation: episode.in_evaluation(),
            agents: episode.agents().to_vec(),
            forms: self.forms(episode),
            ..EpisodeData::default()
        };
        data.update(episode);
        let data = Arc::new(Mutex::new(data));
        let saved = match episode.in_evaluation() {
            true => None,
            false => self.restored.lock().unwrap_or_else(PoisonError::into_inner).remove(&episode.id()),
        };
        let object = Python::attach(|py| {
            let user_data = PyDict::new(py);
            if let Some(saved) = &saved {
                user_data.update(crate::value::to_python(py, saved)?.cast::<pyo3::types::PyMapping>()?)?;
            }
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

    /// The data that callbacks keep with the episodes that run, by id. What is no plain value cannot be saved: a warning says
    /// so.
    pub(super) fn save(&self, py: Python<'_>) -> PyResult<serde_json::Value> {
        let running: Vec<(u64, Py<PyDict>)> = self
            .lock()
            .iter()
            .filter(|(key, running)| !key.0 && !running.ended())
            .map(|(key, running)| (key.1, running.object.get().user_data.clone_ref(py)))
            .collect();
        let mut saved = serde_json::Map::new();
        for (id, user_data) in running {
            let data = plain_values(user_data.bind(py))?;
            if !data.is_empty() {
                saved.insert(id.to_string(), data.into());
            }
        }
        Ok(saved.into())
    }

    /// Takes back what `save` gave.
    pub(super) fn restore(&self, saved: &serde_json::Value) {
        self.clear();
        let entries = saved.as_object().into_iter().flatten();
        *self.restored.lock().unwrap_or_else(PoisonError::into_inner) =
            entries.filter_map(|(id, data)| Some((id.parse().ok()?, data.clone()))).collect();
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
