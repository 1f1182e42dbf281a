//! An environment runner: one that the user made, or that of evaluation while a function of the user's own has it.

use std::sync::{Arc, Mutex, PoisonError, TryLockError};

use pyo3::prelude::*;
use pyo3::types::PyDict;
use serde_json::json;
use skirl::algo;
use skirl::callbacks::CallbackList;
use skirl::collect::episodes::EpisodeRecord;
use skirl::collect::{EnvRunner, Environments, RunnerOptions};
use skirl::config::AlgorithmConfig;
use skirl::contract::{Policies, Rollout};
use skirl::plan::{Plan, build_policy, environment_spec};
use skirl::workers::Workers;
use skirl_math::rng::StreamKey;

use super::batch::batch_of;
use super::episodes::sample_episodes;
use crate::arrays::{tensors_from, tensors_to_dict};
use crate::call::detached;
use crate::callbacks::callback_list;
use crate::config::NativeConfig;
use crate::errors::{ConfigError, SkirlError};
use crate::foreach_env::foreach_env;
use crate::lent::Loan;
use crate::value::to_python;

/// Steps environments with a policy.
#[pyclass(module = "skirl._native", frozen)]
pub(crate) struct NativeEnvRunner {
    place: Place,
    /// Episodes that ended and were not asked for yet.
    finished: Mutex<Vec<EpisodeRecord>>,
    fresh: Mutex<FreshStreams>,
}

/// Streams for episodes from fresh resets: others in every call, and repeatable.
struct FreshStreams {
    root: StreamKey,
    calls: u64,
}

impl FreshStreams {
    fn of(root: StreamKey) -> Mutex<Self> {
        Mutex::new(Self { root, calls: 0 })
    }

    /// The root of the next call; that of the first is the runner's own.
    fn next(&mut self) -> StreamKey {
        self.calls += 1;
        if self.calls == 1 { self.root } else { self.root.child("again").index(self.calls) }
    }
}

enum Place {
    Own(Box<Mutex<EnvRunner>>),
    Lent(Arc<Loan<EnvRunner>>),
}

impl NativeEnvRunner {
    /// The runner that a hook was given, with the root of its streams.
    pub(crate) fn lent(loan: Arc<Loan<EnvRunner>>, root: StreamKey) -> Self {
        Self { place: Place::Lent(loan), finished: Mutex::default(), fresh: FreshStreams::of(root) }
    }

    fn with<T: Send>(
        &self,
        py: Python<'_>,
        work: impl FnOnce(&mut EnvRunner) -> Result<T, skirl::Error> + Send,
    ) -> PyResult<T> {
        match &self.place {
            Place::Lent(loan) => {
                loan.with("the runner of evaluation", |runner| detached(py, || work(runner)))?
            }
            Place::Own(runner) => {
                let mut runner = match runner.try_lock() {
                    Ok(runner) => runner,
                    Err(TryLockError::Poisoned(poisoned)) => PoisonError::into_inner(poisoned),
                    Err(TryLockError::WouldBlock) => {
                        return Err(SkirlError::new_err(
                            "this runner is at work; call it from one thread at a time, and not from its own callbacks",
                        ));
                    }
                };
                let runner = &mut *runner;
                detached(py, || work(runner))
            }
        }
    }
}

#[pymethods]
impl NativeEnvRunner {
    /// A runner with the environments, networks and streams of an algorithm of this configuration.
    #[staticmethod]
    fn build(py: Python<'_>, config: &NativeConfig, dispatchers: Vec<Bound<'_, PyAny>>) -> PyResult<Self> {
        let callbacks = callback_list(&dispatchers)?;
        let mut config = config.inner.clone_box();
        let seed = config.common().debugging.seed;
        let seed = seed.ok_or_else(|| ConfigError::new_err("expected a configuration with a seed"))?;
        let runner = detached(py, move || build(&mut *config, callbacks))?;
        Ok(Self {
            place: Place::Own(Box::new(Mutex::new(runner))),
            finished: Mutex::default(),
            fresh: FreshStreams::of(training_root(seed)),
        })
    }

    /// Steps every environment `steps` times, or plays whole episodes from fresh resets: a batch for each module, and the
    /// environment steps.
    #[pyo3(signature = (steps = None, episodes = None, explore = None))]
    fn sample<'py>(
        &self,
        py: Python<'py>,
        steps: Option<usize>,
        episodes: Option<usize>,
        explore: Option<bool>,
    ) -> PyResult<(Bound<'py, PyDict>, u64)> {
        let fresh = episodes.map(|_| self.fresh.lock().unwrap_or_else(PoisonError::into_inner).next());
        let fresh = fresh.unwrap_or(StreamKey::root(0));
        let (rollout, records) = self.with(py, |runner| match episodes {
            Some(episodes) => sample_episodes(runner, fresh, episodes, explore),
            None => {
                let rollout = runner.sample_explore(steps.unwrap_or(1), explore)?;
                Ok((rollout, runner.take_finished()))
            }
        })?;
        self.finished.lock().unwrap_or_else(PoisonError::into_inner).extend(records);
        let Rollout { modules, env_steps, .. } = rollout;
        let batches = PyDict::new(py);
        for (module, table) in modules {
            batches.set_item(&module, batch_of(py, &module, table)?)?;
        }
        Ok((batches, env_steps))
    }

    /// Episodes that ended since the last call, as dicts.
    fn take_episodes<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let records = std::mem::take(&mut *self.finished.lock().unwrap_or_else(PoisonError::into_inner));
        let records: Vec<_> = records
            .into_iter()
            .map(|record| {
                json!({
                    "id": record.id,
                    "env_index": record.env,
                    "episode_return": record.episode_return,
                    "episode_len": record.len,
                    "agent_returns": record.agent_returns,
                    "custom_metrics": record.custom_metrics,
                })
            })
            .collect();
        to_python(py, &records.into())
    }

    /// Resets every environment; with a seed, with the streams of that seed.
    #[pyo3(signature = (seed = None))]
    fn reset(&self, py: Python<'_>, seed: Option<u64>) -> PyResult<()> {
        let root = {
            let mut fresh = self.fresh.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(seed) = seed {
                *fresh = FreshStreams { root: training_root(seed), calls: 0 };
            }
            fresh.next()
        };
        self.with(py, |runner| {
            runner.reset_with(root)?;
            runner.take_finished();
            Ok(())
        })
    }

    /// Calls `function(env)` for every environment.
    fn foreach_env<'py>(&self, py: Python<'py>, function: Bound<'py, PyAny>) -> PyResult<Vec<Py<PyAny>>> {
        let function = function.unbind();
        let visited =
            self.with(py, |runner| Ok(foreach_env(&function, None, |visit| runner.foreach_env(visit))))?;
        visited.map_err(|failed| failed.into_py_err(py))
    }

    /// Processes of the environments, how many of them are up, and how many were replaced; None where they are stepped in this
    /// process.
    fn processes(&self, py: Python<'_>) -> PyResult<Option<(u64, u64, u64)>> {
        let faults = self.with(py, |runner| Ok(runner.faults()))?;
        Ok(faults.map(|faults| (faults.processes, faults.healthy, faults.restarts)))
    }

    /// Environments.
    #[getter]
    fn num_envs(&self, py: Python<'_>) -> PyResult<usize> {
        self.with(py, |runner| Ok(runner.num_envs()))
    }

    /// The weights of each module by name.
    fn get_weights<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let tensors: Vec<_> = self.with(py, |runner| {
            let export = |(id, policy): (&String, &skirl::contract::Policy)| {
                (id.clone(), policy.net.params().export())
            };
            Ok(runner.policies().iter().map(export).collect())
        })?;
        let weights = PyDict::new(py);
        for (module, tensors) in tensors {
            weights.set_item(module, tensors_to_dict(py, &tensors)?)?;
        }
        Ok(weights)
    }

    /// Replaces the weights of the modules that are given: of all of them, or of none where one does not fit.
    fn set_weights(&self, py: Python<'_>, weights: &Bound<'_, PyDict>) -> PyResult<()> {
        let mut given = Vec::new();
        for (module, tensors) in weights.iter() {
            given.push((module.extract::<String>()?, tensors_from(tensors.cast::<PyDict>()?)?));
        }
        self.with(py, |runner| {
            let mut policies = runner.policies().clone();
            for (module, tensors) in &given {
                let known = policies.keys().cloned().collect::<Vec<_>>().join(", ");
                let policy = policies.get_mut(module).ok_or_else(|| skirl::Error::Argument {
                    what: "the modules of the weights".to_owned(),
                    expected: known,
                    found: module.clone(),
                    remedy: "Give weights as get_weights does: by module, then by name".to_owned(),
                })?;
                policy.net.params_mut().import(tensors)?;
                policy.net.refresh();
                policy.version += 1;
            }
            runner.set_policies(policies);
            Ok(())
        })
    }
}

fn training_root(seed: u64) -> StreamKey {
    StreamKey::root(seed).child("training")
}

fn build(config: &mut dyn AlgorithmConfig, callbacks: CallbackList) -> Result<EnvRunner, skirl::Error> {
    config.validate()?;
    let common = config.common();
    let mut spec = environment_spec(common)?;
    if callbacks.wants_any(skirl::callbacks::HookSet::EPISODE) {
        spec.num_shards = 1;
    }
    let environments = Environments::make(&spec)?;
    let plan = algo::plan(config, spec, environments.spaces())?;
    let seed = common.debugging.seed.unwrap_or_default();
    let mut options = RunnerOptions::from_config(common, training_root(seed));
    options.callbacks = callbacks;
    let workers = Arc::new(Workers::new(plan.num_threads)?);
    EnvRunner::new(environments, policies(&plan, StreamKey::root(seed))?, options, workers)
}

/// As an algorithm makes them: the same seed gives the same weights.
fn policies(plan: &Plan, root: StreamKey) -> Result<Policies, skirl::Error> {
    let modules = plan.modules.iter();
    modules
        .map(|(id, module)| Ok((id.clone(), build_policy(module, root.child("init").child(id))?)))
        .collect()
}
