//! Memory for the observations of whole rollouts, which all workers of a run have mapped and write their rows to.
//!
//! A table is in one place at a time, and moves by value from one to the next: *free*; *open*, while workers write to it and
//! nobody here can reach its rows; *lent*, in the rollout that was made of it, when no worker is asked to write to it. It
//! comes back when that rollout's observations are dropped. A rollout that somebody keeps makes the next one go
//! into another table.

use std::fs::File;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};
use skirl::Error;
use skirl::collect::SharedTable;
use skirl::contract::{LentMemory, Observations};

use crate::memory::{NoMemory, SharedMemory};

/// Free tables that are kept: two serve whoever looks at one rollout while the next one is made.
const MAX_FREE: usize = 2;
/// Tables that may be lent at a time. Each is an open file and a mapping in every process; whoever keeps more rollouts gets
/// copies.
const MAX_LENT: usize = 8;

/// The tables of a run's workers, or of evaluation's.
#[derive(Debug, Clone)]
pub struct Tables {
    pool: Arc<Mutex<Pool>>,
    in_evaluation: bool,
}

#[derive(Debug)]
struct Pool {
    /// Environments of all workers.
    num_envs: usize,
    /// Numbers in an observation.
    width: usize,
    free: Vec<Table>,
    open: Option<Table>,
    /// Steps of the rollout for which one is open.
    steps: usize,
    lent: Vec<u64>,
    /// How many were made so far.
    made: u64,
}

#[derive(Debug)]
struct Table {
    /// Never given to another one.
    id: u64,
    /// Steps for which there is room.
    steps: usize,
    memory: SharedMemory,
}

/// A table that is open, as workers are told of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenTable {
    /// Its number.
    pub id: u64,
    /// Steps for which there is room.
    pub steps: usize,
    /// Environments in each of its steps.
    pub num_envs: usize,
}

impl Tables {
    /// None yet. `num_envs` environments with observations of `width` numbers.
    pub fn new(num_envs: usize, width: usize, in_evaluation: bool) -> Self {
        let (free, open, lent) = (Vec::new(), None, Vec::new());
        let pool = Pool { num_envs, width, free, open, steps: 0, lent, made: 0 };
        Self { pool: Arc::new(Mutex::new(pool)), in_evaluation }
    }

    fn pool(&self) -> MutexGuard<'_, Pool> {
        self.pool.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The table to write to; `None` where workers are to keep their rows.
    pub fn opened(&self) -> Option<OpenTable> {
        let pool = self.pool();
        let num_envs = pool.num_envs;
        pool.open.as_ref().map(|table| OpenTable { id: table.id, steps: table.steps, num_envs })
    }

    /// A handle of the open table's file.
    ///
    /// # Errors
    /// The system's; none is open.
    pub fn file(&self) -> io::Result<File> {
        let pool = self.pool();
        let open = pool.open.as_ref().ok_or_else(|| io::Error::other("no table is open"))?;
        open.memory.file().try_clone()
    }

    /// Numbers of all tables that may be written to once more.
    pub fn known(&self) -> Vec<u64> {
        let pool = self.pool();
        let here = pool.free.iter().chain(&pool.open).map(|table| table.id);
        here.chain(pool.lent.iter().copied()).collect()
    }
}

impl Pool {
    fn open(&mut self, steps: usize) -> Result<(), NoMemory> {
        self.free.extend(self.open.take());
        self.steps = steps;
        if let Some(fits) = self.free.iter().position(|table| table.steps >= steps) {
            self.open = Some(self.free.swap_remove(fits));
        } else if self.lent.len() < MAX_LENT {
            // Those that are too small make room first.
            self.free.clear();
            self.open = Some(self.make(steps)?);
        }
        Ok(())
    }

    fn make(&mut self, steps: usize) -> Result<Table, NoMemory> {
        let bytes = self.numbers(steps).and_then(|numbers| numbers.checked_mul(size_of::<f32>()));
        let memory = SharedMemory::create(bytes.unwrap_or(usize::MAX / 2))?;
        self.made += 1;
        Ok(Table { id: self.made, steps, memory })
    }

    /// Numbers in the observations of `steps` steps.
    fn numbers(&self, steps: usize) -> Option<usize> {
        steps.checked_mul(self.num_envs)?.checked_mul(self.width)
    }

    fn take_back(&mut self, table: Table) {
        self.lent.retain(|&id| id != table.id);
        if self.free.len() < MAX_FREE {
            self.free.push(table);
        }
    }
}

impl SharedTable for Tables {
    fn open(&mut self, steps: usize) -> Result<(), Error> {
        let refused = |error: NoMemory| Error::EnvRunner {
            runner: 1,
            in_evaluation: self.in_evaluation,
            message: error.to_string(),
            others: 0,
        };
        self.pool().open(steps.max(1)).map_err(refused)
    }

    fn close(&mut self) -> Option<Observations> {
        let mut pool = self.pool();
        let len = pool.numbers(pool.steps)?;
        let table = pool.open.take()?;
        pool.lent.push(table.id);
        drop(pool);
        let lent = Lent { len, table: Some(table), tables: self.clone() };
        Some(Observations::lent(Box::new(lent)))
    }
}

/// The observations of a rollout: a table that no worker is asked to write to until this is dropped.
#[derive(Debug)]
struct Lent {
    len: usize,
    /// `None` only while it is dropped.
    table: Option<Table>,
    tables: Tables,
}

impl LentMemory for Lent {
    fn as_slice(&self) -> &[f32] {
        self.table.as_ref().and_then(|table| table.memory.slice(0, self.len)).unwrap_or_default()
    }

    fn as_mut_slice(&mut self) -> &mut [f32] {
        let len = self.len;
        self.table.as_mut().and_then(|table| table.memory.slice_mut(0, len)).unwrap_or_default()
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if let Some(table) = self.table.take() {
            self.tables.pool().take_back(table);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    /// A rollout of two steps whose observations are all `value`, as one worker would write them.
    fn rollout(tables: &mut Tables, value: f32) -> (u64, Observations) {
        tables.open(2).unwrap();
        let open = tables.opened().unwrap();
        let mut there = SharedMemory::map(tables.file().unwrap(), 2 * 3 * 4 * 4).unwrap();
        there.slice_mut::<f32>(0, 24).unwrap().fill(value);
        (open.id, tables.close().unwrap())
    }

    #[test]
    fn a_table_that_somebody_holds_is_never_written_to() {
        let mut tables = Tables::new(3, 4, false);
        let (first, held) = rollout(&mut tables, 1.0);
        assert!(tables.opened().is_none() && tables.close().is_none());
        let (second, next) = rollout(&mut tables, 2.0);
        assert_ne!(first, second);
        // The part that is in use of what is held may be less than the table.
        let mut cut = held;
        cut.truncate(1);
        drop(next);
        for _ in 0..3 {
            assert_eq!(rollout(&mut tables, 3.0).0, second);
        }
        assert_eq!(cut[..], [1.0]);
        drop(cut);
        let (one, two) = (rollout(&mut tables, 4.0), rollout(&mut tables, 5.0));
        assert!([first, second].contains(&one.0) && [first, second].contains(&two.0) && one.0 != two.0);
        assert!(one.1.iter().all(|&value| value == 4.0) && two.1.iter().all(|&value| value == 5.0));
    }

    #[test]
    fn whoever_keeps_many_rollouts_gets_copies_of_more() {
        let mut tables = Tables::new(3, 4, false);
        let mut kept: Vec<Observations> = Vec::new();
        for index in 0..MAX_LENT {
            kept.push(rollout(&mut tables, index as f32).1);
        }
        tables.open(2).unwrap();
        assert!(tables.opened().is_none() && tables.close().is_none());
        assert_eq!(tables.known().len(), MAX_LENT);
        for (index, obs) in kept.iter().enumerate() {
            assert!(obs.iter().all(|&value| value == index as f32));
        }
        kept.clear();
        assert_eq!(tables.known().len(), MAX_FREE, "the rest went back to the system");
        tables.open(2).unwrap();
        assert!(tables.opened().is_some());
    }

    #[test]
    fn a_rollout_that_failed_is_made_again_in_its_table_and_a_longer_one_in_another() {
        let mut tables = Tables::new(3, 4, false);
        tables.open(2).unwrap();
        let failed = tables.opened().unwrap();
        tables.open(1).unwrap();
        assert_eq!(tables.opened().unwrap(), failed);
        assert_eq!(tables.close().unwrap().len(), 12, "as long as the rollout, not as the table");
        tables.open(5).unwrap();
        let longer = tables.opened().unwrap();
        assert_eq!((longer.steps, longer.num_envs), (5, 3));
        assert_eq!(tables.known(), [longer.id], "what is too small is of no use");
        assert!(tables.file().unwrap().metadata().unwrap().len() >= 5 * 12 * 4);
        assert!(
            Tables::new(3, usize::MAX / 2, true)
                .open(9)
                .unwrap_err()
                .to_string()
                .contains("bytes of shared memory")
        );
    }
}
