//! One module's part of the general runner: its table, and the forward over all agents that it acts for.

use super::env_slot::{EnvSlot, OpenRow};
use crate::collect::episodes::EpisodeIds;
use crate::collect::observations::SeenObservations;
use crate::collect::vector_runner::{FORWARD_ROWS, copy_rows};
use crate::contract::policy::{DIST_INPUTS, VALUE};
use crate::contract::{Links, ModuleId, ModuleRollout, Policy};
use crate::error::Error;
use skirl_math::chain::END;
use skirl_math::rng::StreamKey;
use skirl_nn::Mat;
use skirl_nn::Tape;
use skirl_nn::distributions::DistScratch;

/// The rows of one module while they are collected.
pub(super) struct ModuleSlot {
    pub(super) id: ModuleId,
    pub(super) table: ModuleRollout,
    pub(super) seen: SeenObservations,
    /// (environment, agent) of the rows being added.
    pub(super) acting: Vec<(usize, usize)>,
    pub(super) tape: Option<Tape>,
    pub(super) scratch: DistScratch,
    pub(super) carried: Option<ModuleRollout>,
    /// Rows that will never have a successor to be valued by; left out of the table.
    pub(super) dropped: Vec<u32>,
}

impl ModuleSlot {
    pub(super) fn new(id: &ModuleId, policy: &Policy, seen_rows: usize) -> Self {
        let links = Links::Chained { next: Vec::new() };
        let width = policy.obs_width();
        Self {
            id: id.clone(),
            table: ModuleRollout::new(width, policy.dist.num_inputs(), policy.empty_actions(), links),
            seen: SeenObservations::new(seen_rows, width, seen_rows > 0),
            acting: Vec::new(),
            tape: None,
            scratch: policy.dist.scratch(),
            carried: None,
            dropped: Vec::new(),
        }
    }

    pub(super) fn set_next(&mut self, row: u32, to: u32) {
        if let Links::Chained { next } = &mut self.table.links {
            next[row as usize] = to;
        }
    }

    /// Adds a row for every acting agent, chains it to the agent's open row, and returns the first new row.
    pub(super) fn append_rows(&mut self, envs: &mut [EnvSlot], ids: EpisodeIds) -> usize {
        let (first, width) = (self.table.rows, self.table.obs_width);
        let rows = first + self.acting.len();
        self.table.resize(rows, rows);
        for (index, (env, agent)) in self.acting.clone().into_iter().enumerate() {
            let row = first + index;
            self.table.episode[row] = ids.of(env, envs[env].episode.index);
            let slot = &mut envs[env].agents[agent];
            self.table.obs[row * width..][..width].copy_from_slice(&slot.input);
            self.table.rewards[row] = 0.0;
            self.table.terminated[row] = false;
            self.table.truncated[row] = false;
            self.table.env[row] = env as u32;
            self.table.agent[row] = agent as u32;
            let previous = slot.open.map_or(END, |open| open.row);
            if previous != END {
                self.set_next(previous, row as u32);
            }
            slot.open = Some(OpenRow { row: row as u32, previous });
        }
        first
    }

    pub(super) fn forward(
        &mut self,
        policy: &Policy,
        envs: &[EnvSlot],
        first: usize,
        counter: u64,
        explore: bool,
    ) -> Result<(), Error> {
        let tape = self.tape.get_or_insert_with(|| policy.net.tape(FORWARD_ROWS));
        let table = &mut self.table;
        let (width, dist_width) = (table.obs_width, table.dist_width);
        for (block, acting) in self.acting.chunks(FORWARD_ROWS).enumerate() {
            let start = first + block * FORWARD_ROWS;
            let end = start + acting.len();
            let inputs = Mat::new(&table.obs[start * width..end * width], acting.len(), width);
            policy.net.forward(&[inputs], None, tape)?;
            let outputs = tape.output(DIST_INPUTS);
            let keys: Vec<StreamKey> =
                acting.iter().map(|&(env, agent)| envs[env].agents[agent].key).collect();
            let explore = explore.then_some((keys.as_slice(), counter));
            let logp = &mut table.logp[start..end];
            policy.choose(outputs, explore, &mut table.actions, start..end, logp, &mut self.scratch)?;
            copy_rows(outputs, &mut table.dist_inputs[start * dist_width..end * dist_width]);
            if policy.has_value() {
                copy_rows(tape.output(VALUE), &mut table.values[start..end]);
            }
        }
        Ok(())
    }

    /// Gives each acting agent's action to its environment.
    pub(super) fn hand_out(&self, envs: &mut [EnvSlot], first: usize) {
        for (index, &(env, agent)) in self.acting.iter().enumerate() {
            let slot = &mut envs[env];
            slot.agents[agent].codec.encode(
                &self.table.actions,
                first + index,
                1,
                &mut slot.actions.actions[agent][0],
            );
            slot.actions.acts[agent] = true;
        }
    }

    /// Makes an open row the end of its chain: its observation bootstraps the row before it.
    pub(super) fn close_before(&mut self, open: OpenRow) {
        if open.previous != END {
            let obs = self.table.obs_row(open.row as usize).to_vec();
            self.table.ends.push(open.previous, &obs);
            self.set_next(open.previous, END);
        }
    }

    /// Moves `waiting` rows out of the table, to the front of the next one; dropped rows just go.
    pub(super) fn carry(&mut self, waiting: &[u32]) {
        if waiting.is_empty() && self.dropped.is_empty() {
            return;
        }
        let mut keep = vec![true; self.table.rows];
        self.dropped.drain(..).for_each(|row| keep[row as usize] = false);
        let mut carried = ModuleRollout::new(
            self.table.obs_width,
            self.table.dist_width,
            self.table.actions.empty(),
            Links::Chained { next: Vec::new() },
        );
        carried.resize(waiting.len(), waiting.len());
        for (index, &row) in waiting.iter().enumerate() {
            keep[row as usize] = false;
            carried.copy_row(index, &self.table, row as usize);
        }
        self.table.retain(&keep);
        self.carried = (!waiting.is_empty()).then_some(carried);
    }
}
