//! Where the observations of a rollout stand while a range is stepped: block `t` holds what its environments saw before
//! step `t`, `[num_envs, obs_width]`.

use std::any::Any;

/// Memory of somebody else's for the blocks of a range: its rows of a table that several ranges fill.
pub trait BlockMemory: Any + Send {
    /// Blocks for which there is room.
    fn num_blocks(&self) -> usize;

    /// Block `t`, smaller than [`num_blocks`](Self::num_blocks).
    fn block(&self, t: usize) -> &[f32];

    /// Block `t`, to write to.
    fn block_mut(&mut self, t: usize) -> &mut [f32];
}

/// The blocks of a rollout under way: those that are acted on in the range's own table or in lent memory, and the one that
/// waits for the next rollout.
pub(super) struct Blocks {
    /// The first block of the next rollout.
    pub(super) waiting: Vec<f32>,
    /// Blocks of the rollout.
    steps: usize,
    lent: Option<Box<dyn BlockMemory>>,
}

impl Blocks {
    /// Of `size` numbers each.
    pub(super) fn new(size: usize) -> Self {
        Self { waiting: vec![0.0; size], steps: 0, lent: None }
    }

    /// Has the next rollout written into `memory`, or into the table.
    pub(super) fn lend(&mut self, memory: Option<Box<dyn BlockMemory>>) -> Option<Box<dyn BlockMemory>> {
        std::mem::replace(&mut self.lent, memory)
    }

    /// Blocks for which there is room in lent memory, where some is lent.
    pub(super) fn room(&self) -> Option<usize> {
        self.lent.as_ref().map(|memory| memory.num_blocks())
    }

    /// Starts a rollout of `steps` blocks with the one that waits. `table` has memory for all of them where none is lent.
    pub(super) fn open(&mut self, steps: usize, table: &mut [f32]) {
        self.steps = steps;
        acted_on(&mut self.lent, table, 0, self.waiting.len()).copy_from_slice(&self.waiting);
    }

    /// Block `t`. The one after the last is the first of the next rollout.
    pub(super) fn at<'a>(&'a self, t: usize, table: &'a [f32]) -> &'a [f32] {
        let size = self.waiting.len();
        match &self.lent {
            _ if t == self.steps => &self.waiting,
            Some(memory) => memory.block(t),
            None => &table[t * size..][..size],
        }
    }

    /// As [`at`](Self::at), to write to.
    pub(super) fn at_mut<'a>(&'a mut self, t: usize, table: &'a mut [f32]) -> &'a mut [f32] {
        if t == self.steps {
            return &mut self.waiting;
        }
        acted_on(&mut self.lent, table, t, self.waiting.len())
    }
}

/// Block `t` of `size` numbers, of those that are acted on.
fn acted_on<'a>(
    lent: &'a mut Option<Box<dyn BlockMemory>>,
    table: &'a mut [f32],
    t: usize,
    size: usize,
) -> &'a mut [f32] {
    match lent {
        Some(memory) => memory.block_mut(t),
        None => &mut table[t * size..][..size],
    }
}
