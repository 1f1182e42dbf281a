//! Workers on cores of their own.
//!
//! All workers of a run are woken at the same moment, and the kernel likes to wake a process on the core of whoever wakes it: two
//! workers then share one core for milliseconds, which is a good part of a short rollout. So each worker moves to a core of its own
//! when a rollout begins, and may be moved from there at once: it is a start, not a bond.

/// Where one worker goes.
#[derive(Debug)]
pub struct Spread {
    #[cfg(target_os = "linux")]
    places: Option<(rustix::thread::CpuSet, rustix::thread::CpuSet, usize)>,
}

#[cfg(target_os = "linux")]
impl Spread {
    /// For worker `runner` (from 1) of `num_runners`. With more workers than cores nobody moves.
    pub fn new(runner: usize, num_runners: usize) -> Self {
        use rustix::thread::{CpuSet, sched_getaffinity};
        let places = || {
            let all = sched_getaffinity(None).ok()?;
            let cores: Vec<usize> = (0..CpuSet::MAX_CPU).filter(|&core| all.is_set(core)).collect();
            if num_runners > cores.len() || num_runners < 2 {
                return None;
            }
            // Several runs on one machine do not all begin with the same core.
            let parent = std::os::unix::process::parent_id() as usize;
            let core = cores[(parent + runner) % cores.len()];
            let mut own = CpuSet::new();
            own.set(core);
            Some((all, own, core))
        };
        Self { places: places() }
    }

    /// Goes there, unless it is there.
    pub fn go(&self) {
        use rustix::thread::{sched_getcpu, sched_setaffinity};
        let Some((all, own, core)) = &self.places else { return };
        if sched_getcpu() != *core && sched_setaffinity(None, own).is_ok() {
            let _ = sched_setaffinity(None, all);
        }
    }
}

#[cfg(not(target_os = "linux"))]
impl Spread {
    /// Nobody moves.
    pub fn new(_runner: usize, _num_runners: usize) -> Self {
        Self {}
    }

    /// Stays.
    pub fn go(&self) {}
}
