//! A worker's rows of a table that all workers write to.

use std::fs::File;
use std::io;

use skirl::collect::vector_runner::BlockMemory;

use crate::memory::SharedMemory;

/// The rows of environments `first_env..first_env + range_envs` in a table in the order (step, environment): in each step one
/// block, and between the blocks the rows of others, which nothing here reaches.
#[derive(Debug)]
pub struct Rows {
    memory: SharedMemory,
    steps: usize,
    /// Bytes from one step to the next.
    stride: usize,
    /// Bytes of a step that come before the block.
    offset: usize,
    /// Numbers in a block.
    len: usize,
}

/// Which rows of which table.
#[derive(Debug, Clone, Copy)]
pub struct Place {
    /// Steps of the table.
    pub steps: usize,
    /// Environments of the table.
    pub num_envs: usize,
    /// Numbers in a row.
    pub width: usize,
    /// The first environment of the range.
    pub first_env: usize,
    /// Environments of the range.
    pub range_envs: usize,
}

impl Rows {
    /// Maps the table behind `file`.
    ///
    /// # Errors
    /// The system's; a range that is not inside the table, a file that is too short.
    pub fn map(file: File, place: Place) -> io::Result<Self> {
        let Place { steps, num_envs, width, first_env, range_envs } = place;
        let bytes = |rows: usize| rows.checked_mul(width).and_then(|len| len.checked_mul(size_of::<f32>()));
        let whole = steps.checked_mul(num_envs).and_then(bytes);
        let inside = first_env.checked_add(range_envs).is_some_and(|end| end <= num_envs);
        let Some(capacity) = whole.filter(|_| inside) else {
            return Err(io::Error::other(format!(
                "environments {first_env} to {first_env} + {range_envs} of {num_envs} in {steps} steps"
            )));
        };
        let memory = SharedMemory::map(file, capacity)?;
        memory.keep_from_forks();
        let row = width * size_of::<f32>();
        let (stride, offset, len) = (num_envs * row, first_env * row, range_envs * width);
        Ok(Self { memory, steps, stride, offset, len })
    }
}

impl BlockMemory for Rows {
    fn num_blocks(&self) -> usize {
        self.steps
    }

    fn block(&self, t: usize) -> &[f32] {
        // Inside, as `map` has seen.
        self.memory.slice(t * self.stride + self.offset, self.len).unwrap_or_default()
    }

    fn block_mut(&mut self, t: usize) -> &mut [f32] {
        self.memory.slice_mut(t * self.stride + self.offset, self.len).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use serde_json::json;
    use skirl::algorithm::{EnvRange, RangeOrder};
    use skirl::callbacks::CallbackList;
    use skirl::collect::SharedTable;
    use skirl::collect::episodes::EpisodeIds;
    use skirl::contract::{ModuleRollout, RolloutColumns};
    use skirl_math::rng::StreamKey;
    use skirl_math::stats::ColumnMoments;

    use super::*;
    use crate::tables::Tables;

    const ENVS: usize = 7;
    const STEPS: usize = 40;

    /// Environments `first_env..` of [`ENVS`], whose observations are normalised.
    fn range(env: &str, first_env: usize, num_envs: usize) -> EnvRange {
        let document = json!({
            "run": "PPO", "environment": {"env": env, "env_config": {"max_episode_steps": 9}},
            "env_runners": {"observation_filter": "MeanStdFilter"},
            "debugging": {"seed": 3},
        });
        let config = skirl::config::from_value(&document).unwrap();
        let (env_config, callbacks) = (config.common().environment.env_config.clone(), CallbackList::new());
        let order = RangeOrder {
            config: &*config,
            env,
            env_config: &env_config,
            first_env,
            num_envs,
            in_evaluation: false,
            callbacks: &callbacks,
        };
        let mut range = EnvRange::build(order, |env| env).unwrap();
        let mut moments = ColumnMoments::new(range.policy.obs_width());
        for value in [-1.5, 0.25, 2.0] {
            moments.push_row(&vec![value; range.policy.obs_width()]);
        }
        range.normalizer.as_mut().unwrap().set_moments(moments);
        range.runner.go_on_at(StreamKey::root(5), 0, EpisodeIds { first: 0, num_envs: ENVS });
        range.begin(StreamKey::root(6), false).unwrap();
        range
    }

    fn place(steps: usize, width: usize, first_env: usize, range_envs: usize) -> Place {
        Place { steps, num_envs: ENVS, width, first_env, range_envs }
    }

    /// As processes do it: every range has mapped the table and writes to it at the same time as the others.
    fn sample_in_place(ranges: &mut [EnvRange], tables: &mut Tables) -> ModuleRollout {
        tables.open(STEPS).unwrap();
        let open = tables.opened().unwrap();
        std::thread::scope(|scope| {
            for range in &mut *ranges {
                let file = tables.file().unwrap();
                scope.spawn(move || {
                    let (first_env, num_envs) = (range.runner.first_env(), range.runner.num_envs());
                    let width = range.policy.obs_width();
                    let rows = Rows::map(file, place(open.steps, width, first_env, num_envs)).unwrap();
                    assert!(range.runner.write_to(Some(Box::new(rows))).is_none());
                    range.sample(STEPS, true).unwrap();
                    assert!(range.runner.table().obs.is_empty());
                    assert!(range.runner.write_to(None).is_some());
                });
            }
        });
        let columns: Vec<_> = ranges.iter().map(|range| without_obs(range.runner.table())).collect();
        ModuleRollout::join_around(tables.close().unwrap(), &columns, STEPS).unwrap()
    }

    /// Columns of a table whose observations are elsewhere.
    fn without_obs(table: &ModuleRollout) -> RolloutColumns<'_> {
        RolloutColumns {
            obs_width: table.obs_width,
            dist_width: table.dist_width,
            rows: table.rows,
            obs: &[],
            actions: table.actions.view(0, table.rows),
            logp: &table.logp,
            values: &table.values,
            dist_inputs: &table.dist_inputs,
            rewards: &table.rewards,
            terminated: &table.terminated,
            truncated: &table.truncated,
            env: &table.env,
            agent: &table.agent,
            episode: &table.episode,
            end_rows: &table.ends.row,
            end_obs: &table.ends.obs,
            end_values: &table.ends.values,
        }
    }

    #[test]
    fn ranges_of_any_sizes_make_the_table_of_one_range() {
        for env in ["CartPole-v1", "probe/MultiDiscrete-v0"] {
            for sizes in [&[7][..], &[1, 4, 2], &[3, 4]] {
                let mut whole = range(env, 0, ENVS);
                let mut first = 0;
                let mut ranges: Vec<EnvRange> = Vec::new();
                for &size in sizes {
                    ranges.push(range(env, first, size));
                    first += size;
                }
                let mut tables = Tables::new(ENVS, whole.policy.obs_width(), false);
                for _ in 0..3 {
                    whole.sample(STEPS, true).unwrap();
                    let joined = sample_in_place(&mut ranges, &mut tables);
                    assert!(joined.obs.is_lent());
                    assert_eq!(&joined, whole.runner.table(), "{env}, {sizes:?}");
                }
                assert_eq!(tables.known().len(), 1);
            }
        }
    }

    #[test]
    fn a_range_reaches_its_own_rows_and_no_others() {
        let mut tables = Tables::new(ENVS, 3, false);
        tables.open(4).unwrap();
        let mut rows = Rows::map(tables.file().unwrap(), place(4, 3, 2, 4)).unwrap();
        for t in 0..rows.num_blocks() {
            assert_eq!(rows.block(t).len(), 12);
            rows.block_mut(t).fill(t as f32 + 1.0);
        }
        let table = tables.close().unwrap();
        for (index, &value) in table.iter().enumerate() {
            let (step, env) = (index / 21, index / 3 % ENVS);
            let expected = if (2..6).contains(&env) { step as f32 + 1.0 } else { 0.0 };
            assert_eq!(value, expected, "step {step}, environment {env}");
        }
        assert!(rows.block(4).is_empty() && rows.block_mut(usize::MAX >> 8).is_empty());
        drop(table);
        tables.open(4).unwrap();
        for wrong in [place(4, 3, 4, 4), place(5, 300_000, 0, 7), place(usize::MAX, 3, 0, 7)] {
            assert!(Rows::map(tables.file().unwrap(), wrong).is_err(), "{wrong:?}");
        }
    }
}
