//! A running episode as Python hooks hold it: one object from its creation to its end.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use numpy::PyArray1;
use pyo3::exceptions::{PyIndexError, PyKeyError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};
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
    at: u64,
    env_steps: u64,
    /// Actions of all agents so far; unknown where the episode was not seen from its beginning.
    agent_steps: Option<u64>,
    sum: f64,
    agent_returns: Vec<f64>,
    observations: Vec<Option<Vec<f32>>>,
    actions: Vec<Option<Column>>,
    rewards: Vec<f64>,
    terminated: bool,
    truncated: bool,
    history: Option<History>,
    pub(super) forms: Option<Arc<Forms>>,
    /// While a hook of the episode runs.
    pub(super) env: Option<EnvHandle>,
}

/// Everything that one agent saw, did and was rewarded with, one row for each step; the observations have one more in front.
#[derive(Default, Clone)]
struct History {
    observations: Vec<Vec<f32>>,
    rewards: Vec<f64>,
    actions: Vec<Column>,
}

impl EpisodeData {
    /// Of an episode that was not seen before.
    pub(super) fn of(episode: &Episode<'_>, forms: Option<Arc<Forms>>) -> Self {
        let mut data = Self {
            id: episode.id(),
            env_index: episode.env_index(),
            in_evaluation: episode.in_evaluation(),
            agents: episode.agents().to_vec(),
            forms,
            ..Self::default()
        };
        data.update(episode);
        data
    }

    pub(super) fn ended(&self) -> bool {
        self.terminated || self.truncated
    }

    /// Takes what the engine's episode shows now.
    pub(super) fn update(&mut self, episode: &Episode<'_>) {
        let agents = 0..self.agents.len();
        let before = self.env_steps;
        self.at = episode.at();
        self.env_steps = episode.env_steps();
        self.sum = episode.episode_return();
        self.agent_returns = agents.clone().filter_map(|agent| episode.agent_return(agent)).collect();
        self.observations = agents.clone().map(|agent| Some(episode.observation(agent)?.to_vec())).collect();
        let action = |agent| Some(episode.action(agent)?.columns().first()?.to_column());
        self.actions = agents.clone().map(action).collect();
        self.rewards = agents.map(|agent| episode.reward(agent)).collect();
        (self.terminated, self.truncated) = (episode.terminated(), episode.truncated());
        self.count(before);
        self.remember();
    }

    /// Counts the actions of a step that is new since `before`.
    fn count(&mut self, before: u64) {
        let acted = self.actions.iter().flatten().count() as u64;
        self.agent_steps = match (self.env_steps, self.agent_steps) {
            (0, _) => Some(0),
            (steps, Some(known)) if steps == before + 1 => Some(known + acted),
            (steps, known) => known.filter(|_| steps == before),
        };
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
            history.actions.extend(self.actions.first().cloned().flatten());
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
    pub(super) data: Arc<Mutex<EpisodeData>>,
    pub(super) user_data: Py<PyDict>,
    pub(super) custom_metrics: Py<PyDict>,
    pub(super) timestep_data: Py<PyDict>,
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

    /// Steps that each environment of the run (or of the evaluation) has made so far.
    #[getter]
    fn runner_step(&self) -> u64 {
        self.lock().at
    }

    /// Environment steps so far.
    #[getter]
    fn length(&self) -> u64 {
        self.lock().env_steps
    }

    /// Environment steps so far, as `length` and `len(episode)` (RLlib's method).
    fn env_steps(&self) -> u64 {
        self.length()
    }

    /// Actions of all agents so far.
    fn agent_steps(&self) -> PyResult<u64> {
        let data = self.lock();
        let single = (data.agents.len() == 1).then_some(data.env_steps);
        single.or(data.agent_steps).ok_or_else(|| {
            SkirlError::new_err(
                "the actions of this episode's agents were not counted, as it began before a checkpoint from which the run \
                 went on: count them in episode.user_data, which is saved with it",
            )
        })
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

    /// Actions of a single agent as the environment took them, one for each step; with an index, one of them. Kept as
    /// observations are.
    #[pyo3(signature = (indices = None))]
    fn get_actions<'py>(
        &self,
        py: Python<'py>,
        indices: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        if is_last(indices)? {
            return self.last_action_for(py, None);
        }
        let (history, forms) = self.history("actions")?;
        let one = |row: usize| action_to_python(py, &history.actions[row], &forms.action);
        chosen(py, history.actions.len(), indices, one)
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
