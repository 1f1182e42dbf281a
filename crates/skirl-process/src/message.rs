//! What the two processes say to each other: the headers of frames.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use skirl::callbacks::{CallbackError, Hook, Place};
use skirl::collect::episodes::{EpisodeIds, EpisodeRecord, RunningEpisode};
use skirl_env::{Column, DType, EnvState};
use skirl_math::stats::ColumnMoments;

use crate::layout::Layout;
use crate::tables::OpenTable;

/// How often whoever waits looks whether the worker still makes progress.
pub const LOOK: Duration = Duration::from_millis(100);

/// From the process that trains.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Request {
    /// Build a range of environments. Bytes: what their constructors need, for whoever embeds the worker.
    Build(Build),
    /// Reset the environments of episodes that have not started. Bytes: statistics of observations.
    Begin {
        /// Where in the run.
        place: RunPlace,
        /// Key of the environments' seeds.
        seeds: u64,
        /// Running episodes.
        episodes: Vec<RunningEpisode>,
        /// They start for callbacks as well.
        call_hooks: bool,
    },
    /// Step. Weights are in shared memory. Bytes: statistics of observations.
    Sample {
        /// Where in the run.
        place: RunPlace,
        /// Of each environment.
        steps: usize,
        /// Draw actions, or take the most likely ones.
        explore: bool,
        /// Version of the weights.
        version: u64,
        /// Sizes of the memory.
        layout: Layout,
        /// Write observations into this table.
        table: Option<u64>,
        /// Tables that are still in use; all others can be let go.
        tables: Vec<u64>,
    },
    /// Map a table that all workers write to. Its file follows this message.
    TakeTable(OpenTable),
    /// Write the rollout once more, as there is more room now.
    Deliver {
        /// Sizes of the memory.
        layout: Layout,
    },
    /// Save the environments' state.
    SaveState,
    /// Put a saved state back. Bytes: its columns.
    RestoreState {
        /// Where in the run.
        place: RunPlace,
        /// Running episodes.
        episodes: Vec<RunningEpisode>,
        /// What the bytes are.
        columns: Vec<ColumnHeader>,
    },
    /// Set an environment's task.
    SetTask {
        /// Of the range.
        env: usize,
        /// The task.
        task: Value,
    },
    /// Tell an environment's task.
    GetTask {
        /// Of the range.
        env: usize,
    },
    /// Call a function with an environment. Bytes: the function, in the host's own form.
    Call {
        /// Of the range.
        env: usize,
    },
    /// End.
    Stop,
}

/// What a worker builds.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Build {
    /// The whole configuration, with its seed.
    pub config: Value,
    /// Registered name of the environments.
    pub env: String,
    /// Arguments of their constructors.
    pub env_config: Map<String, Value>,
    /// They are evaluation's.
    pub in_evaluation: bool,
    /// First environment.
    pub first_env: usize,
    /// Environments.
    pub num_envs: usize,
    /// Number of this runner, counted from 1.
    pub runner: usize,
    /// Runners in all.
    pub num_runners: usize,
    /// It takes the place of one that failed.
    pub recreated: bool,
}

/// A place in the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunPlace {
    /// Key of the exploration streams.
    pub explore: u64,
    /// Their counter.
    pub steps: u64,
    /// Number of the first episode.
    pub first_episode: u64,
    /// Environments of the whole run.
    pub num_envs: usize,
}

impl RunPlace {
    /// How episodes are numbered.
    pub fn ids(self) -> EpisodeIds {
        EpisodeIds { first: self.first_episode, num_envs: self.num_envs }
    }
}

/// From the worker.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reply {
    /// The environments are built.
    Built {
        /// Their observation space.
        observation: Value,
        /// Their action space.
        action: Value,
        /// Widths of a rollout.
        layout: Layout,
    },
    /// It was done.
    Done,
    /// The environments were reset.
    Begun {
        /// Running episodes.
        episodes: Vec<RunningEpisode>,
        /// What callbacks logged, in the form that the hosts of both processes know.
        logged: String,
    },
    /// A rollout is in shared memory. Bytes: what was seen of observations, by environment.
    Sampled {
        /// End rows.
        ends: usize,
        /// Counter of the exploration streams.
        steps: u64,
        /// Running episodes.
        episodes: Vec<RunningEpisode>,
        /// Finished episodes.
        finished: Vec<EpisodeRecord>,
        /// What callbacks logged.
        logged: String,
    },
    /// A rollout is there, but has more end rows than there is room for.
    MoreRoom {
        /// End rows.
        ends: usize,
    },
    /// The environments' state. Bytes: its columns and the inputs that wait.
    State {
        /// Whether the environments could save their state.
        saved: bool,
        /// What the bytes are.
        columns: Vec<ColumnHeader>,
        /// Counter of the exploration streams.
        steps: u64,
        /// Running episodes.
        episodes: Vec<RunningEpisode>,
    },
    /// An environment's task.
    Task(Value),
    /// What a function returned, and the environment's task where the function has changed it.
    Returned(Value, Option<Value>),
    /// It could not be done.
    Failed {
        /// In words.
        message: String,
        /// The hook that failed, where one did.
        hook: Option<Box<HookFailure>>,
    },
}

/// Callbacks that failed: what an engine's error of them holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HookFailure {
    /// Name of the callbacks.
    pub callbacks: String,
    /// Name of the hook.
    pub hook: String,
    /// Id of the episode.
    pub episode: Option<u64>,
    /// Index of the environment.
    pub env: Option<usize>,
    /// Environment steps of the episode.
    pub env_step: Option<u64>,
    /// What it raised, in words.
    pub message: String,
}

impl HookFailure {
    /// Out of the engine's error; `message` in its place.
    pub fn of(error: &CallbackError, message: String) -> Self {
        let Place { episode, env, env_step } = error.place;
        let (callbacks, hook) = (error.callbacks.clone(), error.hook.name().to_owned());
        Self { callbacks, hook, episode, env, env_step, message }
    }

    /// The engine's error.
    pub fn to_error(&self) -> CallbackError {
        let Self { callbacks, hook, episode, env, env_step, message } = self.clone();
        let hook = Hook::ALL.iter().find(|each| each.name() == hook).copied();
        CallbackError {
            callbacks,
            hook: hook.unwrap_or(Hook::EpisodeStep),
            place: Place { episode, env, env_step },
            source: message.into(),
        }
    }
}

/// A column of a saved state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ColumnHeader {
    name: String,
    dtype: String,
    len: usize,
}

/// Name under which the inputs that wait for an action stand among the columns of a state.
const CURRENT: &str = "/current";

/// A saved state as columns, and their bytes one after the other.
pub fn pack_state(state: Option<&EnvState>, current: &[f32]) -> (Vec<ColumnHeader>, Vec<u8>) {
    let waiting = Column::F32(current.to_vec());
    let all = state.into_iter().flatten().map(|(name, column)| (name.as_str(), column));
    let (mut headers, mut bytes) = (Vec::new(), Vec::new());
    for (name, column) in all.chain([(CURRENT, &waiting)]) {
        let dtype = column.dtype().name().to_owned();
        headers.push(ColumnHeader { name: name.to_owned(), dtype, len: column.len() });
        bytes.extend(column.to_le_bytes());
    }
    (headers, bytes)
}

/// The state out of [`pack_state`]; `None` where headers and bytes do not fit together.
pub fn unpack_state(headers: &[ColumnHeader], mut bytes: &[u8]) -> Option<(EnvState, Vec<f32>)> {
    let (mut state, mut current) = (EnvState::new(), Vec::new());
    for header in headers {
        let dtype = DType::from_name(&header.dtype)?;
        let (mine, rest) = bytes.split_at_checked(header.len.checked_mul(dtype.size())?)?;
        bytes = rest;
        match (header.name.as_str(), Column::from_le_bytes(dtype, mine)?) {
            (CURRENT, Column::F32(values)) => current = values,
            (name, column) => {
                state.insert(name.to_owned(), column);
            }
        }
    }
    bytes.is_empty().then_some((state, current))
}

/// Statistics as bytes: of each its count, means, and sums of squares.
pub fn pack_moments<'m>(moments: impl IntoIterator<Item = &'m ColumnMoments>) -> Vec<u8> {
    let mut bytes = Vec::new();
    for each in moments {
        bytes.extend(each.count.to_le_bytes());
        each.mean.iter().chain(&each.m2).for_each(|value| bytes.extend(value.to_le_bytes()));
    }
    bytes
}

/// The statistics out of [`pack_moments`], each of `width` columns; `None` where the bytes are not whole ones.
pub fn unpack_moments(bytes: &[u8], width: usize) -> Option<Vec<ColumnMoments>> {
    let size = width.checked_mul(16)?.checked_add(8)?;
    let (words, rest) = bytes.as_chunks::<8>();
    let whole = rest.is_empty() && bytes.len().is_multiple_of(size);
    whole.then(|| {
        let each = words.chunks_exact(1 + 2 * width).map(|words| {
            let floats: Vec<f64> = words[1..].iter().map(|word| f64::from_le_bytes(*word)).collect();
            let (mean, m2) = floats.split_at(width);
            ColumnMoments { count: u64::from_le_bytes(words[0]), mean: mean.to_vec(), m2: m2.to_vec() }
        });
        each.collect()
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn failures_of_hooks_come_back_as_the_engines_errors() {
        let place = Place { episode: Some(7), env: Some(2), env_step: Some(11) };
        let (callbacks, source) = ("Mine".to_owned(), "as raised".into());
        let error = CallbackError { callbacks, hook: Hook::EpisodeStart, place, source };
        let sent = serde_json::to_vec(&HookFailure::of(&error, "with a traceback".to_owned())).unwrap();
        let back = serde_json::from_slice::<HookFailure>(&sent).unwrap().to_error();
        assert_eq!((back.hook, back.place), (Hook::EpisodeStart, place));
        assert_eq!(back.to_string(), error.to_string().replace("as raised", "with a traceback"));
    }

    #[test]
    fn states_and_statistics_come_back_as_they_went() {
        let state = EnvState::from([
            ("a".to_owned(), Column::F64(vec![f64::NAN, -0.0])),
            ("0/b".to_owned(), Column::U8(vec![1, 2, 3])),
        ]);
        let (headers, bytes) = pack_state(Some(&state), &[0.5, 1.5]);
        let (back, current) = unpack_state(&headers, &bytes).unwrap();
        assert_eq!(back["0/b"], Column::U8(vec![1, 2, 3]));
        assert_eq!(back["a"].to_le_bytes(), state["a"].to_le_bytes());
        assert_eq!(current, [0.5, 1.5]);
        assert!(unpack_state(&headers, &bytes[1..]).is_none());
        let mut seen = ColumnMoments::new(2);
        seen.push_row(&[1.0, 2.5]);
        let bytes = pack_moments([&seen, &seen]);
        assert_eq!(unpack_moments(&bytes, 2).unwrap(), [seen.clone(), seen]);
        assert!(unpack_moments(&bytes[8..], 2).is_none());
    }
}
