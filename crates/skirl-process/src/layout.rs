//! Where the columns of a rollout, and the weights, stand in shared memory.

use serde::{Deserialize, Serialize};
use skirl::contract::{Actions, ModuleRollout};
use skirl_nn::distributions::ActionsRef;

use crate::memory::SharedMemory;

/// Every column starts at a multiple of this.
const ALIGN: usize = 64;

/// Sizes of what one rollout needs. Both processes make the same offsets of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Layout {
    /// Parameters of the policy.
    pub weights: usize,
    /// Rows of the rollout.
    pub rows: usize,
    /// End rows for which there is room.
    pub ends: usize,
    /// Width of a row's observation.
    pub obs_width: usize,
    /// Width of a row's distribution inputs.
    pub dist_width: usize,
    /// Width of a row's action.
    pub action_width: usize,
    /// Integers, or floats.
    pub discrete: bool,
    /// The rows' observations stand in a table of all workers, and not here.
    pub obs_elsewhere: bool,
}

/// First bytes of the columns.
#[derive(Debug, Clone, Copy)]
struct Offsets {
    weights: usize,
    obs: usize,
    actions: usize,
    logp: usize,
    values: usize,
    dist_inputs: usize,
    rewards: usize,
    flags: usize,
    episode: usize,
    end_rows: usize,
    end_obs: usize,
    end_values: usize,
    end: usize,
}

impl Layout {
    /// Bytes of data; `None` where the sizes are absurd.
    pub fn len(&self) -> Option<usize> {
        self.offsets().map(|offsets| offsets.end)
    }

    /// Never: there is a place for everything.
    pub fn is_empty(&self) -> bool {
        false
    }

    /// Width of the observations that stand here.
    fn width_here(&self) -> usize {
        if self.obs_elsewhere { 0 } else { self.obs_width }
    }

    fn offsets(&self) -> Option<Offsets> {
        let mut next = 0usize;
        let mut column = |rows: usize, width: usize, size: usize| -> Option<usize> {
            let offset = next;
            let len = rows.checked_mul(width)?.checked_mul(size)?;
            next = next.checked_add(len)?.checked_next_multiple_of(ALIGN)?;
            Some(offset)
        };
        let (rows, ends) = (self.rows, self.ends);
        Some(Offsets {
            weights: column(self.weights, 1, 4)?,
            obs: column(rows, self.width_here(), 4)?,
            actions: column(rows, self.action_width, if self.discrete { 8 } else { 4 })?,
            logp: column(rows, 1, 4)?,
            values: column(rows, 1, 4)?,
            dist_inputs: column(rows, self.dist_width, 4)?,
            rewards: column(rows, 1, 4)?,
            flags: column(rows, 1, 1)?,
            episode: column(rows, 1, 8)?,
            end_rows: column(ends, 1, 4)?,
            end_obs: column(ends, self.obs_width, 4)?,
            end_values: column(ends, 1, 4)?,
            end: next,
        })
    }

    /// The weights' place, to write to.
    pub fn weights_mut<'m>(&self, memory: &'m mut SharedMemory) -> Option<&'m mut [f32]> {
        memory.slice_mut(self.offsets()?.weights, self.weights)
    }

    /// The weights.
    pub fn weights<'m>(&self, memory: &'m SharedMemory) -> Option<&'m [f32]> {
        memory.slice(self.offsets()?.weights, self.weights)
    }

    /// Writes a table's rows; `None` where they are not those that this layout is for. There must be room for its end rows.
    pub fn write(&self, memory: &mut SharedMemory, table: &ModuleRollout) -> Option<()> {
        let at = self.offsets()?;
        if !self.obs_elsewhere {
            put(memory, at.obs, table.all_obs())?;
        }
        match table.actions.view(0, table.rows) {
            ActionsRef::Discrete { data, .. } if self.discrete => put(memory, at.actions, data)?,
            ActionsRef::Continuous { data, .. } if !self.discrete => put(memory, at.actions, data)?,
            _ => return None,
        }
        put(memory, at.logp, &table.logp)?;
        put(memory, at.values, &table.values)?;
        put(memory, at.dist_inputs, &table.dist_inputs)?;
        put(memory, at.rewards, &table.rewards)?;
        let flags = memory.slice_mut::<u8>(at.flags, self.rows)?;
        let ended = table.terminated.iter().zip(&table.truncated);
        for (flag, (&terminated, &truncated)) in flags.iter_mut().zip(ended) {
            *flag = u8::from(terminated) | u8::from(truncated) << 1;
        }
        put(memory, at.episode, &table.episode)?;
        put(memory, at.end_rows, &table.ends.row)?;
        put(memory, at.end_obs, &table.ends.obs)?;
        put(memory, at.end_values, &table.ends.values)
    }

    /// The columns that stay where they are; `None` where the memory is too small.
    pub fn read<'m>(&self, memory: &'m SharedMemory, ends: usize) -> Option<Columns<'m>> {
        let (at, rows) = (self.offsets()?, self.rows);
        let width = self.action_width;
        let actions = match self.discrete {
            true => ActionsRef::Discrete { data: memory.slice(at.actions, rows * width)?, width },
            false => ActionsRef::Continuous { data: memory.slice(at.actions, rows * width)?, width },
        };
        Some(Columns {
            obs: memory.slice(at.obs, rows * self.width_here())?,
            actions,
            logp: memory.slice(at.logp, rows)?,
            values: memory.slice(at.values, rows)?,
            dist_inputs: memory.slice(at.dist_inputs, rows * self.dist_width)?,
            rewards: memory.slice(at.rewards, rows)?,
            flags: memory.slice(at.flags, rows)?,
            episode: memory.slice(at.episode, rows)?,
            end_rows: memory.slice(at.end_rows, ends.min(self.ends))?,
            end_obs: memory.slice(at.end_obs, ends.min(self.ends) * self.obs_width)?,
            end_values: memory.slice(at.end_values, ends.min(self.ends))?,
        })
    }

    /// An action column without rows.
    pub fn no_actions(&self) -> Actions {
        Actions::zeros(self.discrete, self.action_width, 0)
    }
}

fn put<T: crate::memory::Plain>(memory: &mut SharedMemory, offset: usize, values: &[T]) -> Option<()> {
    memory.slice_mut(offset, values.len())?.copy_from_slice(values);
    Some(())
}

/// A rollout in shared memory.
#[derive(Debug, Clone, Copy)]
#[expect(missing_docs, reason = "the columns of `ModuleRollout`, where they are described")]
pub struct Columns<'m> {
    pub obs: &'m [f32],
    pub actions: ActionsRef<'m>,
    pub logp: &'m [f32],
    pub values: &'m [f32],
    pub dist_inputs: &'m [f32],
    pub rewards: &'m [f32],
    /// Bit 0: terminated, bit 1: truncated.
    pub flags: &'m [u8],
    pub episode: &'m [u64],
    pub end_rows: &'m [u32],
    pub end_obs: &'m [f32],
    pub end_values: &'m [f32],
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::print_stderr)]
    use skirl::collect::SharedTable;
    use skirl::collect::vector_runner::BlockMemory;
    use skirl::contract::Links;

    use super::*;
    use crate::rows;
    use crate::tables::Tables;

    #[test]
    fn a_table_is_read_as_it_was_written() {
        let layout = Layout {
            weights: 5,
            rows: 3,
            ends: 2,
            obs_width: 3,
            dist_width: 2,
            action_width: 1,
            discrete: true,
            obs_elsewhere: false,
        };
        let mut table = ModuleRollout::new(3, 2, layout.no_actions(), Links::Rectangular { num_envs: 1 });
        table.resize(3, 4);
        table.obs.iter_mut().enumerate().for_each(|(index, value)| *value = index as f32);
        table.rewards = vec![1.0, 2.0, 3.0];
        table.terminated[1] = true;
        table.truncated[2] = true;
        table.episode = vec![7, 7, 8];
        table.ends.push(1, &[4.0, 5.0, 6.0]);
        let mut memory = SharedMemory::create(layout.len().unwrap()).unwrap();
        layout.weights_mut(&mut memory).unwrap().fill(0.25);
        layout.write(&mut memory, &table).unwrap();
        let read = layout.read(&memory, 1).unwrap();
        assert_eq!(read.obs, table.all_obs());
        assert_eq!((read.rewards, read.flags), (&table.rewards[..], &[0u8, 1, 2][..]));
        assert_eq!((read.episode, read.end_rows), (&[7u64, 7, 8][..], &[1u32][..]));
        assert_eq!(read.end_obs, [4.0, 5.0, 6.0]);
        assert_eq!(layout.weights(&memory).unwrap(), [0.25; 5]);
        let absurd = Layout { rows: usize::MAX / 2, ..layout };
        assert_eq!(absurd.len(), None);
        assert!(layout.read(&SharedMemory::create(64).unwrap(), 1).is_none());
    }

    /// Bytes per second of a worker's copy into the table of all workers, and of the two copies where there is none, beside a
    /// plain copy.
    #[test]
    #[ignore = "a measurement: needs --release and a quiet machine"]
    fn copies_beside_memcpy() {
        use std::time::Instant;
        let (steps, num_envs, width) = (64, 4, 84 * 84 * 4);
        let rows = steps * num_envs;
        let layout = Layout {
            weights: 0,
            rows,
            ends: num_envs,
            obs_width: width,
            dist_width: 4,
            action_width: 1,
            discrete: true,
            obs_elsewhere: false,
        };
        let mut table = ModuleRollout::new(width, 4, layout.no_actions(), Links::Rectangular { num_envs });
        table.resize(rows, rows + num_envs);
        table.obs.iter_mut().enumerate().for_each(|(index, value)| *value = index as f32);
        let mut memory = SharedMemory::create(layout.len().unwrap()).unwrap();
        let bytes = (rows * width * 4) as f64;
        let rate = |mut work: Box<dyn FnMut() + '_>| {
            let mut best = f64::INFINITY;
            for _ in 0..8 {
                let start = Instant::now();
                work();
                best = best.min(start.elapsed().as_secs_f64());
            }
            bytes / best / 1e9
        };
        let mut other = table.obs.clone();
        let plain = rate(Box::new(|| other.copy_from_slice(&table.obs)));
        let fresh = rate(Box::new(|| drop(std::hint::black_box(table.obs.clone()))));
        let into = rate(Box::new(|| layout.write(&mut memory, &table).unwrap()));
        let read = layout.read(&memory, 0).unwrap();
        let columns = skirl::contract::RolloutColumns { obs: read.obs, ..table.columns() };
        let join = |spare| ModuleRollout::join_into(spare, &[columns, columns], steps).unwrap();
        let out = rate(Box::new(|| drop(std::hint::black_box(join(Vec::new()))))) * 2.0;
        let mut kept = join(Vec::new());
        let again = rate(Box::new(|| kept = join(std::mem::take(&mut kept.obs).into_vec()))) * 2.0;
        let mut tables = Tables::new(2 * num_envs, width, false);
        tables.open(steps).unwrap();
        let place =
            rows::Place { steps, num_envs: 2 * num_envs, width, first_env: num_envs, range_envs: num_envs };
        let mut rows = rows::Rows::map(tables.file().unwrap(), place).unwrap();
        let block = num_envs * width;
        let in_place = rate(Box::new(|| {
            let blocks = table.obs.chunks_exact(block).take(steps);
            blocks.enumerate().for_each(|(t, obs)| rows.block_mut(t).copy_from_slice(obs));
        }));
        let start = Instant::now();
        let joined = ModuleRollout::join_around(tables.close().unwrap(), &[columns, columns], steps).unwrap();
        let joining = start.elapsed().as_micros();
        eprintln!(
            "memcpy {plain:.1} GB/s, into new memory {fresh:.1}; a worker's rows into the table of all workers {in_place:.1}, \
             which is joined around {:.0} MB of them in {joining} us. Where there is none: into shared memory {into:.1}, out \
             of it into a new table {out:.1}, into the memory of the one before {again:.1}",
            joined.obs.len() as f64 * 4e-6
        );
    }
}
