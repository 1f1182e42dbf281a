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
