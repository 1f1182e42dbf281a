//! The whole state of an algorithm as the files of a checkpoint, and back.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use skirl_math::rng::StreamKey;
use skirl_math::stats::ColumnMoments;

use super::Algorithm;
use super::actor::Actor;
use super::module::{Example, check_example, example};
use super::tensors::{env_state_under, named_under, put_env_state, put_named};
use crate::checkpoint::{
    ALGORITHM_STATE, CONFIG, ENV_RUNNER_STATE, ENV_RUNNER_TENSORS, ENV_TO_MODULE_TENSORS, LEARNER_STATE,
    MODULE_EXAMPLE, MODULE_SPEC, MODULE_STATE, ModuleSpaces, OPTIMIZER_TENSORS, Snapshot, Tensor, Tensors,
    module_file,
};
use crate::collect::agent_runner::AgentRunnerState;
use crate::collect::live::{tasks_from_value, tasks_to_value};
use crate::collect::runner_state::EnvRunnerState;
use crate::collect::vector_runner::RunnerState;
use crate::config::{self, AlgorithmConfig, BatchMode};
use crate::contract::{ModuleState, Policies};
use crate::error::Error;
use crate::publish::Weights;

/// The runner's stream below the run's seed, as the pipeline is built with it.
pub(super) const RUNNER_STREAM: &str = "training";

/// The configuration that a checkpoint was made with.
pub(super) fn config_of(snapshot: &Snapshot) -> Result<Box<dyn AlgorithmConfig>, Error> {
    Ok(config::from_value(snapshot.json(CONFIG)?)?)
}

impl Algorithm {
    /// The whole state in memory.
    ///
    /// # Errors
    /// A state that cannot be expressed (a bug).
    pub fn snapshot(&self) -> Result<Snapshot, Error> {
        let mut snapshot = Snapshot::new(self.config.algorithm());
        snapshot.manifest.spaces = self.spaces();
        snapshot.manifest.isa = skirl_nn::isa().to_string();
        snapshot.manifest.counters = BTreeMap::from([
            ("num_env_steps_sampled_lifetime".to_owned(), self.env_steps()),
            ("training_iteration".to_owned(), self.training_iteration()),
        ]);
        snapshot.put_json(CONFIG, self.config.to_value());
        let state = json!({
            "seed": self.seed.to_string(),
            "pipeline": self.parts.task.save_state()?,
            "metrics": to_json(&self.metrics)?,
            "actor_calls": self.actor.calls.to_string(),
            "callbacks": self.callbacks.save_state()?,
            "evaluation_tasks": tasks_to_value(&self.evaluation_tasks),
        });
        snapshot.put_json(ALGORITHM_STATE, state);
        self.snapshot_shared(&mut snapshot)?;
        self.snapshot_runner(&mut snapshot)?;
        self.snapshot_learners(&mut snapshot)?;
        Ok(snapshot)
    }

    fn spaces(&self) -> BTreeMap<String, ModuleSpaces> {
        let spaces = |policy: &crate::plan::ModulePlan| ModuleSpaces {
            observation: policy.observation_space.to_json(),
            action: policy.action_space.to_json(),
        };
        self.plan.modules.iter().map(|(id, module)| (id.clone(), spaces(module))).collect()
    }

    fn snapshot_runner(&self, snapshot: &mut Snapshot) -> Result<(), Error> {
        let runner = self.parts.runner.lock();
        let (mut tensors, mut filter) = (Tensors::new(), Tensors::new());
        let (mut state, saved_envs) = match runner.save_state()? {
            EnvRunnerState::Vector(state) => vector_state(&state, &mut tensors)?,
            EnvRunnerState::Agents(state) => agents_state(&state, &mut tensors)?,
        };
        if !saved_envs {
            snapshot.manifest.not_saved.push(format!(
                "the state of environment {}, which cannot save it (save_state in Rust, get_state and set_state in Python): resumed \
                 episodes start anew",
                self.plan.environment.env
            ));
        }
        for (module, normalizer) in runner.normalizers() {
            let moments = normalizer.moments();
            filter.insert(format!("{module}/count"), Tensor::vector(vec![moments.count]));
            filter.insert(format!("{module}/mean"), Tensor::vector(moments.mean.clone()));
            filter.insert(format!("{module}/m2"), Tensor::vector(moments.m2.clone()));
        }
        state["tasks"] = tasks_to_value(runner.tasks());
        snapshot.put_json(ENV_RUNNER_STATE, state);
        snapshot.put_tensors(ENV_RUNNER_TENSORS, tensors);
        snapshot.put_tensors(ENV_TO_MODULE_TENSORS, filter);
        Ok(())
    }

    fn snapshot_learners(&self, snapshot: &mut Snapshot) -> Result<(), Error> {
        let (mut optimizer, mut extra) = (Tensors::new(), Map::new());
        let version = self.parts.board.newest().version;
        for (id, policy) in &self.parts.learners.policies() {
            let mut weights = Tensors::new();
            put_named(&mut weights, "", &policy.net.params().export())?;
            snapshot.put_tensors(module_file(id, MODULE_STATE), weights);
            snapshot.put_json(module_file(id, MODULE_SPEC), self.module_spec(id));
            snapshot.put_tensors(module_file(id, MODULE_EXAMPLE), example(policy)?);
            let Some(state) = self.parts.learners.save_state(id) else { continue };
            let state = state?;
            for (buffer, named) in &state.optimizer {
                put_named(&mut optimizer, &format!("{id}/{buffer}/"), named)?;
            }
            let buffers: Vec<&str> = state.optimizer.iter().map(|(name, _)| name.as_str()).collect();
            extra.insert(id.clone(), json!({ "state": state.extra, "optimizer_buffers": buffers }));
        }
        snapshot.put_tensors(OPTIMIZER_TENSORS, optimizer);
        snapshot.put_json(LEARNER_STATE, json!({ "modules": extra, "weights_version": version.to_string() }));
        Ok(())
    }

    fn module_spec(&self, id: &str) -> Value {
        let Some(module) = self.plan.modules.get(id) else { return json!({}) };
        json!({
            "module_id": id,
            "observation_space": module.observation_space.to_json(),
            "action_space": module.action_space.to_json(),
            "distribution": module.distribution,
            "rl_module": config::Section::to_map(&module.options),
            "trained": module.trained,
        })
    }

    /// Puts a whole state back; where that fails, this algorithm stays as it was.
    ///
    /// # Errors
    /// A state of another algorithm, other spaces, another network or another number of environments.
    pub fn restore(&mut self, snapshot: &Snapshot) -> Result<(), Error> {
        self.put_back(snapshot, env!("CARGO_PKG_VERSION"), "the state that was put back")
    }

    /// As [`restore`](Self::restore), a snapshot that this version of skirl wrote.
    pub(super) fn restore_written_by(&mut self, snapshot: &Snapshot, version: &str) -> Result<(), Error> {
        self.put_back(snapshot, version, "the checkpoint")
    }

    /// `source` is what warnings call it: not every state was in a checkpoint.
    fn put_back(&mut self, snapshot: &Snapshot, version: &str, source: &str) -> Result<(), Error> {
        let (before, warnings) = (self.snapshot()?, std::mem::take(&mut self.warnings));
        let restored = self.restore_all(snapshot, version, source);
        if restored.is_err() {
            self.restore_all(&before, env!("CARGO_PKG_VERSION"), source)?;
            self.warnings = warnings;
        }
        restored
    }

    fn restore_all(&mut self, snapshot: &Snapshot, version: &str, source: &str) -> Result<(), Error> {
        snapshot.manifest.check_algorithm(self.config.algorithm())?;
        snapshot.manifest.check_spaces(&self.spaces())?;
        let saved_config = config_of(snapshot)?;
        self.check_batch_mode(&*saved_config)?;
        let isa = skirl_nn::isa().to_string();
        if snapshot.manifest.isa != isa {
            self.warnings.push(format!(
                "the checkpoint was written with the instruction set {}, this run uses {isa}: results go on, but not \
                 byte for byte; set SKIRL_ISA to the former for that",
                snapshot.manifest.isa
            ));
        }
        let missing = snapshot.manifest.not_saved.iter();
        self.warnings.extend(missing.map(|what| format!("{source} does not hold {what}")));
        for file in [ALGORITHM_STATE, ENV_RUNNER_STATE, LEARNER_STATE] {
            check_counts(file, "", snapshot.json(file)?)?;
        }
        let state = snapshot.json(ALGORITHM_STATE)?;
        self.take_seed(u64_in(state, "seed")?);
        let same_build = snapshot.manifest.isa == isa && version == env!("CARGO_PKG_VERSION");
        self.restore_learners(snapshot, same_build)?;
        self.restore_runner(snapshot)?;
        self.parts.task.restore_state(state.get("pipeline").unwrap_or(&Value::Null))?;
        self.metrics.take_dropped(self.parts.runner.lock().env_steps_dropped());
        self.metrics.go_on_from(from_json(state.get("metrics"), "metrics")?);
        self.metrics.set_window(self.config.common().reporting.metrics_num_episodes_for_smoothing);
        (self.evaluator, self.evaluated) = (None, None);
        self.evaluation_tasks = tasks_from_value(state.get("evaluation_tasks"));
        // Absent in a state that was saved before there were actors.
        self.actor = Actor::with_calls(u64_in(state, "actor_calls").unwrap_or(0));
        // After the runner: environments that were reset have changed it.
        self.restore_shared(snapshot)?;
        self.warnings.extend(self.missing_callbacks(&*saved_config));
        self.callbacks.restore_state(state.get("callbacks").and_then(Value::as_object))
    }

    /// Rows of running episodes are saved only where whole episodes are wanted.
    fn check_batch_mode(&self, saved: &dyn AlgorithmConfig) -> Result<(), Error> {
        let whole = |config: &dyn AlgorithmConfig| {
            config.common().env_runners.batch_mode == BatchMode::CompleteEpisodes
        };
        if whole(saved) || !whole(&*self.config) {
            return Ok(());
        }
        Err(Error::Mismatch {
            what: "env_runners.batch_mode of the checkpoint".to_owned(),
            expected: "\"complete_episodes\", as in this run".to_owned(),
            found: "\"truncate_episodes\", which keeps no rows of the episodes under way".to_owned(),
            remedy: "Go on with \"truncate_episodes\", or start a new run".to_owned(),
        })
    }

    /// The streams of what follows are those of the run that was saved, whatever seed this algorithm was built with.
    fn take_seed(&mut self, seed: u64) {
        self.seed = seed;
        self.config.common_mut().debugging.seed = Some(seed);
        self.plan.seed = Some(seed);
        self.parts.runner.lock().set_root(StreamKey::root(seed).child(RUNNER_STREAM));
    }

    fn restore_learners(&mut self, snapshot: &Snapshot, same_build: bool) -> Result<(), Error> {
        let learner_state = snapshot.json(LEARNER_STATE)?;
        let optimizer = snapshot.tensors(OPTIMIZER_TENSORS)?.all();
        let mut published =
            Weights { version: u64_in(learner_state, "weights_version")?, ..Weights::default() };
        for id in self.plan.modules.keys() {
            let weights = named_under(snapshot.tensors(&module_file(id, MODULE_STATE))?.all(), "");
            // A module that is not trained has weights only.
            let saved =
                learner_state.get("modules").and_then(|modules| modules.get(id)).unwrap_or(&Value::Null);
            let state = module_state(id, weights, saved, optimizer);
            self.parts.learners.restore_state(id, &state).map_err(|error| in_module(id, error))?;
            if let Some(policy) = self.parts.learners.policy(id) {
                let path = module_file(id, MODULE_EXAMPLE);
                // A state that never was a file needs no proof of having been read.
                if snapshot.contains(&path) {
                    let example = Example { stored: snapshot.tensors(&path)?, same_build };
                    self.warnings.extend(check_example(id, &policy, &example)?);
                }
                published.modules.insert(id.clone(), policy.net.params().values().to_vec());
            }
        }
        let mut policies: Policies = self.parts.learners.policies();
        policies.values_mut().for_each(|policy| policy.version = published.version);
        self.parts.runner.lock().set_policies(policies);
        self.parts.board.publish(published);
        Ok(())
    }

    fn restore_runner(&mut self, snapshot: &Snapshot) -> Result<(), Error> {
        let state = snapshot.json(ENV_RUNNER_STATE)?;
        let tensors = snapshot.tensors(ENV_RUNNER_TENSORS)?;
        let mut runner = self.parts.runner.lock();
        let mut normalizers = runner.normalizers().clone();
        let filter = snapshot.tensors(ENV_TO_MODULE_TENSORS)?;
        for (module, normalizer) in &mut normalizers {
            let width = normalizer.moments().mean.len();
            normalizer.set_moments(ColumnMoments {
                count: filter.u64(&format!("{module}/count"), &[1])?[0],
                mean: filter.f64(&format!("{module}/mean"), &[width])?.to_vec(),
                m2: filter.f64(&format!("{module}/m2"), &[width])?.to_vec(),
            });
        }
        runner.set_normalizers(&normalizers);
        runner.restore_tasks(tasks_from_value(state.get("tasks")))?;
        let restored = match state.get("kind").and_then(Value::as_str) {
            Some("agents") => {
                let mut agents: AgentRunnerState = from_json(state.get("agents"), "environment runner")?;
                for (index, slot) in agents.envs.iter_mut().enumerate() {
                    let env = env_state_under(tensors, &format!("env/{index}/"))?;
                    slot.env = slot.env_saved.then_some(env);
                }
                EnvRunnerState::Agents(agents)
            }
            _ => {
                let mut vector: RunnerState = from_json(state.get("vector"), "environment runner")?;
                let current = tensors.get("current")?;
                vector.current = tensors.f32("current", current.shape())?.to_vec();
                vector.env = vector.env_saved.then(|| env_state_under(tensors, "env/")).transpose()?;
                EnvRunnerState::Vector(vector)
            }
        };
        runner.restore_state(restored)
    }
}

fn vector_state(state: &RunnerState, tensors: &mut Tensors) -> Result<(Value, bool), Error> {
    tensors.insert("current".to_owned(), Tensor::vector(state.current.clone()));
    if let Some(env) = &state.env {
        put_env_state(tensors, "env/", env);
    }
    Ok((json!({ "kind": "vector", "vector": to_json(state)? }), state.env_saved))
}

fn agents_state(state: &AgentRunnerState, tensors: &mut Tensors) -> Result<(Value, bool), Error> {
    for (index, slot) in state.envs.iter().enumerate() {
        if let Some(env) = &slot.env {
            put_env_state(tensors, &format!("env/{index}/"), env);
        }
    }
    let saved = state.envs.iter().all(|slot| slot.env_saved);
    Ok((json!({ "kind": "agents", "agents": to_json(state)? }), saved))
}

fn module_state(
    id: &str,
    weights: Vec<skirl_nn::NamedTensor>,
    saved: &Value,
    optimizer: &Tensors,
) -> ModuleState {
    let buffers =
        saved.get("optimizer_buffers").and_then(Value::as_array).map_or(&[] as &[Value], Vec::as_slice);
    let buffer = |name: &str| (name.to_owned(), named_under(optimizer, &format!("{id}/{name}/")));
    ModuleState {
        weights,
        optimizer: buffers.iter().filter_map(Value::as_str).map(buffer).collect(),
        extra: saved.get("state").cloned().unwrap_or_default(),
    }
}

/// Says whose weights do not fit.
pub(super) fn in_module(id: &str, error: Error) -> Error {
    let Error::Nn(source) = error else { return error };
    Error::Mismatch {
        what: format!("the saved state of module '{id}'"),
        expected: "finite tensors of this run's network".to_owned(),
        found: source.to_string(),
        remedy: "Restore with the rl_module options that wrote the checkpoint, or take an older one"
            .to_owned(),
    }
}

/// Largest count of a state: no run reaches it, and above it the next additions could overflow.
const MAX_COUNT: u64 = 1 << 62;

/// Refuses counts that cannot be, wherever they stand. Seeds and keys of random streams may be any number.
fn check_counts(file: &str, place: &str, value: &Value) -> Result<(), Error> {
    let count = value.as_u64().or_else(|| value.as_str()?.parse().ok());
    match value {
        Value::Object(map) => map
            .iter()
            .filter(|(name, _)| !name.ends_with("seed") && !name.ends_with("key"))
            .try_for_each(|(name, inner)| check_counts(file, name, inner)),
        Value::Array(values) => values.iter().try_for_each(|inner| check_counts(file, place, inner)),
        _ if count.is_some_and(|count| count > MAX_COUNT) => Err(Error::Mismatch {
            what: format!("`{place}` in `{file}`"),
            expected: format!("at most {MAX_COUNT}"),
            found: value.to_string(),
            remedy: "The checkpoint is damaged; take an older one".to_owned(),
        }),
        _ => Ok(()),
    }
}

pub(super) fn to_json<T: serde::Serialize>(value: &T) -> Result<Value, Error> {
    serde_json::to_value(value)
        .map_err(|source| Error::Internal(format!("state cannot be written: {source}")))
}

pub(super) fn from_json<T: serde::de::DeserializeOwned>(
    value: Option<&Value>,
    what: &str,
) -> Result<T, Error> {
    let value = value.cloned().unwrap_or_default();
    serde_json::from_value(value).map_err(|source| Error::Mismatch {
        what: format!("the saved state of the {what}"),
        expected: "the fields of this version".to_owned(),
        found: source.to_string(),
        remedy: "Restore with the version of skirl that wrote the checkpoint (its manifest names it)"
            .to_owned(),
    })
}

fn u64_in(value: &Value, name: &str) -> Result<u64, Error> {
    let text = value.get(name).and_then(Value::as_str);
    text.and_then(|text| text.parse().ok()).ok_or_else(|| Error::Mismatch {
        what: format!("'{name}' in the saved state"),
        expected: "a number".to_owned(),
        found: "nothing readable".to_owned(),
        remedy: "The checkpoint is damaged; take an older one".to_owned(),
    })
}
