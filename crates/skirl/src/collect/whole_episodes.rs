//! RLlib's `batch_mode = "complete_episodes"`: the rows of an episode are handed on once it has ended.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use skirl_math::chain::END;

use crate::contract::{Links, ModuleId, ModuleRollout, Policies};
use crate::error::Error;

/// Steps of all environments after which a wait for episodes that end gives up.
const MAX_STEPS: u64 = 10_000_000;

/// Gathers rollouts of environments with one agent until whole episodes make a batch.
#[derive(Debug)]
pub struct WholeEpisodes {
    min_rows: usize,
    /// Episodes that ended, as chains in the order of environments.
    ended: BTreeMap<ModuleId, ModuleRollout>,
    running: Running,
}

/// Rows of episodes that have not ended, environment by environment: what a checkpoint holds.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Running(BTreeMap<ModuleId, ModuleRollout>);

impl Running {
    /// Whether all tables hold rows of these policies.
    pub fn check_for(&self, policies: &Policies) -> Result<(), String> {
        self.0.iter().try_for_each(|(id, table)| match policies.get(id) {
            Some(policy) => table.check_for(policy).map_err(|found| format!("module '{id}': {found}")),
            None => Err(format!("there is no module '{id}'")),
        })
    }
}

impl WholeEpisodes {
    /// A batch has at least `min_rows` rows.
    pub fn new(min_rows: usize) -> Self {
        Self { min_rows, ended: BTreeMap::new(), running: Running::default() }
    }

    /// Whether the episodes that ended make a batch. An error once they should have, after `steps` steps.
    pub fn is_enough(&self, steps: u64) -> Result<bool, Error> {
        let rows: usize = self.ended.values().map(|table| table.rows).sum();
        if rows < self.min_rows && steps >= MAX_STEPS {
            return Err(Error::Misfit {
                what: "env_runners.batch_mode = \"complete_episodes\"".to_owned(),
                expected: format!("{} rows of episodes that ended", self.min_rows),
                found: format!("{rows} after {steps} steps of this iteration"),
                remedy: "Give the environment a time limit (env_config.max_episode_steps), or use \
                         \"truncate_episodes\""
                    .to_owned(),
            });
        }
        Ok(rows >= self.min_rows)
    }

    /// Adds what was collected next.
    pub fn add(&mut self, tables: BTreeMap<ModuleId, ModuleRollout>) {
        for (id, table) in tables {
            let before = self.running.0.remove(&id).unwrap_or_else(|| empty(&table));
            let mut ended = self.ended.remove(&id).unwrap_or_else(|| empty(&table));
            let mut running = empty(&table);
            for env in 0..num_envs(&table) {
                let rows: Vec<usize> = (env..table.rows).step_by(num_envs(&table)).collect();
                let ends = |&row: &usize| table.terminated[row] || table.truncated[row];
                let (over, open) = rows.split_at(rows.iter().rposition(ends).map_or(0, |last| last + 1));
                let earlier: Vec<usize> =
                    rows.first().map_or(Vec::new(), |&row| before.rows_of(table.env[row]));
                if over.is_empty() {
                    append(&mut running, &before, &earlier);
                } else {
                    let first = ended.rows;
                    append(&mut ended, &before, &earlier);
                    append(&mut ended, &table, over);
                    chain(&mut ended, first);
                }
                append(&mut running, &table, open);
            }
            move_ends(&table, &mut ended);
            self.ended.insert(id.clone(), ended);
            self.running.0.insert(id, running);
        }
    }

    /// Takes the episodes that ended.
    pub fn take(&mut self) -> BTreeMap<ModuleId, ModuleRollout> {
        std::mem::take(&mut self.ended)
    }

    /// Forgets everything: the environments were reset.
    pub fn clear(&mut self) {
        (self.ended, self.running) = (BTreeMap::new(), Running::default());
    }

    /// Rows of the episodes that have not ended.
    pub fn running(&self) -> &Running {
        &self.running
    }

    /// Puts saved rows back; of environments whose running episode has another length, which start anew, none.
    pub fn restore(&mut self, running: Running, lengths: &[u64]) {
        self.clear();
        for (id, table) in running.0 {
            let mut kept = empty(&table);
            for (env, &length) in lengths.iter().enumerate() {
                let rows = table.rows_of(env as u32);
                if rows.len() as u64 == length {
                    append(&mut kept, &table, &rows);
                }
            }
            self.running.0.insert(id, kept);
        }
    }
}

impl ModuleRollout {
    /// The rows of one environment, in order.
    fn rows_of(&self, env: u32) -> Vec<usize> {
        (0..self.rows).filter(|&row| self.env[row] == env).collect()
    }
}

fn num_envs(table: &ModuleRollout) -> usize {
    match table.links {
        Links::Rectangular { num_envs } => num_envs,
        Links::Chained { .. } => 1,
    }
}

fn empty(like: &ModuleRollout) -> ModuleRollout {
    let links = Links::Chained { next: Vec::new() };
    ModuleRollout::new(like.obs_width, like.dist_width, like.actions.empty(), links)
}

/// Copies rows to the end of a table, without links.
fn append(to: &mut ModuleRollout, from: &ModuleRollout, rows: &[usize]) {
    let first = to.rows;
    to.resize(first + rows.len(), first + rows.len());
    rows.iter().enumerate().for_each(|(index, &row)| to.copy_row(first + index, from, row));
}

/// Links the rows from `first` on, which belong to one environment, episode by episode.
fn chain(table: &mut ModuleRollout, first: usize) {
    let ModuleRollout { links: Links::Chained { next }, terminated, truncated, .. } = table else { return };
    for row in first..next.len() {
        next[row] = if terminated[row] || truncated[row] { END } else { row as u32 + 1 };
    }
}

/// Gives every episode end of `ended` that came with `table` its end row.
fn move_ends(table: &ModuleRollout, ended: &mut ModuleRollout) {
    let is_end = |row: u32| table.terminated[row as usize] || table.truncated[row as usize];
    // Ends of the table in the order (environment, step), the one in which its rows were appended.
    let mut order: Vec<usize> =
        (0..table.ends.len()).filter(|&index| is_end(table.ends.row[index])).collect();
    let num_envs = num_envs(table) as u32;
    order.sort_by_key(|&index| (table.ends.row[index] % num_envs, table.ends.row[index] / num_envs));
    let known = ended.ends.len();
    let rows = 0..ended.rows as u32;
    let at: Vec<u32> =
        rows.filter(|&row| ended.terminated[row as usize] || ended.truncated[row as usize]).collect();
    for (&row, index) in at[known..].iter().zip(order) {
        let width = table.obs_width;
        ended.ends.row.push(row);
        ended.ends.obs.extend_from_slice(&table.ends.obs[index * width..][..width]);
        ended.ends.values.push(table.ends.values[index]);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use skirl_math::rng::StreamKey;

    use super::*;
    use crate::contract::Actions;

    const ENVS: usize = 3;

    /// Environments that count: the observation of step `t` of episode `e` in environment `b` is `[b, e, t]`.
    struct Counters {
        at: [(u32, u32); ENVS],
        stream: skirl_math::rng::Stream,
    }

    impl Counters {
        fn sample(&mut self, steps: usize) -> BTreeMap<ModuleId, ModuleRollout> {
            let links = Links::Rectangular { num_envs: ENVS };
            let mut table = ModuleRollout::new(3, 1, Actions::zeros(true, 1, 0), links);
            table.resize(steps * ENVS, steps * ENVS);
            for row in 0..table.rows {
                let env = row % ENVS;
                let (episode, step) = self.at[env];
                table.env[row] = env as u32;
                table.obs[row * 3..][..3].copy_from_slice(&[env as f32, episode as f32, step as f32]);
                let fate = self.stream.next_u64() % 16;
                (table.terminated[row], table.truncated[row]) = (fate == 0, fate == 1);
                let ended = fate < 2;
                self.at[env] = if ended { (episode + 1, 0) } else { (episode, step + 1) };
                if ended || row + ENVS >= table.rows {
                    table.ends.push(row as u32, &[env as f32, episode as f32, step as f32 + 1.0]);
                    *table.ends.values.last_mut().unwrap() = if fate == 0 { 0.0 } else { 1.0 + fate as f32 };
                }
            }
            BTreeMap::from([("module".to_owned(), table)])
        }
    }

    fn counters() -> Counters {
        Counters { at: [(0, 0); ENVS], stream: StreamKey::root(3).stream() }
    }

    /// Episodes of a table as lists of steps, after checking their links and ends.
    fn episodes(table: &ModuleRollout) -> Vec<(u32, u32, usize)> {
        let Links::Chained { next } = &table.links else { return Vec::new() };
        let (mut found, mut row) = (Vec::new(), 0);
        while row < table.rows {
            let (env, episode) = (table.obs_row(row)[0], table.obs_row(row)[1]);
            let mut length = 0;
            loop {
                assert_eq!(table.obs_row(row), [env, episode, length as f32]);
                length += 1;
                let ended = table.terminated[row] || table.truncated[row];
                assert_eq!(next[row], if ended { END } else { row as u32 + 1 });
                row += 1;
                if ended {
                    break;
                }
            }
            let end = table.ends.row.iter().position(|&end| end as usize == row - 1).unwrap();
            assert_eq!(table.ends.obs[end * 3..][..3], [env, episode, length as f32]);
            assert_eq!(table.ends.values[end], if table.terminated[row - 1] { 0.0 } else { 2.0 });
            found.push((env as u32, episode as u32, length));
        }
        assert_eq!(table.ends.len(), found.len());
        assert!(table.ends.row.is_sorted());
        found
    }

    #[test]
    fn every_episode_comes_out_once_and_whole() {
        for steps in [1, 4, 50] {
            let (mut counters, mut whole) = (counters(), WholeEpisodes::new(100));
            let (mut found, mut sampled) = (Vec::new(), 0);
            while found.len() < 60 {
                while !whole.is_enough(0).unwrap() {
                    whole.add(counters.sample(steps));
                    sampled += steps * ENVS;
                }
                let tables = whole.take();
                assert!(tables["module"].rows >= 100);
                found.extend(episodes(&tables["module"]));
            }
            found.sort_unstable();
            for env in 0..ENVS as u32 {
                let own = found.iter().filter(|(of, ..)| *of == env).map(|(_, episode, _)| *episode);
                assert!(own.eq(0..counters.at[env as usize].0), "{steps}: all episodes that ended, in order");
            }
            let rows: usize = found.iter().map(|(.., length)| length).sum();
            let waiting: u32 = counters.at.iter().map(|(_, step)| step).sum();
            assert_eq!(rows + waiting as usize, sampled, "{steps}");
        }
    }

    #[test]
    fn what_is_restored_goes_on_and_what_started_anew_is_dropped() {
        let (mut counters, mut whole) = (counters(), WholeEpisodes::new(100));
        whole.add(counters.sample(7));
        whole.take();
        let saved = serde_json::to_string(whole.running()).unwrap();
        let lengths = counters.at.map(|(_, step)| u64::from(step));
        assert!(lengths[1..].iter().all(|&length| length > 0), "{lengths:?}");
        let mut restored = WholeEpisodes::new(100);
        restored.restore(serde_json::from_str(&saved).unwrap(), &lengths);
        let next = counters.sample(40);
        whole.add(next.clone());
        restored.add(next);
        assert_eq!(whole.take(), restored.take());
        let mut anew = WholeEpisodes::new(100);
        anew.restore(serde_json::from_str(&saved).unwrap(), &[lengths[0], 0, lengths[2]]);
        assert!(anew.running.0["module"].rows_of(1).is_empty());
        assert_eq!(anew.running.0["module"].rows_of(2).len() as u64, lengths[2]);
    }

    #[test]
    fn a_wait_without_end_is_an_error() {
        let whole = WholeEpisodes::new(10);
        assert!(!whole.is_enough(MAX_STEPS - 1).unwrap());
        let message = whole.is_enough(MAX_STEPS).unwrap_err().to_string();
        assert!(message.contains("complete_episodes") && message.contains("time limit"), "{message}");
    }
}
