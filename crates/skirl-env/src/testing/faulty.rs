//! An environment with one fault.

use std::time::Duration;

use serde_json::Value;

use crate::column::{Column, ColumnMut};
use crate::env::{Env, EnvState, Step};
use crate::env_config::number;
use crate::error::EnvError;
use crate::registry::{EnvContext, make_with};
use crate::row::{Row, RowRef};
use crate::scene::Scene;
use crate::space::Space;
use crate::state::{entry, nest, nested};

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// `step` returns an error.
    Raise,
    /// The reward is NaN.
    NanReward,
    /// The reward is infinite.
    InfiniteReward,
    /// The first element of the observation is NaN (`f32` and `f64` leaves only).
    NanObservation,
    /// The first element of the observation lies outside its bounds (`f32` and `f64` leaves only).
    OutOfBounds,
    /// The observation has one element too many.
    WrongShape,
    /// The observation has another element type.
    WrongDType,
    /// The observation is not written.
    Unwritten,
    /// The reward depends on how many steps were taken since the environment was built, not on the episode.
    Nondeterministic,
    /// `reset` ignores its seed.
    IgnoresSeed,
    /// `restore_state` does nothing.
    ForgetsState,
    /// `step` takes this many milliseconds longer.
    Slow(u32),
}

impl Fault {
    /// All faults but `Slow`, with the names that `env_config` gives them.
    pub const NAMES: [(&'static str, Fault); 11] = [
        ("raise", Fault::Raise),
        ("nan_reward", Fault::NanReward),
        ("infinite_reward", Fault::InfiniteReward),
        ("nan_observation", Fault::NanObservation),
        ("out_of_bounds", Fault::OutOfBounds),
        ("wrong_shape", Fault::WrongShape),
        ("wrong_dtype", Fault::WrongDType),
        ("unwritten", Fault::Unwritten),
        ("nondeterministic", Fault::Nondeterministic),
        ("ignores_seed", Fault::IgnoresSeed),
        ("forgets_state", Fault::ForgetsState),
    ];
}

/// Any environment, made faulty from its `at_step`-th step on (counted from 1 since it was built), `times` steps long.
#[derive(Debug, Clone)]
pub struct FaultyEnv<E> {
    env: E,
    fault: Fault,
    at_step: u64,
    times: u64,
    steps: u64,
}

impl<E: Env> FaultyEnv<E> {
    /// An environment that goes wrong once, at step `at_step`.
    pub fn new(env: E, fault: Fault, at_step: u64) -> FaultyEnv<E> {
        FaultyEnv { env, fault, at_step, times: 1, steps: 0 }
    }

    /// Goes wrong for `times` steps.
    pub fn times(mut self, times: u64) -> FaultyEnv<E> {
        self.times = times;
        self
    }

    fn is_now(&self) -> bool {
        self.steps >= self.at_step && self.steps - self.at_step < self.times
    }

    fn spoil_observation(&self, observation: &mut Row<'_>) -> Result<(), EnvError> {
        match self.fault {
            Fault::NanObservation => write_first(observation, f64::NAN),
            Fault::OutOfBounds => write_first(observation, 1e30),
            Fault::WrongShape => {
                let len = observation.column(0)?.len();
                observation.set(&vec![0.0; len + 1])
            }
            Fault::WrongDType if observation.f64(0).is_ok() => observation.f32(0).map(drop),
            Fault::WrongDType => observation.f64(0).map(drop),
            _ => Ok(()),
        }
    }
}

fn write_first(observation: &mut Row<'_>, value: f64) -> Result<(), EnvError> {
    match observation.column(0)? {
        ColumnMut::F32(values) => values[0] = value as f32,
        ColumnMut::F64(values) => values[0] = value,
        _ => return Err(EnvError::raised("this fault needs a floating-point observation")),
    }
    Ok(())
}

impl FaultyEnv<Box<dyn Env>> {
    /// From `env_config`: `env` (a registered name), `fault` (a name of [`Fault::NAMES`] or `slow`), `at_step`, `times`,
    /// `milliseconds`. Goes wrong in environment `on_env` only, if that is given.
    pub(crate) fn from_context(name: &str, context: &EnvContext) -> Result<Self, EnvError> {
        let text = |key: &str, default: &str| {
            context.env_config.get(key).and_then(Value::as_str).unwrap_or(default).to_owned()
        };
        let env = make_with(&text("env", "CartPole-v1"), &EnvContext::single())?;
        let fault_name = text("fault", "raise");
        let milliseconds = number(name, context, "milliseconds", 1000.0)? as u32;
        let known = Fault::NAMES.into_iter().chain([("slow", Fault::Slow(milliseconds))]);
        let fault = known.into_iter().find(|(known, _)| *known == fault_name);
        let (_, fault) = fault.ok_or_else(|| EnvError::BadConfig {
            env: name.to_owned(),
            key: "fault".to_owned(),
            problem: format!("is \"{fault_name}\""),
            hint: format!(", expected slow or one of {:?}", Fault::NAMES.map(|(name, _)| name)),
        })?;
        let on_env = number(name, context, "on_env", context.first_env_index as f64)?;
        let at_step = number(name, context, "at_step", 10.0)? as u64;
        let at_step = if on_env == context.first_env_index as f64 { at_step } else { u64::MAX };
        Ok(FaultyEnv::new(env, fault, at_step).times(number(name, context, "times", 1.0)? as u64))
    }

    /// The keys of `env_config` that [`FaultyEnv::from_context`] reads.
    pub(crate) const CONFIG_KEYS: [&'static str; 6] =
        ["env", "fault", "at_step", "times", "milliseconds", "on_env"];
}

impl<E: Env> Env for FaultyEnv<E> {
    fn observation_space(&self) -> Space {
        self.env.observation_space()
    }

    fn action_space(&self) -> Space {
        self.env.action_space()
    }

    fn reset(&mut self, seed: Option<u64>, observation: &mut Row<'_>) -> Result<(), EnvError> {
        let ignore = self.fault == Fault::IgnoresSeed && self.steps + 1 >= self.at_step;
        self.env.reset(if ignore { None } else { seed }, observation)
    }

    fn step(&mut self, action: &RowRef<'_>, observation: &mut Row<'_>) -> Result<Step, EnvError> {
        self.steps += 1;
        if !self.is_now() {
            return self.env.step(action, observation);
        }
        if self.fault == Fault::Raise {
            return Err(EnvError::raised(format!("fault planted at step {}", self.steps)));
        }
        if let Fault::Slow(milliseconds) = self.fault {
            std::thread::sleep(Duration::from_millis(u64::from(milliseconds)));
        }
        if self.fault == Fault::Unwritten {
            let mut elsewhere = self.observation_space().columns(1);
            return self.env.step(action, &mut Row::new(crate::column::column_muts(&mut elsewhere)));
        }
        let mut step = self.env.step(action, observation)?;
        self.spoil_observation(observation)?;
        match self.fault {
            Fault::NanReward => step.reward = f64::NAN,
            Fault::InfiniteReward => step.reward = f64::INFINITY,
            Fault::Nondeterministic => step.reward += self.steps as f64,
            _ => {}
        }
        Ok(step)
    }

    fn save_state(&self) -> Option<EnvState> {
        let mut state = EnvState::new();
        nest(&mut state, "env", self.env.save_state()?);
        state.insert("fault/steps".to_owned(), Column::U64(vec![self.steps]));
        Some(state)
    }

    fn restore_state(&mut self, state: &EnvState) -> Result<(), EnvError> {
        if self.fault == Fault::ForgetsState {
            return Ok(());
        }
        self.steps = entry::<u64>(state, "fault/steps", 1)?[0];
        self.env.restore_state(&nested(state, "env"))
    }

    fn draw(&self) -> Option<Scene> {
        self.env.draw()
    }

    fn inner_mut(&mut self) -> Option<&mut dyn Env> {
        Some(&mut self.env)
    }
}
