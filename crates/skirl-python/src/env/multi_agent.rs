//! An environment of Python with several agents as the engine's [`MultiAgentEnv`].
//!
//! Python knows agents by any ids, and gives and takes dicts by id; the engine knows them by the position in
//! `possible_agents`, and by their ids as text.

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyMapping, PyTuple};
use serde_json::Value;
use skirl_env::column::{column_muts, column_refs};
use skirl_env::{AgentActions, AgentIndex, AgentStep, EnvError, EnvState, MultiAgentEnv, Space};

use super::action::ActionMaker;
use super::border::{check_signals, warn_outside, with_python};
use super::fault::{Call, Episode, describe};
use super::observation::ObservationReader;
use super::outcome::{flag, kind, reset_observation, reward, step_tuple};
use super::python_env::call_reset;
use super::{object, state};
use crate::errors::EnvError as EnvException;
use crate::space;

/// The key of a flag for all agents.
const ALL: &str = "__all__";

/// One environment.
pub(crate) struct PythonMultiAgentEnv {
    object: Py<PyAny>,
    step: Py<PyAny>,
    reset: Py<PyAny>,
    names: Vec<String>,
    agents: Vec<Agent>,
    /// Position by id.
    positions: Py<PyDict>,
    /// Index among the environments that were made together.
    index: usize,
    episode: Episode,
    /// Makes environment `index` once more.
    make: Py<PyAny>,
}

/// One agent that may take part.
struct Agent {
    id: Py<PyAny>,
    observation_space: Space,
    action_space: Space,
    observations: ObservationReader,
    actions: ActionMaker,
    /// An observation outside its bounds was reported.
    warned: bool,
    presence: Presence,
}

/// Whether an agent takes part in the running episode.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Presence {
    NotYet,
    Here,
    Gone,
}

impl Agent {
    fn new(id: Bound<'_, PyAny>, name: &str, spaces: [&Bound<'_, PyAny>; 2]) -> PyResult<Self> {
        let [observations, actions] = spaces;
        let observation_space =
            space::from_python(observations, &format!("observation space of agent {name}"))?;
        let action_space = space::from_python(actions, &format!("action space of agent {name}"))?;
        Ok(Self {
            observations: ObservationReader::new(id.py(), &observation_space),
            actions: ActionMaker::new(actions, &action_space)?,
            id: id.unbind(),
            observation_space,
            action_space,
            warned: false,
            presence: Presence::NotYet,
        })
    }
}

impl PythonMultiAgentEnv {
    /// Takes over environment `index` of those that were just made.
    pub(super) fn new(env: &Bound<'_, PyAny>, index: usize, make: Py<PyAny>) -> PyResult<Self> {
        let described = env.py().import("skirl.env._agents")?.call_method1("describe", (env,))?;
        let positions = PyDict::new(env.py());
        let (mut names, mut agents) = (Vec::new(), Vec::new());
        for agent in described.try_iter()? {
            let (id, name, observations, actions): (
                Bound<'_, PyAny>,
                String,
                Bound<'_, PyAny>,
                Bound<'_, PyAny>,
            ) = agent?.extract()?;
            positions.set_item(&id, agents.len())?;
            agents.push(Agent::new(id, &name, [&observations, &actions])?);
            names.push(name);
        }
        Ok(Self {
            step: env.getattr("step")?.unbind(),
            reset: env.getattr("reset")?.unbind(),
            object: env.clone().unbind(),
            positions: positions.unbind(),
            names,
            agents,
            index,
            episode: Episode::default(),
            make,
        })
    }

    /// The environment, as its creator returned it.
    pub(crate) fn object(&self) -> &Py<PyAny> {
        &self.object
    }

    fn call<'a, 'py>(
        &'a self,
        env: &'a Bound<'py, PyAny>,
        method: &'a str,
        action: Option<String>,
    ) -> Call<'a, 'py> {
        Call { env, method, episode: &self.episode, action }
    }

    fn actions<'py>(&self, py: Python<'py>, actions: &AgentActions) -> PyResult<Bound<'py, PyDict>> {
        let dict = PyDict::new(py);
        for (position, agent) in
            self.agents.iter().enumerate().filter(|(position, _)| actions.acts[*position])
        {
            let columns = column_refs(&actions.actions[position]);
            dict.set_item(&agent.id, agent.actions.make(py, &columns, 0)?)?;
        }
        Ok(dict)
    }

    /// Whether the flags say of all agents together that the episode goes on or is over.
    fn step_now(
        &self,
        py: Python<'_>,
        actions: &Bound<'_, PyDict>,
        out: &mut AgentStep,
    ) -> Result<bool, EnvError> {
        let env = self.object.bind(py);
        let call = self.call(env, "step", Some(actions.to_string()));
        let returned = self.step.bind(py).call1((actions,)).map_err(|error| call.raised(error))?;
        let tuple = step_tuple(&returned).map_err(|refusal| call.refused("", &refusal))?;
        self.read_observations(&call, &item(tuple, 0, &call)?, out)?;
        self.for_each(&call, "the rewards", &item(tuple, 1, &call)?, |position, value| {
            let name = format!("the reward of agent {}", self.name(position));
            let value = reward(value).map_err(|refusal| call.refused(&name, &refusal))?;
            if !value.is_finite() {
                return Err(call.non_finite_reward(value));
            }
            if let Some(position) = position {
                out.rewards[position] = value;
            }
            Ok(())
        })?;
        let terminated = self.flags(&call, "terminated", &item(tuple, 2, &call)?, &mut out.terminated)?;
        let truncated = self.flags(&call, "truncated", &item(tuple, 3, &call)?, &mut out.truncated)?;
        (out.all_terminated, out.all_truncated) = (terminated.unwrap_or(false), truncated.unwrap_or(false));
        Ok(terminated.is_some() || truncated.is_some())
    }

    /// Who takes part, and who has ended.
    fn note_presence(&mut self, actions: Option<&AgentActions>, out: &AgentStep) {
        for (position, agent) in self.agents.iter_mut().enumerate() {
            let acted = actions.is_some_and(|actions| actions.acts[position]);
            if agent.presence == Presence::NotYet && (acted || out.observed[position]) {
                agent.presence = Presence::Here;
            }
            if out.terminated[position] || out.truncated[position] {
                agent.presence = Presence::Gone;
            }
        }
    }

    /// Ends the episode when all that took part have ended, where no flag for all says whether it is over.
    fn end_with_the_last(&self, out: &mut AgentStep) {
        let presences = || self.agents.iter().map(|agent| agent.presence);
        if presences().all(|presence| presence != Presence::Here)
            && presences().any(|presence| presence == Presence::Gone)
        {
            let truncated = out.truncated.contains(&true);
            (out.all_terminated, out.all_truncated) = (!truncated, truncated);
        }
    }

    /// Puts one flag for each agent into `out`, and returns the one for all of them, if there is one.
    fn flags(
        &self,
        call: &Call<'_, '_>,
        what: &str,
        values: &Bound<'_, PyAny>,
        out: &mut [bool],
    ) -> Result<Option<bool>, EnvError> {
        let mut all = None;
        self.for_each(call, what, values, |position, value| {
            let name = format!("{what} of agent {}", self.name(position));
            let value = flag(value).map_err(|refusal| call.refused(&name, &refusal))?;
            match position {
                Some(position) => out[position] = value,
                None => all = Some(value),
            }
            Ok(())
        })?;
        Ok(all)
    }

    fn read_observations(
        &self,
        call: &Call<'_, '_>,
        observations: &Bound<'_, PyAny>,
        out: &mut AgentStep,
    ) -> Result<(), EnvError> {
        self.for_each(call, "the observations", observations, |position, observation| {
            let Some(position) = position else { return Ok(()) };
            let columns = &mut column_muts(&mut out.observations[position]);
            let read = self.agents[position].observations.read(observation, columns, 0);
            read.map_err(|error| call.blame(of_agent(error, &self.names[position])))?;
            out.observed[position] = true;
            Ok(())
        })
    }

    /// Calls `take` for each entry of a dict by agent; without a position for the entry for all agents.
    fn for_each(
        &self,
        call: &Call<'_, '_>,
        what: &str,
        values: &Bound<'_, PyAny>,
        mut take: impl FnMut(Option<AgentIndex>, &Bound<'_, PyAny>) -> Result<(), EnvError>,
    ) -> Result<(), EnvError> {
        let refused = |refusal: &str| call.refused(what, refusal);
        let Ok(map) = values.cast::<PyMapping>() else {
            return Err(refused(&format!("are {}, expected a dict by agent", kind(values))));
        };
        let items = map.items().map_err(|error| call.raised(error))?;
        for item in items.iter() {
            let (id, value): (Bound<'_, PyAny>, Bound<'_, PyAny>) =
                item.extract().map_err(|error| call.raised(error))?;
            let position = self.positions.bind(values.py()).get_item(&id).ok().flatten();
            match position.map(|position| position.extract::<usize>()) {
                Some(Ok(position)) => take(Some(position), &value)?,
                _ if id.eq(ALL).unwrap_or(false) => take(None, &value)?,
                _ => {
                    return Err(refused(&format!(
                        "name the agent {}, expected some of possible_agents: {}",
                        kind(&id),
                        self.names.join(", ")
                    )));
                }
            }
        }
        Ok(())
    }

    /// Refuses an environment with other agents or spaces than this one: policies and columns were made for these.
    fn check_same(&self, other: &Self) -> PyResult<()> {
        let (expected, found) = (self.described(), other.described());
        if expected == found {
            return Ok(());
        }
        Err(EnvException::new_err(format!("expected {}, found {}", expected.join(", "), found.join(", "))))
    }

    /// Every agent with its spaces.
    fn described(&self) -> Vec<String> {
        let each = self.names.iter().zip(&self.agents);
        each.map(|(name, agent)| {
            format!("agent {name} ({}, {})", agent.observation_space.to_json(), agent.action_space.to_json())
        })
        .collect()
    }

    fn name(&self, position: Option<AgentIndex>) -> &str {
        position.map_or(ALL, |position| self.names[position].as_str())
    }

    /// Tells of observations outside their spaces, once for each agent.
    fn warn(&mut self, py: Python<'_>, out: &mut AgentStep) -> Result<(), EnvError> {
        for (position, agent) in self.agents.iter_mut().enumerate() {
            let reader = &agent.observations;
            if agent.warned || !out.observed[position] || !reader.is_bounded() {
                continue;
            }
            let columns = &column_muts(&mut out.observations[position]);
            if let Some(mut outside) = reader.outside(columns, 0) {
                agent.warned = true;
                outside.leaf = [self.names[position].as_str(), &outside.leaf].join("/");
                warn_outside(self.object.bind(py), self.index, &outside)?;
            }
        }
        Ok(())
    }
}

fn item<'py>(
    tuple: &Bound<'py, PyTuple>,
    index: usize,
    call: &Call<'_, '_>,
) -> Result<Bound<'py, PyAny>, EnvError> {
    tuple.get_item(index).map_err(|error| call.raised(error))
}

/// Says whose observation it was.
fn of_agent(error: EnvError, name: &str) -> EnvError {
    match error {
        EnvError::WrongShape { field, expected, found, place } => {
            EnvError::WrongShape { field: format!("{field} of agent {name}"), expected, found, place }
        }
        EnvError::NonFiniteObservation { field, index, value, place } => {
            EnvError::NonFiniteObservation { field: format!("{field} of agent {name}"), index, value, place }
        }
        EnvError::Raised { message, place } => {
            EnvError::Raised { message: format!("of agent {name}: {message}"), place }
        }
        other => other,
    }
}

impl MultiAgentEnv for PythonMultiAgentEnv {
    fn agents(&self) -> &[String] {
        &self.names
    }

    fn observation_space(&self, agent: AgentIndex) -> &Space {
        &self.agents[agent].observation_space
    }

    fn action_space(&self, agent: AgentIndex) -> &Space {
        &self.agents[agent].action_space
    }

    fn reset(&mut self, seed: Option<u64>, out: &mut AgentStep) -> Result<(), EnvError> {
        out.clear();
        self.episode.start(seed);
        self.agents.iter_mut().for_each(|agent| agent.presence = Presence::NotYet);
        with_python(|py| {
            let call = self.call(self.object.bind(py), "reset", None);
            let returned = call_reset(self.reset.bind(py), seed).map_err(|error| call.raised(error))?;
            let observations = reset_observation(&returned).map_err(|refusal| call.refused("", &refusal))?;
            self.read_observations(&call, &observations, out)?;
            if out.observed.contains(&true) {
                return Ok(());
            }
            Err(call.refused("", "observed no agent, expected those that act first"))
        })?;
        self.note_presence(None, out);
        Ok(())
    }

    fn step(&mut self, actions: &AgentActions, out: &mut AgentStep) -> Result<(), EnvError> {
        out.clear();
        with_python(|py| {
            check_signals(py)?;
            let made = self.actions(py, actions);
            let made = made.map_err(|error| self.call(self.object.bind(py), "step", None).raised(error))?;
            let is_said = self.step_now(py, &made, out)?;
            self.note_presence(Some(actions), out);
            if !is_said {
                self.end_with_the_last(out);
            }
            self.episode.steps += 1;
            self.warn(py, out)
        })
    }

    fn save_state(&self) -> Option<EnvState> {
        let mut state = EnvState::new();
        with_python(|py| state::save(py, std::iter::once(&self.object), &mut state)).then_some(state)
    }

    fn restore_state(&mut self, state: &EnvState) -> Result<(), EnvError> {
        with_python(|py| state::restore(self.object.bind(py), state, 0))
    }

    fn rebuild(&mut self) -> Result<(), EnvError> {
        let made = with_python(|py| {
            let made = self.make.bind(py).call1((self.index,));
            let made = made.and_then(|env| Self::new(&env, self.index, self.make.clone_ref(py)));
            let made = made.and_then(|made| self.check_same(&made).map(|()| made));
            made.map_err(|error| {
                let message = format!("it could not be made anew: {}", describe(py, &error));
                EnvError::foreign(message, error)
            })
        })?;
        object::hand_on_task(&self.object, &made.object)?;
        // The old one is closed as it is dropped.
        *self = made;
        Ok(())
    }

    fn set_task(&mut self, task: &Value) -> Result<(), EnvError> {
        object::set_task(&self.object, task)
    }

    fn get_task(&mut self) -> Result<Value, EnvError> {
        object::get_task(&self.object)
    }
}

impl Drop for PythonMultiAgentEnv {
    fn drop(&mut self) {
        object::close(std::iter::once(&self.object));
    }
}
