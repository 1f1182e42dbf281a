//! The user's Python code at the hooks of a run. The Python half, which finds out what each function wants to be given, is
//! `skirl/callbacks/dispatch.py`.

mod batches;
mod columns;
mod environment;
mod episode;
pub(crate) mod results;
mod running;
mod values;

use std::any::Any;
use std::error::Error;
use std::path::Path;
use std::sync::Arc;

use pyo3::prelude::*;
use pyo3::types::PyDict;
use serde_json::{Map, Value, json};
use skirl::Algorithm;
use skirl::callbacks::{
    CallbackList, Callbacks, Environment, Episode, Hook, HookResult, HookSet, RecreatedRunners, Trajectory,
};
use skirl::contract::Rollout;
use skirl::evaluate::Evaluation;
use skirl::learn::Batch;
use skirl::report::TrainResult;

use crate::env::with_python;
use crate::lent;
use crate::value::{from_python, to_python};
use batches::{MovedTable, with_batch, with_trajectory};
use running::{Episodes, take_metrics};

pub(crate) use batches::{names, new_batch};
pub(crate) use columns::{action_shape, shown};
pub(crate) use environment::{EnvHandle, NativeEnv, env_object};
pub(crate) use episode::NativeEpisode as EpisodeClass;

/// Hooks that tell what an episode holds.
const TRACKING: HookSet = HookSet::EPISODE;

/// One user's class, instance or set of functions, as the engine calls it.
struct PyCallbacks {
    name: String,
    /// The hooks that the user wrote.
    written: HookSet,
    /// With those that are needed to follow episodes.
    hooks: HookSet,
    /// A `skirl.callbacks.dispatch.Dispatcher`.
    dispatcher: Py<PyAny>,
    episodes: Arc<Episodes>,
    /// Saves what is common to all callbacks of the run.
    is_first: bool,
    /// Trajectories are handed out with their episodes.
    tracks: bool,
}

/// The engine's callbacks for the dispatchers of a run. Each has `name`, the names of its `hooks`, and whether it wants to
/// see the episodes of trajectories (`tracks_episodes`).
pub(crate) fn callback_list(dispatchers: &[Bound<'_, PyAny>]) -> PyResult<CallbackList> {
    list_with(dispatchers, Episodes::default())
}

/// The callbacks of a worker: episodes that ended are asked for no more.
pub(crate) fn worker_callbacks(dispatchers: &[Bound<'_, PyAny>]) -> PyResult<CallbackList> {
    list_with(dispatchers, Episodes::of_worker())
}

fn list_with(dispatchers: &[Bound<'_, PyAny>], episodes: Episodes) -> PyResult<CallbackList> {
    let episodes = Arc::new(episodes);
    let mut list = CallbackList::new();
    for (index, dispatcher) in dispatchers.iter().enumerate() {
        list.push(Arc::new(PyCallbacks::new(dispatcher, Arc::clone(&episodes), index == 0)?));
    }
    Ok(list)
}

/// The dispatcher through which callbacks of other processes are made like these ones; none where they have to stay in this
/// process, as one of them is not written in Python, or is handed episodes with their trajectories.
pub(crate) fn travelling(py: Python<'_>, callbacks: &CallbackList) -> Option<Py<PyAny>> {
    let mut first = None;
    for each in callbacks.iter() {
        let each = each.as_any()?.downcast_ref::<PyCallbacks>().filter(|each| !each.tracks)?;
        first.get_or_insert_with(|| each.dispatcher.clone_ref(py));
    }
    first
}

/// Names of the hooks that the engine calls.
#[pyfunction]
pub(crate) fn hooks() -> Vec<&'static str> {
    Hook::ALL.iter().map(|hook| hook.name()).collect()
}

/// Calls Python code with subnormal numbers as it expects them. An exception becomes the error of the hook.
fn in_python<T>(work: impl FnOnce(Python<'_>) -> PyResult<T>) -> Result<T, Box<dyn Error + Send + Sync>> {
    with_python(|py| work(py).map_err(Into::into))
}

/// Calls a hook that is given the algorithm, which it may use.
fn with_algorithm(
    algorithm: &mut Algorithm,
    hook: impl FnOnce(Python<'_>, &Bound<'_, PyAny>) -> PyResult<()>,
) -> HookResult {
    lent::lend(algorithm, |owner| in_python(|py| hook(py, &lent::resolve(py, owner.as_deref())?)))
}

impl PyCallbacks {
    fn new(dispatcher: &Bound<'_, PyAny>, episodes: Arc<Episodes>, is_first: bool) -> PyResult<Self> {
        let names: Vec<String> = dispatcher.getattr("hooks")?.extract()?;
        let written = Hook::ALL
            .iter()
            .filter(|hook| names.iter().any(|name| name == hook.name()))
            .fold(HookSet::NONE, |hooks, &hook| hooks.and(hook));
        let tracks: bool = dispatcher.getattr("tracks_episodes")?.extract()?;
        let mut hooks = written;
        if tracks || written.contains(Hook::EpisodeStep) || written.contains(Hook::EpisodeEnd) {
            hooks = hooks.union(TRACKING);
        }
        if hooks.meets(HookSet::EPISODE) {
            hooks = hooks.and(Hook::SampleEnd);
        }
        if dispatcher.getattr("logs_metrics")?.extract()? {
            hooks = hooks.and(Hook::TrainResult).and(Hook::EvaluateEnd);
        }
        Ok(Self {
            name: dispatcher.getattr("name")?.extract()?,
            written,
            hooks,
            dispatcher: dispatcher.clone().unbind(),
            episodes,
            is_first,
            tracks,
        })
    }

    fn call<'py>(&self, py: Python<'py>, hook: Hook, args: impl pyo3::call::PyCallArgs<'py>) -> PyResult<()> {
        self.dispatcher.bind(py).call_method1(hook.name(), args).map(drop)
    }

    /// A hook of an episode.
    fn episode(&self, hook: Hook, episode: &mut Episode<'_>) -> HookResult {
        let object = self.episodes.object(episode)?;
        if !self.written.contains(hook) {
            return Ok(());
        }
        let index = episode.env_index();
        EnvHandle::lend(index, episode.environment(), |env| {
            in_python(|py| {
                object.get().set_env(Some(env));
                let called = self.call(py, hook, (&object,));
                object.get().set_env(None);
                called
            })
        })?;
        in_python(|py| take_metrics(py, &object, episode.custom_metrics))
    }

    fn algorithm_hook(&self, hook: Hook, algorithm: &mut Algorithm) -> HookResult {
        if !self.written.contains(hook) {
            return Ok(());
        }
        with_algorithm(algorithm, |py, owner| self.call(py, hook, (owner,)))
    }
}

impl Callbacks for PyCallbacks {
    fn name(&self) -> &str {
        &self.name
    }

    fn hooks(&self) -> HookSet {
        self.hooks
    }

    fn save_state(&self) -> Result<Option<Value>, Box<dyn Error + Send + Sync>> {
        in_python(|py| {
            let own = self.dispatcher.bind(py).call_method0("get_state")?;
            let own = from_python(&own, &format!("the state of callbacks '{}'", self.name))?;
            Ok((!own.is_null()).then(|| json!({ "state": own })))
        })
    }

    fn as_any(&self) -> Option<&dyn Any> {
        Some(self)
    }

    fn episode_data(&self, id: u64) -> Result<Map<String, Value>, Box<dyn Error + Send + Sync>> {
        match self.is_first {
            true => in_python(|py| self.episodes.user_data(py, id)),
            false => Ok(Map::new()),
        }
    }

    fn forget_episodes(&self) {
        self.episodes.clear();
    }

    fn take_logged(&self, in_evaluation: bool, logged: &[String]) -> HookResult {
        if !self.is_first {
            return Ok(());
        }
        in_python(|py| {
            self.dispatcher.bind(py).call_method1("take_logged", (in_evaluation, logged)).map(drop)
        })
    }

    fn restore_state(&self, state: &Value) -> HookResult {
        in_python(|py| match state.get("state") {
            Some(own) => self.dispatcher.bind(py).call_method1("set_state", (to_python(py, own)?,)).map(drop),
            None => Ok(()),
        })
    }

    fn on_algorithm_init(&self, algorithm: &mut Algorithm) -> HookResult {
        self.algorithm_hook(Hook::AlgorithmInit, algorithm)
    }

    fn on_environment_created(&self, environment: &mut Environment<'_>) -> HookResult {
        let (index, in_evaluation) = (environment.index(), environment.in_evaluation());
        EnvHandle::lend(index, environment, |env| {
            in_python(|py| {
                self.call(py, Hook::EnvironmentCreated, (env_object(py, &env)?, index, in_evaluation))
            })
        })
    }

    fn on_episode_created(&self, episode: &mut Episode<'_>) -> HookResult {
        self.episode(Hook::EpisodeCreated, episode)
    }

    fn on_episode_start(&self, episode: &mut Episode<'_>) -> HookResult {
        self.episode(Hook::EpisodeStart, episode)
    }

    fn on_episode_step(&self, episode: &mut Episode<'_>) -> HookResult {
        self.episode(Hook::EpisodeStep, episode)
    }

    fn on_episode_end(&self, episode: &mut Episode<'_>) -> HookResult {
        self.episode(Hook::EpisodeEnd, episode)
    }

    fn on_postprocess_trajectory(&self, trajectory: &mut Trajectory) -> HookResult {
        in_python(|py| {
            let episode = self.episodes.of_training(py, trajectory.episode_id());
            with_trajectory(py, trajectory, |batch| {
                self.call(py, Hook::PostprocessTrajectory, (batch, episode))
            })
        })
    }

    fn on_sample_end(&self, sample: &mut Rollout) -> HookResult {
        self.episodes.drop_ended();
        if !self.written.contains(Hook::SampleEnd) {
            return Ok(());
        }
        in_python(|py| {
            let samples = PyDict::new(py);
            let mut moved = Vec::new();
            for (module, table) in &mut sample.modules {
                let batch = new_batch(py, module)?;
                moved.push(MovedTable::out(&batch, table)?);
                samples.set_item(module, batch)?;
            }
            self.call(py, Hook::SampleEnd, (&samples,))?;
            for (moved, (module, table)) in moved.into_iter().zip(&mut sample.modules) {
                let batch = samples.as_any().get_item(module)?.cast_into::<PyDict>()?;
                moved.back(&batch, table)?;
            }
            Ok(())
        })
    }

    fn on_learn_on_batch(&self, module: &str, batch: &mut Batch) -> HookResult {
        in_python(|py| {
            with_batch(py, module, batch, |batch| self.call(py, Hook::LearnOnBatch, (module, batch)))
        })
    }

    fn on_evaluate_start(&self, algorithm: &mut Algorithm) -> HookResult {
        self.algorithm_hook(Hook::EvaluateStart, algorithm)
    }

    fn on_evaluate_end(&self, algorithm: &mut Algorithm, evaluation: &mut Evaluation) -> HookResult {
        let mut report = TrainResult::new();
        algorithm.report_evaluation(evaluation, &mut report);
        let metrics = report.value("evaluation").cloned().unwrap_or_else(|| json!({}));
        with_algorithm(algorithm, |py, owner| {
            let dict = to_python(py, &metrics)?;
            self.call(py, Hook::EvaluateEnd, (owner, &dict))?;
            results::take_changes(&metrics, &dict, &mut evaluation.extra)
        })
    }

    fn on_train_result(&self, algorithm: &mut Algorithm, result: &mut TrainResult) -> HookResult {
        with_algorithm(algorithm, |py, owner| {
            let dict = to_python(py, &result.as_value())?;
            self.call(py, Hook::TrainResult, (owner, &dict))?;
            *result = results::from_dict(&dict)?;
            Ok(())
        })
    }

    fn on_env_runners_recreated(
        &self,
        algorithm: &mut Algorithm,
        recreated: &RecreatedRunners,
    ) -> HookResult {
        with_algorithm(algorithm, |py, owner| {
            let indices = &recreated.env_runner_indices;
            self.call(py, Hook::EnvRunnersRecreated, (owner, indices, recreated.is_evaluation))
        })
    }

    fn on_checkpoint_saved(&self, _algorithm: &Algorithm, path: &Path) -> HookResult {
        in_python(|py| self.call(py, Hook::CheckpointSaved, (path,)))
    }

    fn on_checkpoint_loaded(&self, algorithm: &mut Algorithm) -> HookResult {
        self.algorithm_hook(Hook::CheckpointLoaded, algorithm)
    }
}
