//! The rollout table: one row is one decision of one agent, chained to that agent's next row.
//!
//! The rectangular case `[T, B]` (every environment decides at every step) and the general one (turn-based, several
//! agents, agents that leave early) are the same table with two forms of [`Links`]. An episode's last observation is
//! an *end row* in a sparse side table: no action, never trained on, only its value counts.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use skirl_math::chain::{Chain, END, EndRow};
use skirl_nn::distributions::ActionsRef;

use super::actions::gather;
use super::observations::lengthen;
use super::{Actions, ModuleId, Observations, Policy};

/// How each row finds the same agent's next row.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Links {
    /// Row `t * num_envs + b` is followed by row `(t + 1) * num_envs + b`.
    Rectangular {
        /// Environments `B`.
        num_envs: usize,
    },
    /// `next[row]`, or [`END`] where the successor is an end row.
    Chained {
        /// Successor of each row; always larger than the row itself.
        next: Vec<u32>,
    },
}

/// Observations that close a chain: final observations of episodes, and the ones at which a rollout was cut.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct EndRows {
    /// The row that each end row follows, ascending within one environment.
    pub row: Vec<u32>,
    /// Module inputs `[len, obs_width]`.
    pub obs: Vec<f32>,
    /// `V` of the observation; 0 where the episode terminated.
    pub values: Vec<f32>,
}

impl EndRows {
    /// Number of end rows.
    pub fn len(&self) -> usize {
        self.row.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.row.is_empty()
    }

    /// Forgets all rows, keeping the memory.
    pub fn clear(&mut self) {
        self.row.clear();
        self.obs.clear();
        self.values.clear();
    }

    /// Brings the end rows into ascending order of the rows that they follow.
    pub fn sort(&mut self, obs_width: usize) {
        if self.row.is_sorted() {
            return;
        }
        let mut order: Vec<usize> = (0..self.row.len()).collect();
        order.sort_by_key(|&index| self.row[index]);
        let obs =
            order.iter().flat_map(|&index| &self.obs[index * obs_width..][..obs_width]).copied().collect();
        self.row = order.iter().map(|&index| self.row[index]).collect();
        self.values = order.iter().map(|&index| self.values[index]).collect();
        self.obs = obs;
    }

    /// Adds the end row after `row`; its value is filled in later.
    pub fn push(&mut self, row: u32, obs: &[f32]) {
        self.row.push(row);
        self.obs.extend_from_slice(obs);
        self.values.push(0.0);
    }
}

/// The rows of one module: columns of equal length, row-major.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModuleRollout {
    /// Width of the module's input.
    pub obs_width: usize,
    /// Width of the distribution's inputs.
    pub dist_width: usize,
    /// Rows (decisions).
    pub rows: usize,
    /// Module inputs (after the env-to-module connectors), `[rows, obs_width]` in front; more may be allocated.
    pub obs: Observations,
    /// Actions as drawn.
    pub actions: Actions,
    /// log π(a|s) when the action was drawn.
    pub logp: Vec<f32>,
    /// V(s) when the action was drawn.
    pub values: Vec<f32>,
    /// Distribution inputs when the action was drawn, `[rows, dist_width]`.
    pub dist_inputs: Vec<f32>,
    /// Rewards after the reward connectors; all that came until the agent's next row.
    pub rewards: Vec<f32>,
    /// The environment said that the episode ended here by its own rules.
    pub terminated: Vec<bool>,
    /// The episode was cut from outside here (time limit).
    pub truncated: Vec<bool>,
    /// Environment of each row.
    pub env: Vec<u32>,
    /// Agent (index in its environment) of each row.
    pub agent: Vec<u32>,
    /// Id of the episode of each row.
    pub episode: Vec<u64>,
    /// Successors.
    pub links: Links,
    /// Chain ends.
    pub ends: EndRows,
}

/// What one call of `sample()` collected: a table for each module that acted.
#[derive(Debug, Clone, Default)]
pub struct Rollout {
    /// Tables by module id.
    pub modules: BTreeMap<ModuleId, ModuleRollout>,
    /// Steps of environments (not of agents).
    pub env_steps: u64,
    /// Rows in all tables.
    pub agent_steps: u64,
    /// Version of the weights that acted.
    pub weights_version: u64,
}

impl ModuleRollout {
    /// An empty table for the given widths.
    pub fn new(obs_width: usize, dist_width: usize, actions: Actions, links: Links) -> Self {
        Self {
            obs_width,
            dist_width,
            rows: 0,
            obs: Observations::default(),
            actions,
            logp: Vec::new(),
            values: Vec::new(),
            dist_inputs: Vec::new(),
            rewards: Vec::new(),
            terminated: Vec::new(),
            truncated: Vec::new(),
            env: Vec::new(),
            agent: Vec::new(),
            episode: Vec::new(),
            links,
            ends: EndRows::default(),
        }
    }

    /// Makes every column `rows` long (and the observations `obs_rows`, which may be more).
    pub fn resize(&mut self, rows: usize, obs_rows: usize) {
        self.rows = rows;
        self.obs.resize(obs_rows * self.obs_width);
        self.actions.resize(rows);
        lengthen(&mut self.dist_inputs, rows * self.dist_width);
        for column in [&mut self.logp, &mut self.values, &mut self.rewards] {
            column.resize(rows, 0.0);
        }
        self.terminated.resize(rows, false);
        self.truncated.resize(rows, false);
        self.env.resize(rows, 0);
        self.agent.resize(rows, 0);
        self.episode.resize(rows, 0);
        if let Links::Chained { next } = &mut self.links {
            next.resize(rows, END);
        }
    }

    /// Input of row `row`.
    pub fn obs_row(&self, row: usize) -> &[f32] {
        &self.obs[row * self.obs_width..][..self.obs_width]
    }

    /// Inputs of all rows, `[rows, obs_width]`.
    pub fn all_obs(&self) -> &[f32] {
        &self.obs[..self.rows * self.obs_width]
    }

    /// Whether every column has the elements of [`rows`](Self::rows) rows; else the first one that has not, and what was
    /// expected.
    pub fn check_lengths(&self) -> Result<(), String> {
        let (rows, ends) = (self.rows, self.ends.len());
        // Saturating: the numbers of a table from a file may be any.
        let of = |rows: usize, width: usize| rows.saturating_mul(width);
        let next = match &self.links {
            Links::Rectangular { .. } => rows,
            Links::Chained { next } => next.len(),
        };
        let lengths = [
            ("obs", self.obs.len().min(of(rows, self.obs_width)), of(rows, self.obs_width)),
            ("actions", self.actions.rows(), rows),
            ("logp", self.logp.len(), rows),
            ("values", self.values.len(), rows),
            ("dist_inputs", self.dist_inputs.len(), of(rows, self.dist_width)),
            ("rewards", self.rewards.len(), rows),
            ("terminated", self.terminated.len(), rows),
            ("truncated", self.truncated.len(), rows),
            ("env", self.env.len(), rows),
            ("agent", self.agent.len(), rows),
            ("episode", self.episode.len(), rows),
            ("links", next, rows),
            ("ends.obs", self.ends.obs.len(), of(ends, self.obs_width)),
            ("ends.values", self.ends.values.len(), ends),
        ];
        if let Some((name, found, expected)) = lengths.iter().find(|(_, found, expected)| found != expected) {
            return Err(format!("{found} elements in column '{name}', where {expected} were expected"));
        }
        match self.ends.row.iter().find(|row| **row as usize >= rows) {
            None => Ok(()),
            Some(row) => Err(format!("an end row of row {row}, where {rows} rows were expected")),
        }
    }

    /// The same agent's next row, or [`END`] where an end row follows.
    pub fn successor(&self, row: usize) -> u32 {
        match &self.links {
            Links::Chained { next } => next[row],
            Links::Rectangular { num_envs } => {
                let (ended, next) = (self.terminated[row] || self.truncated[row], row + num_envs);
                if ended || next >= self.rows { END } else { next as u32 }
            }
        }
    }

    /// Whether there is one end row for each row without successor, in their order, and of
    /// value 0 after a terminated row. The lengths must be right ([`check_lengths`](Self::check_lengths)).
    pub fn check_ends(&self) -> Result<(), String> {
        if let Links::Rectangular { num_envs } = self.links
            && self.rows.checked_rem(num_envs).is_none_or(|rest| rest != 0)
        {
            return Err(format!("links: {} rows cannot be those of {num_envs} environments", self.rows));
        }
        let next: Vec<u32> = (0..self.rows).map(|row| self.successor(row)).collect();
        let end = |(&row, &value)| EndRow { row, value };
        let ends: Vec<EndRow> = self.ends.row.iter().zip(&self.ends.values).map(end).collect();
        let chain = Chain { next: &next, ends: &ends };
        chain.visit_backwards(|_, _| ()).map_err(|error| format!("ends: {error}"))?;
        match ends.iter().find(|end| self.terminated[end.row as usize] && end.value != 0.0) {
            None => Ok(()),
            Some(EndRow { row, value }) => Err(format!(
                "ends.values: {value} after row {row}, expected 0, as the episode terminated there"
            )),
        }
    }

    /// Whether the table holds rows of this policy: one from a file may hold anything.
    pub fn check_for(&self, policy: &Policy) -> Result<(), String> {
        let widths = [
            ("obs", self.obs_width, policy.obs_width()),
            ("dist_inputs", self.dist_width, policy.dist.num_inputs()),
        ];
        if let Some((name, found, expected)) = widths.iter().find(|(_, found, expected)| found != expected) {
            return Err(format!("column '{name}' of width {found}, where {expected} was expected"));
        }
        if self.actions.empty() != policy.empty_actions() {
            return Err("actions of another kind or width".to_owned());
        }
        self.check_lengths()
    }

    /// Drops the rows where `keep` is false; successors and end rows are renumbered, and those of dropped rows go too.
    ///
    /// A kept row must not be followed by a dropped one: close it with an end row first.
    pub fn retain(&mut self, keep: &[bool]) {
        let Links::Chained { next } = &self.links else { return };
        let mut new_index = vec![END; self.rows];
        let kept: Vec<u32> = (0..self.rows as u32).filter(|&row| keep[row as usize]).collect();
        for (index, &row) in kept.iter().enumerate() {
            new_index[row as usize] = index as u32;
        }
        let renumber = |row: u32| new_index.get(row as usize).copied().unwrap_or(END);
        let next = kept.iter().map(|&row| renumber(next[row as usize])).collect();
        let mut compact =
            Self::new(self.obs_width, self.dist_width, self.actions.empty(), Links::Chained { next });
        compact.resize(kept.len(), kept.len());
        compact.gather_columns(self, &kept);
        for (index, &row) in self.ends.row.iter().enumerate() {
            if keep[row as usize] {
                compact.ends.push(renumber(row), &self.ends.obs[index * self.obs_width..][..self.obs_width]);
            }
        }
        *self = compact;
    }

    /// Copies rows `rows` of `source`, columns only, to the front of this table.
    fn gather_columns(&mut self, source: &Self, rows: &[u32]) {
        gather(&mut self.obs, &source.obs, self.obs_width, rows);
        gather(&mut self.dist_inputs, &source.dist_inputs, self.dist_width, rows);
        self.actions.gather(&source.actions, rows);
        gather(&mut self.logp, &source.logp, 1, rows);
        gather(&mut self.values, &source.values, 1, rows);
        gather(&mut self.rewards, &source.rewards, 1, rows);
        gather(&mut self.terminated, &source.terminated, 1, rows);
        gather(&mut self.truncated, &source.truncated, 1, rows);
        gather(&mut self.env, &source.env, 1, rows);
        gather(&mut self.agent, &source.agent, 1, rows);
        gather(&mut self.episode, &source.episode, 1, rows);
    }

    /// The rows, lent.
    pub fn columns(&self) -> RolloutColumns<'_> {
        RolloutColumns {
            obs_width: self.obs_width,
            dist_width: self.dist_width,
            rows: self.rows,
            obs: self.all_obs(),
            actions: self.actions.view(0, self.rows),
            logp: &self.logp,
            values: &self.values,
            dist_inputs: &self.dist_inputs,
            rewards: &self.rewards,
            terminated: &self.terminated,
            truncated: &self.truncated,
            env: &self.env,
            agent: &self.agent,
            episode: &self.episode,
            end_rows: &self.ends.row,
            end_obs: &self.ends.obs,
            end_values: &self.ends.values,
        }
    }

    /// Puts the rows of neighbouring ranges of environments, all over the same `steps`, into one rectangle.
    ///
    /// Rows come in the order (step, environment), whatever the ranges were. Each number is copied once.
    pub fn join(parts: &[RolloutColumns<'_>], steps: usize) -> Option<Self> {
        Self::join_into(Vec::new(), parts, steps)
    }

    /// As [`join`](Self::join), with the observations in the memory of `spare` if that is large enough.
    pub fn join_into(spare: Vec<f32>, parts: &[RolloutColumns<'_>], steps: usize) -> Option<Self> {
        let mut whole = Self::for_parts(parts, steps)?;
        whole.obs = spare.into();
        whole.obs.resize(whole.rows * whole.obs_width);
        whole.take_parts(parts, steps, Self::copy_rows);
        Some(whole)
    }

    /// As [`join`](Self::join), around observations that stand in `obs` in the order of the joined table; those of the parts
    /// are not looked at. `None` where `obs` has not one row for each of theirs.
    pub fn join_around(obs: Observations, parts: &[RolloutColumns<'_>], steps: usize) -> Option<Self> {
        let mut whole = Self::for_parts(parts, steps)?;
        if obs.len() != whole.rows * whole.obs_width {
            return None;
        }
        whole.obs = obs;
        whole.take_parts(parts, steps, Self::copy_all_but_obs);
        Some(whole)
    }

    /// A rectangle of zeros for the rows of these ranges, without observations.
    fn for_parts(parts: &[RolloutColumns<'_>], steps: usize) -> Option<Self> {
        let first = parts.first()?;
        let num_envs = parts.iter().map(|part| part.rows / steps.max(1)).sum();
        let links = Links::Rectangular { num_envs };
        let mut whole = Self::new(first.obs_width, first.dist_width, first.no_actions(), links);
        whole.resize(steps * num_envs, 0);
        Some(whole)
    }

    /// Has `copy` copy neighbouring rows, (to, part, from, rows), to where they belong, and takes the end rows over.
    fn take_parts(
        &mut self,
        parts: &[RolloutColumns<'_>],
        steps: usize,
        copy: impl Fn(&mut Self, usize, &RolloutColumns<'_>, usize, usize),
    ) {
        let (num_envs, mut first_env) = (self.rows / steps.max(1), 0);
        for part in parts {
            let width = part.rows / steps.max(1);
            let place = |row: usize| row / width * num_envs + first_env + row % width;
            // The rows of one part at one step are neighbours on both sides.
            for from in (0..part.rows).step_by(width.max(1)) {
                copy(self, place(from), part, from, width);
            }
            for (index, &row) in part.end_rows.iter().enumerate() {
                self.ends.row.push(place(row as usize) as u32);
                self.ends.obs.extend_from_slice(&part.end_obs[index * part.obs_width..][..part.obs_width]);
            }
            self.ends.values.extend_from_slice(part.end_values);
            first_env += width;
        }
        self.ends.sort(self.obs_width);
    }

    /// Copies the columns of one row; links and end rows are the caller's.
    pub fn copy_row(&mut self, to: usize, source: &Self, from: usize) {
        self.copy_rows(to, &source.columns(), from, 1);
    }

    /// Copies the columns of `rows` neighbouring rows.
    fn copy_rows(&mut self, to: usize, source: &RolloutColumns<'_>, from: usize, rows: usize) {
        copy(&mut self.obs, source.obs, self.obs_width, to, from, rows);
        self.copy_all_but_obs(to, source, from, rows);
    }

    fn copy_all_but_obs(&mut self, to: usize, source: &RolloutColumns<'_>, from: usize, rows: usize) {
        copy(&mut self.dist_inputs, source.dist_inputs, self.dist_width, to, from, rows);
        self.actions.copy_rows(to, source.actions, from, rows);
        copy(&mut self.logp, source.logp, 1, to, from, rows);
        copy(&mut self.values, source.values, 1, to, from, rows);
        copy(&mut self.rewards, source.rewards, 1, to, from, rows);
        copy(&mut self.terminated, source.terminated, 1, to, from, rows);
        copy(&mut self.truncated, source.truncated, 1, to, from, rows);
        copy(&mut self.env, source.env, 1, to, from, rows);
        copy(&mut self.agent, source.agent, 1, to, from, rows);
        copy(&mut self.episode, source.episode, 1, to, from, rows);
    }
}

/// The rows of a rectangle, lent by whoever holds them: a table, or memory that is shared with another process. Columns as
/// in [`ModuleRollout`].
#[derive(Debug, Clone, Copy)]
#[expect(missing_docs, reason = "the columns of `ModuleRollout`, where they are described")]
pub struct RolloutColumns<'a> {
    pub obs_width: usize,
    pub dist_width: usize,
    pub rows: usize,
    pub obs: &'a [f32],
    pub actions: ActionsRef<'a>,
    pub logp: &'a [f32],
    pub values: &'a [f32],
    pub dist_inputs: &'a [f32],
    pub rewards: &'a [f32],
    pub terminated: &'a [bool],
    pub truncated: &'a [bool],
    pub env: &'a [u32],
    pub agent: &'a [u32],
    pub episode: &'a [u64],
    pub end_rows: &'a [u32],
    pub end_obs: &'a [f32],
    pub end_values: &'a [f32],
}

impl RolloutColumns<'_> {
    /// An action column of the same kind and width without rows.
    fn no_actions(&self) -> Actions {
        match self.actions {
            ActionsRef::Discrete { width, .. } => Actions::zeros(true, width, 0),
            ActionsRef::Continuous { width, .. } => Actions::zeros(false, width, 0),
        }
    }
}

/// Copies `rows` rows of width `width` from row `from` of one column to row `at` of another.
fn copy<T: Copy>(to: &mut [T], source: &[T], width: usize, at: usize, from: usize, rows: usize) {
    to[at * width..][..rows * width].copy_from_slice(&source[from * width..][..rows * width]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retaining_rows_renumbers_links_and_ends() {
        let links = Links::Chained { next: vec![2, 3, END, END] };
        let mut table =
            ModuleRollout::new(1, 1, Actions::zeros(true, 1, 0), Links::Chained { next: Vec::new() });
        table.resize(4, 4);
        table.links = links;
        table.obs = vec![10.0, 11.0, 12.0, 13.0].into();
        table.ends.push(2, &[20.0]);
        table.ends.push(1, &[21.0]);
        table.retain(&[true, false, true, false]);
        assert_eq!(table.obs[..], [10.0, 12.0]);
        assert_eq!(table.links, Links::Chained { next: vec![1, END] });
        assert_eq!((table.ends.row, table.ends.obs), (vec![1], vec![20.0]));
    }
}
