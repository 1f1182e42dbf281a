//! A running algorithm, as `skirl.algorithms.Algorithm` holds it.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use pyo3::prelude::*;
use pyo3::types::PyDict;
use serde_json::json;
use skirl::algorithm::EvaluateRequest;
use skirl::checkpoint::Snapshot;
use skirl::collect::ShardFaults;
use skirl::report::TrainResult;
use skirl::{Algorithm, Error};

use crate::arrays::{column_from, column_to_array, tensors_from, tensors_to_dict};
use crate::callbacks::callback_list;
use crate::config::NativeConfig;
use crate::engine_thread::{forget_interruption, herald};
use crate::foreach_env::{Bounds, foreach_env};
use crate::held::Held;
use crate::module::NativeModule;
use crate::shared::NativeSharedState;
use crate::state::{state_from_python, state_to_python};
use crate::value::{map_to_python, to_python};

/// An iteration from which on Ctrl-C does not wait for its end: the state before it is kept, which costs about as much as a
/// short iteration.
const LONG_ITERATION: Duration = Duration::from_secs(1);

/// An algorithm: environments, policies, learners.
#[pyclass(module = "skirl._native", frozen)]
pub(crate) struct NativeAlgorithm {
    held: Arc<Held>,
    /// Whether the iteration before was long; true at first, when nobody knows.
    was_long: AtomicBool,
    /// As they were when they were last asked for: hooks may want them while the algorithm is at work.
    module_ids: Mutex<Vec<String>>,
}

impl NativeAlgorithm {
    fn new(held: Arc<Held>) -> Self {
        Self { held, was_long: AtomicBool::new(true), module_ids: Mutex::default() }
    }

    /// One that is yet to be built, and known to its owner.
    fn begin<'py>(py: Python<'py>, owner: Option<Bound<'py, PyAny>>) -> PyResult<Bound<'py, Self>> {
        let held = Held::start(py)?;
        let native = Bound::new(py, Self::new(Arc::clone(&held)))?;
        if let Some(owner) = owner {
            owner.call_method1("_begin", (&native,))?;
            held.belongs_to(py.import("weakref")?.call_method1("ref", (owner,))?.unbind());
        }
        Ok(native)
    }
}

#[pymethods]
impl NativeAlgorithm {
    /// Builds environments, networks and the rest from a configuration. `dispatchers` are the user's callbacks; `owner` is the
    /// Python object that hooks are given, which is told of this one by its method `_begin` before anything is built.
    #[staticmethod]
    #[pyo3(signature = (config, dispatchers = Vec::new(), owner = None))]
    fn build<'py>(
        py: Python<'py>,
        config: &NativeConfig,
        dispatchers: Vec<Bound<'py, PyAny>>,
        owner: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, Self>> {
        let (config, callbacks) = (config.inner.clone_box(), callback_list(&dispatchers)?);
        let native = Self::begin(py, owner)?;
        native.get().held.build(py, move || Algorithm::build_with(config, callbacks).map(heralded))?;
        native.get().module_ids(py)?;
        Ok(native)
    }

    /// An algorithm with the configuration and state of a checkpoint.
    #[staticmethod]
    #[pyo3(signature = (path, dispatchers = Vec::new(), owner = None))]
    fn from_checkpoint<'py>(
        py: Python<'py>,
        path: PathBuf,
        dispatchers: Vec<Bound<'py, PyAny>>,
        owner: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, Self>> {
        let callbacks = callback_list(&dispatchers)?;
        let native = Self::begin(py, owner)?;
        native.get().held.build(py, move || {
            Algorithm::from_checkpoint_with_callbacks(&path, callbacks, |_| Ok(())).map(heralded)
        })?;
        native.get().module_ids(py)?;
        Ok(native)
    }

    /// One training iteration; the result as nested dicts. After Ctrl-C the state is that of the last whole iteration.
    fn train<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        self.held.refuse_in_hooks("train()", "return from the hook, and call train() in your loop")?;
        let handle = self.held.quick(py, |algorithm| Ok(algorithm.stop_handle()))?;
        let can_cut = self.was_long.load(Ordering::Relaxed);
        let started = Instant::now();
        let on_interrupt = || {
            if can_cut {
                handle.stop("interrupted");
            }
        };
        let trained: PyResult<TrainResult> =
            self.held.long(py, on_interrupt, move |algorithm| train_whole(algorithm, can_cut));
        // An interruption at the very end must not stop the next iteration.
        handle.clear();
        let result = trained?;
        self.was_long.store(started.elapsed() >= LONG_ITERATION, Ordering::Relaxed);
        map_to_python(py, result.as_map())
    }

    /// Plays episodes with the newest weights; what the result has under `evaluation`.
    #[pyo3(signature = (episodes = None, seed = None, explore = None))]
    fn evaluate<'py>(
        &self,
        py: Python<'py>,
        episodes: Option<usize>,
        seed: Option<u64>,
        explore: Option<bool>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let request = EvaluateRequest { episodes, seed, explore };
        let report = self.held.long(
            py,
            || {},
            move |algorithm| {
                let evaluation = algorithm.evaluate(&request)?;
                let mut report = TrainResult::new();
                algorithm.report_evaluation(&evaluation, &mut report);
                Ok(report.value("evaluation").cloned().unwrap_or_else(|| json!({})))
            },
        )?;
        to_python(py, &report)
    }

    /// Writes the whole state into exactly this directory.
    fn save_to_path(&self, py: Python<'_>, path: PathBuf) -> PyResult<PathBuf> {
        self.held.long(py, || {}, move |algorithm| algorithm.save_to_path(&path))
    }

    /// Puts a saved state into this algorithm.
    fn restore_from_path(&self, py: Python<'_>, path: PathBuf) -> PyResult<()> {
        self.held.long(py, || {}, move |algorithm| algorithm.restore_from_path(&path))
    }

    /// The whole state as nested dicts of plain values and arrays.
    fn get_state<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let snapshot = self.held.long(py, || {}, |algorithm| algorithm.snapshot())?;
        state_to_python(py, snapshot)
    }

    /// Puts such a state into this algorithm.
    fn set_state(&self, py: Python<'_>, state: &Bound<'_, PyAny>) -> PyResult<()> {
        let snapshot = state_from_python(state)?;
        self.held.long(py, || {}, move |algorithm| algorithm.restore(&snapshot))
    }

    /// Actions of a module for `rows` observations, given as one array for each leaf of its observation space; as one flat
    /// array of the action space's type.
    #[pyo3(signature = (module, observations, explore = None))]
    fn compute_actions<'py>(
        &self,
        py: Python<'py>,
        module: &str,
        observations: Vec<Bound<'py, PyAny>>,
        explore: Option<bool>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let columns: PyResult<Vec<_>> = observations.iter().map(column_from).collect();
        let columns = columns?;
        let actions =
            self.held.quick(py, move |algorithm| algorithm.compute_actions(module, &columns, explore))?;
        Ok(column_to_array(py, actions))
    }

    /// The weights of a module by name.
    fn get_weights<'py>(&self, py: Python<'py>, module: &str) -> PyResult<Bound<'py, PyDict>> {
        let policy = self.held.quick(py, |algorithm| algorithm.policy(module))?;
        tensors_to_dict(py, &policy.net.params().export())
    }

    /// Replaces the weights of a module.
    fn set_weights(&self, py: Python<'_>, module: &str, weights: &Bound<'_, PyDict>) -> PyResult<()> {
        let tensors = tensors_from(weights)?;
        self.held.quick(py, |algorithm| algorithm.set_weights(module, &tensors))
    }

    /// A copy of a module with the newest weights.
    fn module(&self, py: Python<'_>, module: &str) -> PyResult<NativeModule> {
        self.held.quick(py, |algorithm| algorithm.policy(module)).map(NativeModule::over)
    }

    /// The module that acts for an agent.
    fn policy_for(&self, py: Python<'_>, agent: &str) -> PyResult<String> {
        self.held.quick(py, |algorithm| algorithm.policy_for(agent))
    }

    /// Calls `function(env)` for every environment of training, or of evaluation, in order; or only for those from the first
    /// of `bounds` to before the second.
    #[pyo3(signature = (function, in_evaluation = false, bounds = None))]
    fn foreach_env(
        &self,
        py: Python<'_>,
        function: Py<PyAny>,
        in_evaluation: bool,
        bounds: Option<Bounds>,
    ) -> PyResult<Vec<Py<PyAny>>> {
        let work = move |algorithm: &mut Algorithm| {
            Ok(foreach_env(&function, bounds, |visit| match in_evaluation {
                true => algorithm.foreach_evaluation_env(visit),
                false => algorithm.foreach_env(visit),
            }))
        };
        self.held.long(py, || {}, work)?.map_err(|failed| failed.into_py_err(py))
    }

    /// Processes of the training environments, how many of them are up, and how many were replaced; None where they are
    /// stepped in this process.
    fn processes(&self, py: Python<'_>) -> PyResult<Option<Processes>> {
        let faults = self.held.quick(py, |algorithm| Ok(algorithm.faults()))?;
        Ok(faults.map(processes))
    }

    /// Environments of evaluation, made now if they are not there yet; and their processes as `processes` has them.
    fn evaluation_envs(&self, py: Python<'_>) -> PyResult<(usize, Option<Processes>)> {
        let (num_envs, faults) = self.held.long(py, || {}, Algorithm::evaluation_envs)?;
        Ok((num_envs, faults.map(processes)))
    }

    /// Environments of training.
    #[getter]
    fn num_envs(&self, py: Python<'_>) -> PyResult<usize> {
        self.held.quick(py, |algorithm| Ok(algorithm.plan().environment.num_envs))
    }

    /// The configuration with its seed.
    fn config(&self, py: Python<'_>) -> PyResult<NativeConfig> {
        let inner = self.held.quick(py, |algorithm| Ok(algorithm.config().clone_box()))?;
        Ok(NativeConfig { inner })
    }

    /// What the user should be told: damage, what was not saved.
    fn warnings(&self, py: Python<'_>) -> PyResult<Vec<String>> {
        self.held.quick(py, |algorithm| Ok(algorithm.warnings().to_vec()))
    }

    /// Ids of the modules.
    fn module_ids(&self, py: Python<'_>) -> PyResult<Vec<String>> {
        let asked = self.held.quick(py, |algorithm| Ok(algorithm.module_ids()));
        let mut known = self.module_ids.lock().unwrap_or_else(PoisonError::into_inner);
        match asked {
            Ok(ids) => known.clone_from(&ids),
            // They do not change in the middle of its work.
            Err(_) if self.held.is_at_work_here() => {}
            Err(error) => return Err(error),
        }
        Ok(known.clone())
    }

    /// Goes on with the policies of another configuration, their map and those that learn; nothing else of it is looked at.
    fn change_modules(&self, py: Python<'_>, config: &NativeConfig) -> PyResult<()> {
        let multi_agent = config.inner.common().multi_agent.clone();
        self.held.long(py, || {}, move |algorithm| algorithm.change_modules(multi_agent))?;
        self.module_ids(py).map(drop)
    }

    /// Agents, each with the module that acts for it.
    fn mapping(&self, py: Python<'_>) -> PyResult<Vec<(String, String)>> {
        self.held.quick(py, |algorithm| Ok(algorithm.plan().mapping.clone()))
    }

    /// Iterations since the start of the run.
    fn training_iteration(&self, py: Python<'_>) -> PyResult<u64> {
        self.held.quick(py, |algorithm| Ok(algorithm.training_iteration()))
    }

    /// What environments, callbacks and the user's loop share.
    fn shared_state(&self, py: Python<'_>) -> PyResult<NativeSharedState> {
        self.held.quick(py, |algorithm| Ok(NativeSharedState { shared: algorithm.shared_state().clone() }))
    }

    /// What runs, in words.
    fn explain(&self, py: Python<'_>) -> PyResult<String> {
        self.held.quick(py, |algorithm| Ok(algorithm.plan().to_string()))
    }

    /// Frees environments and threads.
    fn stop(&self, py: Python<'_>) -> PyResult<()> {
        self.held.stop(py)
    }
}

/// Its caller is woken in time for the end of an iteration.
fn heralded(mut algorithm: Algorithm) -> Algorithm {
    algorithm.set_herald(herald());
    algorithm
}

/// Processes, those that are up, and those that were replaced.
type Processes = (u64, u64, u64);

fn processes(faults: ShardFaults) -> Processes {
    (faults.processes, faults.healthy, faults.restarts)
}

/// One iteration, or the state before it: where a stop cut it, what it had done is taken back.
fn train_whole(algorithm: &mut Algorithm, can_cut: bool) -> Result<TrainResult, Error> {
    let before: Option<Snapshot> = can_cut.then(|| algorithm.snapshot()).transpose()?;
    let modules = algorithm.module_ids();
    let handle = algorithm.stop_handle();
    let trained = algorithm.train();
    let was_asked = handle.is_raised();
    handle.clear();
    // Where a hook has changed the modules, the iteration was over, and the state before it does not fit any more.
    let same_modules = algorithm.module_ids() == modules;
    if let (true, Err(_), Some(before)) = (was_asked && same_modules, &trained, &before) {
        // Worker processes that were killed are started for this, which takes its time.
        forget_interruption();
        algorithm.restore(before)?;
    }
    trained
}
