//! State of an environment runner, independent of the number of threads that stepped it.

use std::ops::Range;

use skirl_env::{Column, EnvState};

use super::agent_runner::AgentRunnerState;
use super::episodes::RunningEpisode;
use super::vector_runner::RunnerState;
use crate::error::Error;

/// Saved state of either kind of runner.
#[derive(Debug, Clone)]
pub enum EnvRunnerState {
    /// One agent at every step: all shards joined, in environment order.
    Vector(RunnerState),
    /// Several agents.
    Agents(AgentRunnerState),
}

impl EnvRunnerState {
    /// The running episode of each environment.
    pub fn episodes_mut(&mut self) -> Box<dyn Iterator<Item = &mut RunningEpisode> + '_> {
        match self {
            Self::Vector(state) => Box::new(state.episodes.iter_mut()),
            Self::Agents(state) => Box::new(state.envs.iter_mut().map(|slot| &mut slot.episode)),
        }
    }

    /// Joins the states of neighbouring shards.
    pub fn from_shards(shards: Vec<RunnerState>) -> Self {
        let mut shards = shards.into_iter();
        let Some(mut whole) = shards.next() else {
            return Self::Vector(RunnerState::default());
        };
        for shard in shards {
            let envs = whole.episodes.len();
            whole.env = whole.env.zip(shard.env).map(|(left, right)| join_states(left, right, envs));
            whole.env_saved = whole.env.is_some();
            whole.current.extend(shard.current);
            whole.episodes.extend(shard.episodes);
        }
        Self::Vector(whole)
    }

    /// Cuts the joined state into shards of the given numbers of environments.
    pub fn split(self, sizes: &[usize]) -> Result<Vec<RunnerState>, Error> {
        let Self::Vector(whole) = self else {
            return Err(Error::Internal("a multi-agent state has no shards".to_owned()));
        };
        let total: usize = sizes.iter().sum();
        if whole.episodes.len() != total {
            return Err(Error::RunnerState {
                expected: format!("{total} environments"),
                found: format!("{} environments", whole.episodes.len()),
            });
        }
        let width = whole.current.len() / total.max(1);
        if width * total != whole.current.len() {
            return Err(Error::RunnerState {
                expected: format!("as many inputs in 'current' for each of {total} environments"),
                found: format!("{} inputs", whole.current.len()),
            });
        }
        let mut first = 0;
        let mut parts = Vec::new();
        for &size in sizes {
            let range = first..first + size;
            parts.push(RunnerState {
                env: whole.env.as_ref().map(|env| split_state(env, &range, total)).transpose()?,
                env_saved: whole.env_saved,
                steps: whole.steps,
                current: whole.current[range.start * width..range.end * width].to_vec(),
                episodes: whole.episodes[range.clone()].to_vec(),
            });
            first = range.end;
        }
        Ok(parts)
    }
}

/// Steps of a whole range of environments, which step together: one number, the same in every shard.
const SHARED_ENTRY: &str = "clock/total_steps";

/// Entries of one environment are named `index/…`; all others have the environments as their first axis.
fn own_entry(name: &str) -> Option<(usize, &str)> {
    let (index, rest) = name.split_once('/')?;
    Some((index.parse().ok()?, rest))
}

/// Appends the right shard's environments, of which `left_envs` come before.
fn join_states(mut left: EnvState, right: EnvState, left_envs: usize) -> EnvState {
    for (name, column) in right {
        match own_entry(&name) {
            Some((index, rest)) => {
                left.insert(format!("{}/{rest}", index + left_envs), column);
            }
            None if name == SHARED_ENTRY => {}
            None => {
                let joined = left.get(&name).and_then(|before| append(before, &column));
                left.insert(name, joined.unwrap_or(column));
            }
        }
    }
    left
}

fn append(left: &Column, right: &Column) -> Option<Column> {
    Column::from_le_bytes(left.dtype(), &[left.to_le_bytes(), right.to_le_bytes()].concat())
}

fn split_state(state: &EnvState, range: &Range<usize>, total: usize) -> Result<EnvState, Error> {
    let mut part = EnvState::new();
    for (name, column) in state {
        if let Some((index, rest)) = own_entry(name) {
            if range.contains(&index) {
                part.insert(format!("{}/{rest}", index - range.start), column.clone());
            }
            continue;
        }
        if name == SHARED_ENTRY {
            part.insert(name.clone(), column.clone());
            continue;
        }
        let len = column.len() / total;
        let slice = column.as_ref().slice(range.start * len..range.end * len);
        let slice = slice.filter(|_| len * total == column.len()).ok_or_else(|| Error::RunnerState {
            expected: format!("a multiple of {total} elements in environment state '{name}'"),
            found: column.len().to_string(),
        })?;
        part.insert(name.clone(), slice.to_column());
    }
    Ok(part)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shard(values: &[f64]) -> RunnerState {
        RunnerState {
            env: Some(EnvState::from([
                ("x".to_owned(), Column::F64(values.to_vec())),
                (SHARED_ENTRY.to_owned(), Column::U64(vec![7])),
                ("0/own".to_owned(), Column::F64(vec![values[0]; 3])),
            ])),
            env_saved: true,
            steps: 7,
            current: values.iter().map(|&value| value as f32).collect(),
            episodes: vec![RunningEpisode::default(); values.len()],
        }
    }

    #[test]
    fn states_can_be_cut_otherwise_than_they_were_joined() {
        let whole = EnvRunnerState::from_shards(vec![shard(&[1.0, 2.0]), shard(&[3.0])]);
        let parts = whole.split(&[1, 2]).unwrap();
        assert_eq!(parts[1].current, [2.0, 3.0]);
        assert_eq!(parts[1].env.as_ref().unwrap()["x"], Column::F64(vec![2.0, 3.0]));
        assert_eq!(parts[1].env.as_ref().unwrap()["1/own"], Column::F64(vec![3.0; 3]));
        assert_eq!(parts[0].steps, 7);
        for part in parts {
            assert_eq!(part.env.unwrap()[SHARED_ENTRY], Column::U64(vec![7]));
        }
    }

    #[test]
    fn inputs_that_do_not_share_out_are_refused() {
        let whole = RunnerState { current: vec![0.0; 3], ..shard(&[1.0, 2.0]) };
        let message = EnvRunnerState::Vector(whole).split(&[2]).unwrap_err().to_string();
        assert!(message.contains("'current'") && message.contains("3 inputs"), "{message}");
    }
}
