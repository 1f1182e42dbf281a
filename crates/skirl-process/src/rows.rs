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
