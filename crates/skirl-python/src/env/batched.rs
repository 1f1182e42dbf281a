//! Environments that Python steps as one (`gymnasium.vector.VectorEnv`).
//!
//! The engine resets environments itself, and a row after an end is the first observation of the next episode. The three
//! autoreset modes come to that: `SAME_STEP` has reset already, so its observation waits until it is asked for; `DISABLED`
//! and `NEXT_STEP` reset the ended ones by mask before the next step, so the row in which `NEXT_STEP` would ignore the action
//! never happens.

use numpy::{PyArray1, PyUntypedArray, PyUntypedArrayMethods};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};
use skirl_env::column::{column_muts, column_refs};
use skirl_env::{
    Column, ColumnMut, ColumnRef, EnvError, EnvState, EpisodeClock, Leaf, Outcomes, Space, VectorEnv,
};

use super::action::ActionMaker;
use super::border::{check_signals, with_python};
use super::fault::{Call, Episode};
use super::observation::ObservationReader;
use super::outcome::{kind, reset_observation, step_tuple};
use super::{array, object};

/// One Python object that is `num_envs` environments.
pub(crate) struct BatchedEnv {
    object: Py<PyAny>,
    step: Py<PyAny>,
    reset: Py<PyAny>,
    observation_space: Space,
    action_space: Space,
    /// Reads the whole batch as one row.
    observations: ObservationReader,
    /// Reads the observation of one environment.
    single: ObservationReader,
    actions: ActionMaker,
    sizes: Vec<usize>,
    /// The environment has reset by itself when a step returns.
    same_step: bool,
    can_reset_single: bool,
    seeds: SeedsAs,
    /// First observations that wait for `reset` to ask for them.
    waiting: Vec<Column>,
    is_waiting: Vec<bool>,
    /// Episodes that ended in the last step.
    ended: Vec<bool>,
    clock: EpisodeClock,
    episode: Episode,
}

/// How a batch takes its seeds.
enum SeedsAs {
    /// One for each environment, `None` where it is not reset.
    List,
    /// An array with one for each environment that is reset.
    Array,
    /// One for the batch.
    Number,
}

impl BatchedEnv {
    pub(super) fn new(env: &Bound<'_, PyAny>, num_envs: usize, limit: Option<u32>) -> PyResult<Self> {
        let py = env.py();
        let described = py.import("skirl.env._batched")?.call_method1("describe", (env, num_envs))?;
        let (mode, can_reset_single, seeds): (String, bool, String) = described.extract()?;
        let (observation_space, action_space) = object::spaces(env, "single_")?;
        Ok(Self {
            step: env.getattr("step")?.unbind(),
            reset: env.getattr("reset")?.unbind(),
            object: env.clone().unbind(),
            observations: ObservationReader::batch(py, &observation_space, num_envs),
            single: ObservationReader::new(py, &observation_space),
            actions: ActionMaker::batch(&env.getattr("action_space")?, &action_space, num_envs)?,
            sizes: observation_space.leaves().iter().map(Leaf::size).collect(),
            same_step: mode == "SameStep",
            can_reset_single,
            seeds: match seeds.as_str() {
                "list" => SeedsAs::List,
                "array" => SeedsAs::Array,
                _ => SeedsAs::Number,
            },
            waiting: observation_space.columns(num_envs),
            is_waiting: vec![false; num_envs],
            ended: vec![false; num_envs],
            clock: EpisodeClock::new(num_envs, limit),
            episode: Episode::default(),
            observation_space,
            action_space,
        })
    }

    /// The Python object.
    pub(crate) fn object(&self) -> &Py<PyAny> {
        &self.object
    }

    fn call<'a, 'py>(&'a self, env: &'a Bound<'py, PyAny>, method: &'a str) -> Call<'a, 'py> {
        Call { env, method, episode: &self.episode, action: None }
    }

    /// Resets those environments of `which` (all where it holds all), and keeps their observations.
    fn reset_now(&mut self, py: Python<'_>, which: &[bool], seeds: &[Option<u64>]) -> Result<(), EnvError> {
        let env = self.object.bind(py).clone();
        let all = which.iter().all(|&wanted| wanted);
        if !all && !self.can_reset_single {
            return Err(self.call(&env, "reset").refused(
                "",
                "cannot reset one environment alone (options={'reset_mask': mask}), which max_episode_steps of env_config needs",
            ));
        }
        let call = self.call_reset(py, (!all).then_some(which), seeds);
        let returned = call.map_err(|error| self.call(&env, "reset").raised(error))?;
        let batch =
            reset_observation(&returned).map_err(|refusal| self.call(&env, "reset").refused("", &refusal))?;
        let mut fresh = self.observation_space.columns(which.len());
        let read = self.observations.read(&batch, &mut column_muts(&mut fresh), 0);
        read.map_err(|error| self.call(&env, "reset").blame(error))?;
        for index in (0..which.len()).filter(|&index| which[index]) {
            copy_rows(&fresh, &mut column_muts(&mut self.waiting), &self.sizes, index);
            self.is_waiting[index] = true;
        }
        Ok(())
    }

    fn call_reset<'py>(
        &self,
        py: Python<'py>,
        mask: Option<&[bool]>,
        seeds: &[Option<u64>],
    ) -> PyResult<Bound<'py, PyAny>> {
        let kwargs = PyDict::new(py);
        if let Some(first) = seeds.iter().flatten().next() {
            let given = match self.seeds {
                SeedsAs::List => PyList::new(py, seeds)?.into_any(),
                SeedsAs::Array => PyArray1::from_iter(py, seeds.iter().flatten().copied()).into_any(),
                SeedsAs::Number => first.into_pyobject(py)?.into_any(),
            };
            kwargs.set_item(intern!(py, "seed"), given)?;
        }
        if let Some(mask) = mask {
            let options = PyDict::new(py);
            options.set_item(intern!(py, "reset_mask"), PyArray1::from_slice(py, mask))?;
            kwargs.set_item(intern!(py, "options"), options)?;
        }
        self.reset.bind(py).call((), Some(&kwargs))
    }

    fn step_now(
        &mut self,
        py: Python<'_>,
        actions: &[ColumnRef<'_>],
        observations: &mut [ColumnMut<'_>],
        outcomes: &mut Outcomes,
    ) -> Result<(), EnvError> {
        let env = self.object.bind(py).clone();
        let raised = |batch: &Self, error: PyErr| batch.call(&env, "step").raised(error);
        let action = self.actions.make(py, actions, 0).map_err(|error| raised(self, error))?;
        let returned = self.step.bind(py).call1((action,)).map_err(|error| raised(self, error))?;
        let tuple = step_tuple(&returned).map_err(|refusal| self.call(&env, "step").refused("", &refusal))?;
        let item = |index: usize| tuple.get_borrowed_item(index).map_err(|error| raised(self, error));
        let blame = |error: EnvError| self.call(&env, "step").blame(error);
        self.observations.read(&*item(0)?, observations, 0).map_err(blame)?;
        let num_envs = self.is_waiting.len();
        outcomes.rewards = numbers(&*item(1)?, "rewards", num_envs).map_err(blame)?;
        outcomes.terminated = flags(&*item(2)?, "terminations", num_envs).map_err(blame)?;
        outcomes.truncated = flags(&*item(3)?, "truncations", num_envs).map_err(blame)?;
        if let Some(index) = outcomes.rewards.iter().position(|reward| !reward.is_finite()) {
            let error = self.call(&env, "step").non_finite_reward(outcomes.rewards[index]);
            return Err(error.at_env(index));
        }
        let infos = item(4)?.to_owned();
        self.episode.steps += 1;
        if self.same_step { self.keep_first_observations(&infos, observations, outcomes) } else { Ok(()) }
    }

    /// The rows of ended episodes hold the next episode's first observation: it waits, and the last one takes its place.
    fn keep_first_observations(
        &mut self,
        infos: &Bound<'_, PyAny>,
        observations: &mut [ColumnMut<'_>],
        outcomes: &Outcomes,
    ) -> Result<(), EnvError> {
        for index in (0..self.is_waiting.len()).filter(|&index| outcomes.ended(index)) {
            for ((kept, column), &size) in self.waiting.iter_mut().zip(&*observations).zip(&self.sizes) {
                let row = column.as_ref();
                let row = row.slice(index * size..(index + 1) * size);
                let _ = row.is_some_and(|row| array::copy_row(&row, &mut kept.as_mut(), index, size));
            }
            self.is_waiting[index] = true;
            let last = infos
                .py()
                .import("skirl.env._batched")
                .and_then(|module| module.call_method1("final_observation", (infos, index)));
            let env = self.object.bind(infos.py());
            let last = last.map_err(|error| self.call(env, "step").raised(error).at_env(index))?;
            self.single
                .read(&last, observations, index)
                .map_err(|error| self.call(env, "step").blame(error).at_env(index))?;
        }
        Ok(())
    }
}

impl VectorEnv for BatchedEnv {
    fn num_envs(&self) -> usize {
        self.is_waiting.len()
    }

    fn observation_space(&self) -> &Space {
        &self.observation_space
    }

    fn action_space(&self) -> &Space {
        &self.action_space
    }

    fn max_episode_steps(&self) -> Option<u32> {
        self.clock.limit()
    }

    fn will_reset(&mut self, seeds: &[(usize, u64)]) -> Result<(), EnvError> {
        if seeds.is_empty() {
            return Ok(());
        }
        let num_envs = self.num_envs();
        let (mut which, mut given) = (vec![false; num_envs], vec![None; num_envs]);
        for &(env, seed) in seeds {
            (which[env], given[env]) = (true, Some(seed));
        }
        self.episode.start(seeds.first().map(|(_, seed)| *seed));
        with_python(|py| self.reset_now(py, &which, &given))
    }

    fn reset(
        &mut self,
        env: usize,
        seed: Option<u64>,
        observations: &mut [ColumnMut<'_>],
    ) -> Result<(), EnvError> {
        self.clock.start(env)?;
        if seed.is_some() && !self.is_waiting[env] {
            self.will_reset(&seed.map(|seed| (env, seed)).into_iter().collect::<Vec<_>>())?;
        }
        if !self.is_waiting[env] {
            // All that ended are reset in one call, in whatever order they are asked for.
            let mut which: Vec<bool> =
                self.ended.iter().zip(&self.is_waiting).map(|(ended, waiting)| *ended && !waiting).collect();
            which[env] = true;
            let seeds = vec![None; which.len()];
            with_python(|py| self.reset_now(py, &which, &seeds)).map_err(|error| error.at_env(env))?;
        }
        // What was reset must not be reset again with the others that ended.
        (self.is_waiting[env], self.ended[env]) = (false, false);
        copy_rows(&self.waiting, observations, &self.sizes, env);
        Ok(())
    }

    fn step(
        &mut self,
        actions: &[ColumnRef<'_>],
        observations: &mut [ColumnMut<'_>],
        outcomes: &mut Outcomes,
    ) -> Result<(), EnvError> {
        self.clock.before_step()?;
        let env_step = self.clock.total_steps() + 1;
        with_python(|py| {
            check_signals(py)?;
            self.step_now(py, actions, observations, outcomes).map_err(|error| error.at_step(env_step))
        })?;
        let own: Vec<bool> = outcomes.truncated.clone();
        self.clock.after_step_keeping(&outcomes.terminated, &mut outcomes.truncated);
        for (index, own) in own.into_iter().enumerate() {
            self.ended[index] = outcomes.ended(index);
            // The engine's own time limit: the environment does not know that the episode is over.
            if outcomes.truncated[index] && !own && !outcomes.terminated[index] {
                self.is_waiting[index] = false;
            }
        }
        Ok(())
    }

    fn save_state(&self) -> Option<EnvState> {
        None
    }

    fn restore_state(&mut self, _state: &EnvState) -> Result<(), EnvError> {
        Err(EnvError::NoState { env: "a batched environment of Python".to_owned() })
    }
}

impl Drop for BatchedEnv {
    fn drop(&mut self) {
        object::close(std::iter::once(&self.object));
    }
}

/// Copies row `index` of every column.
fn copy_rows(from: &[Column], to: &mut [ColumnMut<'_>], sizes: &[usize], index: usize) {
    for ((from, to), &size) in column_refs(from).iter().zip(to).zip(sizes) {
        let row = from.slice(index * size..(index + 1) * size);
        // Both were made from one space.
        let _ = row.is_some_and(|row| array::copy_row(&row, to, index, size));
    }
}

/// One number for each environment.
fn numbers(value: &Bound<'_, PyAny>, name: &str, num_envs: usize) -> Result<Vec<f64>, EnvError> {
    let read = || -> PyResult<Vec<f64>> {
        let array = value.py().import("numpy")?.call_method1("asarray", (value, "float64"))?;
        check_shape(&array, num_envs)?;
        array.call_method0("tolist")?.extract()
    };
    read().map_err(|_| unexpected(value, name, "numbers", num_envs))
}

/// One flag for each environment.
fn flags(value: &Bound<'_, PyAny>, name: &str, num_envs: usize) -> Result<Vec<bool>, EnvError> {
    let read = || -> PyResult<Vec<bool>> {
        let array = value.py().import("numpy")?.call_method1("asarray", (value,))?;
        check_shape(&array, num_envs)?;
        array.call_method0("tolist")?.extract()
    };
    read().map_err(|_| unexpected(value, name, "truth values", num_envs))
}

fn check_shape(array: &Bound<'_, PyAny>, num_envs: usize) -> PyResult<()> {
    let array = array.cast::<PyUntypedArray>()?;
    if array.shape() == [num_envs] {
        return Ok(());
    }
    Err(crate::errors::EnvError::new_err("another shape"))
}

fn unexpected(value: &Bound<'_, PyAny>, name: &str, what: &str, num_envs: usize) -> EnvError {
    EnvError::raised(format!("{name} is {}, expected an array of {num_envs} {what}", kind(value)))
}
