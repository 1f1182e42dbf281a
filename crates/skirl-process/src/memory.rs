//! Memory that two processes have mapped.
//!
//! It has no name (`memfd_create` on Linux, a file that is unlinked at once elsewhere), so nothing is left of it when both
//! processes are gone, however they went. All of it is claimed when it is made or grown: too little memory is an error then,
//! and not a crash at some later write.

use std::fs::File;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};

use memmap2::{MmapOptions, MmapRaw};
use rustix::fs::{FallocateFlags, Mode, fallocate, fchmod};

/// The first bytes hold the worker's counters of steps, and the request that is no longer wanted; data follows.
pub const HEADER: usize = 4096;

/// Directory for the file where there are no nameless ones, or where a test wants a small one.
const DIRECTORY: &str = "SKIRL_SHARED_MEMORY_DIR";

/// Why there is no memory.
#[derive(Debug, thiserror::Error)]
#[error(
    "the environment runners need {needed} bytes of shared memory for weights and rollouts, but the system refused them: \
     {source}. Free some memory (of the container, if this is one), or lower env_runners.rollout_fragment_length or \
     env_runners.num_envs_per_env_runner"
)]
pub struct NoMemory {
    /// Bytes asked for.
    pub needed: usize,
    /// The system's words.
    pub source: io::Error,
}

/// Memory shared with other processes.
#[derive(Debug)]
pub struct SharedMemory {
    file: File,
    data: MmapRaw,
    capacity: usize,
}

/// Types that any bytes are a value of.
///
/// # Safety
/// Every bit pattern is a value, and there is no padding.
pub unsafe trait Plain: Copy {}
// SAFETY: all bit patterns of numbers are values.
unsafe impl Plain for u8 {}
// SAFETY: as above.
unsafe impl Plain for f32 {}
// SAFETY: as above.
unsafe impl Plain for u32 {}
// SAFETY: as above.
unsafe impl Plain for i64 {}
// SAFETY: as above.
unsafe impl Plain for u64 {}

impl SharedMemory {
    /// New memory for `capacity` bytes of data.
    ///
    /// # Errors
    /// The system has not that much.
    pub fn create(capacity: usize) -> Result<Self, NoMemory> {
        // Never empty: there is always something to map.
        let capacity = capacity.max(1);
        let make = || {
            let file = nameless_file()?;
            fchmod(&file, Mode::RUSR | Mode::WUSR)?;
            claim(&file, capacity)?;
            Self::map(file, capacity)
        };
        make().map_err(|source| NoMemory { needed: capacity, source })
    }

    /// The memory behind `file`, which another process made.
    ///
    /// # Errors
    /// The system's.
    pub fn map(file: File, capacity: usize) -> io::Result<Self> {
        let held = file.metadata()?.len();
        if held < (HEADER + capacity) as u64 {
            return Err(io::Error::other(format!(
                "{held} bytes, where {} were announced",
                HEADER + capacity
            )));
        }
        let data = MmapOptions::new().offset(HEADER as u64).len(capacity.max(1)).map_raw(&file)?;
        Ok(Self { file, data, capacity })
    }

    /// Makes room for `capacity` bytes of data; what they held is kept.
    ///
    /// # Errors
    /// The system has not that much.
    pub fn grow(&mut self, capacity: usize) -> Result<(), NoMemory> {
        if capacity <= self.capacity {
            return Ok(());
        }
        let make = || {
            claim(&self.file, capacity)?;
            Self::map(self.file.try_clone()?, capacity)
        };
        *self = make().map_err(|source| NoMemory { needed: capacity, source })?;
        Ok(())
    }

    /// Follows a growth by the other process.
    ///
    /// # Errors
    /// The system's.
    pub fn follow(&mut self, capacity: usize) -> io::Result<()> {
        if capacity > self.capacity {
            *self = Self::map(self.file.try_clone()?, capacity)?;
        }
        Ok(())
    }

    /// Processes that this one forks (environments may) do not get it, so that nothing they do can reach it. Where the system
    /// cannot do that, they do.
    pub fn keep_from_forks(&self) {
        #[cfg(target_os = "linux")]
        let _ = self.data.advise(memmap2::Advice::DontFork);
    }

    /// The file behind it.
    pub fn file(&self) -> &File {
        &self.file
    }

    /// Bytes of data.
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// `len` elements from byte `offset` on; `None` where they are not all inside, or not aligned.
    pub fn slice<T: Plain>(&self, offset: usize, len: usize) -> Option<&[T]> {
        self.check::<T>(offset, len)?;
        // SAFETY: inside the mapping and aligned (checked), any bytes are values of `T`, and the memory stays mapped as long
        // as `self` is borrowed. No other process writes to these bytes meanwhile:
        // - memory of one worker (`shard.rs`) is written to by it only between a request and its reply, when nobody here
        //   holds a slice: requests need `&mut` of what owns this memory, and while a rollout is asked for and not taken over
        //   (`posted`), no slice is given out; it is written to here only between a reply and the next request, and the worker
        //   takes its slices while it answers;
        // - a table of all workers (`tables.rs`) is sliced here only while it is lent. Then all workers that were asked to
        //   write to it have replied, or were killed and waited for; they are asked again only once it was given back;
        // - a worker slices of such a table its own rows only (`rows.rs`), which no other process reaches while it is open.
        Some(unsafe { std::slice::from_raw_parts(self.data.as_ptr().add(offset).cast(), len) })
    }

    /// As [`slice`](Self::slice), to write to.
    pub fn slice_mut<T: Plain>(&mut self, offset: usize, len: usize) -> Option<&mut [T]> {
        self.check::<T>(offset, len)?;
        // SAFETY: as in `slice`, and nobody else in this process has a slice, as `self` is borrowed alone.
        Some(unsafe { std::slice::from_raw_parts_mut(self.data.as_mut_ptr().add(offset).cast(), len) })
    }

    fn check<T>(&self, offset: usize, len: usize) -> Option<()> {
        let end = len.checked_mul(size_of::<T>())?.checked_add(offset)?;
        (end <= self.capacity && offset.is_multiple_of(align_of::<T>())).then_some(())
    }
}

/// Counters at the front of the memory: the worker counts, the other process looks whether it still does, and says when it
/// need not go on.
#[derive(Debug)]
pub struct Progress {
    page: MmapRaw,
    /// The request that this process answers; 0 for none.
    answering: AtomicU64,
}

impl Progress {
    /// The counter of the memory behind `file`.
    ///
    /// # Errors
    /// The system's.
    pub fn of(file: &File) -> io::Result<Self> {
        let page = MmapOptions::new().len(HEADER).map_raw(file)?;
        Ok(Self { page, answering: AtomicU64::new(0) })
    }

    #[expect(clippy::cast_ptr_alignment, reason = "a page starts at a multiple of every alignment")]
    fn counter(&self, index: usize) -> &AtomicU64 {
        // SAFETY: the page is mapped as long as `self` lives, its start is aligned to a page, `index` is 0, 1 or 2,
        // and both processes reach these 24 bytes through atomic operations only.
        unsafe { AtomicU64::from_ptr(self.page.as_mut_ptr().cast::<u64>().add(index)) }
    }

    /// An environment was reset, or all were stepped: `env_steps` steps of environments.
    pub fn add(&self, env_steps: usize) {
        self.counter(0).fetch_add(1, Ordering::Relaxed);
        self.counter(1).fetch_add(env_steps as u64, Ordering::Relaxed);
    }

    /// Signs of life since the memory was made.
    pub fn count(&self) -> u64 {
        self.counter(0).load(Ordering::Relaxed)
    }

    /// Says that the answer to request `number` is no longer wanted; 0 takes that back.
    pub fn cancel(&self, number: u64) {
        self.counter(2).store(number, Ordering::Relaxed);
    }

    /// The worker answers request `number` from now on.
    pub fn answer(&self, number: u64) {
        self.answering.store(number, Ordering::Relaxed);
    }

    /// Whether the answer that the worker works at is no longer wanted.
    pub fn is_cancelled(&self) -> bool {
        let answering = self.answering.load(Ordering::Relaxed);
        answering != 0 && self.counter(2).load(Ordering::Relaxed) == answering
    }

    /// Steps of environments since the memory was made.
    pub fn env_steps(&self) -> u64 {
        self.counter(1).load(Ordering::Relaxed)
    }
}

/// Makes the file that long, and has the system set the memory aside now.
fn claim(file: &File, capacity: usize) -> io::Result<()> {
    let len = (HEADER + capacity) as u64;
    if cfg!(target_os = "linux") {
        check_available(len.saturating_sub(file.metadata()?.len()))?;
    }
    file.set_len(len)?;
    match fallocate(file, FallocateFlags::empty(), 0, len) {
        // File systems that cannot claim: the memory is claimed as it is written to.
        Ok(()) | Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::NOSYS) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// A container whose memory ends kills processes instead of refusing memory: better not to ask for more than there is.
fn check_available(bytes: u64) -> io::Result<()> {
    match crate::death::memory_available() {
        Some(available) if bytes > available => {
            Err(io::Error::other(format!("{available} bytes of memory are available")))
        }
        _ => Ok(()),
    }
}

fn nameless_file() -> io::Result<File> {
    if let Some(directory) = std::env::var_os(DIRECTORY) {
        return tempfile::tempfile_in(directory);
    }
    #[cfg(any(target_os = "linux", target_os = "android"))]
    {
        let made = rustix::fs::memfd_create("skirl", rustix::fs::MemfdFlags::CLOEXEC);
        // Sandboxes may refuse it: the file is the fallback there, too.
        if let Ok(file) = made {
            return Ok(file.into());
        }
    }
    tempfile::tempfile()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_one_writes_the_other_reads_also_after_growth() {
        let mut here = SharedMemory::create(64).unwrap();
        let mut there = SharedMemory::map(here.file().try_clone().unwrap(), 64).unwrap();
        here.slice_mut::<f32>(0, 16).unwrap().fill(1.5);
        assert_eq!(there.slice::<f32>(60, 1).unwrap(), [1.5]);
        here.grow(1 << 20).unwrap();
        there.follow(1 << 20).unwrap();
        there.slice_mut::<u64>((1 << 20) - 8, 1).unwrap()[0] = 7;
        assert_eq!(here.slice::<u64>((1 << 20) - 8, 1).unwrap(), [7]);
        assert_eq!(here.slice::<f32>(0, 1).unwrap(), [1.5]);
        let (mine, theirs) = (Progress::of(here.file()).unwrap(), Progress::of(there.file()).unwrap());
        theirs.add(4);
        assert_eq!((mine.count(), mine.env_steps()), (1, 4));
        assert_eq!(here.slice::<f32>(0, 1).unwrap(), [1.5]);
    }

    #[test]
    fn slices_outside_the_memory_or_not_aligned_are_refused() {
        let memory = SharedMemory::create(64).unwrap();
        assert!(memory.slice::<u64>(64, 1).is_none());
        assert!(memory.slice::<u64>(4, 1).is_none());
        assert!(memory.slice::<u8>(0, usize::MAX).is_none());
        assert!(memory.slice::<f32>(usize::MAX - 3, 1).is_none());
        assert!(memory.slice::<u8>(64, 0).is_some());
    }

    #[test]
    fn more_memory_than_there_is_is_refused_at_once() {
        let error = SharedMemory::create(1 << 46).unwrap_err().to_string();
        assert!(
            error.contains("70368744177664 bytes") && error.contains("rollout_fragment_length"),
            "{error}"
        );
    }

    #[test]
    fn only_the_request_under_way_is_cancelled() {
        let memory = SharedMemory::create(64).unwrap();
        let (here, there) = (Progress::of(memory.file()).unwrap(), Progress::of(memory.file()).unwrap());
        assert!(!there.is_cancelled(), "nothing is under way");
        there.answer(3);
        assert!(!there.is_cancelled());
        here.cancel(3);
        assert!(there.is_cancelled() && !here.is_cancelled());
        there.answer(4);
        assert!(!there.is_cancelled(), "the next request is another one");
        there.add(2);
        assert_eq!((here.count(), here.env_steps()), (1, 2));
    }

    #[cfg(unix)]
    #[test]
    fn only_the_owner_may_look() {
        use std::os::unix::fs::MetadataExt;
        let memory = SharedMemory::create(64).unwrap();
        assert_eq!(memory.file().metadata().unwrap().mode() & 0o777, 0o600);
    }
}
