//! State of an environment runner, independent of the number of threads that stepped it.

use std::collections::BTreeMap;

use skirl_env::{Column, EnvState};

use super::agent_runner::AgentRunnerState;
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
    /// Joins the states of neighbouring shards.
    pub fn from_shards(shards: Vec<RunnerState>) -> Self {
        let mut shards = shards.into_iter();
        let Some(mut whole) = shards.next() else {
            return Self::Vector(RunnerState { env: None, steps: 0, current: Vec::new(), episodes: Vec::new() });
        };
        for shard in shards {
            whole.env = whole.env.zip(shard.env).map(|(left, right)| join_states(left, &right));
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
        let mut first = 0;
        let mut parts = Vec::new();
        for &size in sizes {
            let range = first..first + size;
            let width = whole.current.len() / total.max(1);
            parts.push(RunnerState {
                env: whole.env.as_ref().map(|env| split_state(env, &range, total)).transpose()?,
                steps: whole.steps,
                current: whole.current[range.start * width..range.end * width].to_vec(),
                episodes: whole.episodes[range.clone()].to_vec(),
            });
            first = range.end;
        }
        Ok(parts)
    }
}

/// Columns have the environments as their first axis, so that joining is appending.
fn join_states(left: EnvState, right: &EnvState) -> EnvState {
    left.into_iter()
        .map(|(name, column)| {
            let joined = right.get(&name).map_or_else(|| column.clone(), |other| append(&column, other));
            (name, joined)
        })
        .collect::<BTreeMap<_, _>>()
}

fn append(left: &Column, right: &Column) -> Column {
    let bytes = [left.to_le_bytes(), right.to_le_bytes()].concat();
    Column::from_le_bytes(left.dtype(), &bytes).unwrap_or_else(|| left.clone())
}

fn split_state(state: &EnvState, range: &std::ops::Range<usize>, total: usize) -> Result<EnvState, Error> {
    state
        .iter()
        .map(|(name, column)| {
            let len = column.len() / total;
            let part = column.as_ref().slice(range.start * len..range.end * len);
            match part.filter(|_| len * total == column.len()) {
                Some(part) => Ok((name.clone(), part.to_column())),
                None => Err(Error::RunnerState {
                    expected: format!("a multiple of {total} elements in environment state '{name}'"),
                    found: column.len().to_string(),
                }),
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collect::episodes::RunningEpisode;

    fn shard(values: &[f64]) -> RunnerState {
        RunnerState {
            env: Some(BTreeMap::from([("x".to_owned(), Column::F64(values.to_vec()))])),
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
        assert_eq!(parts[0].steps, 7);
    }
}
