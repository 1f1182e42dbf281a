//! Threads that wake up together, on cores of their own.
//!
//! The kernel likes to wake a thread on the core on which it ran last, or on that of whoever wakes it. Threads that sleep
//! between two updates then share one core for milliseconds, which is a whole update of a small network. So whoever begins an
//! update tells the others where to wake up; as soon as they have worked once, they may be moved as ever.

#[cfg(target_os = "linux")]
pub(super) use linux::Spread;

#[cfg(target_os = "linux")]
mod linux {
    use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

    use rustix::thread::{CpuSet, Pid, gettid, sched_getaffinity, sched_getcpu, sched_setaffinity};

    /// The threads of a pool.
    #[derive(Debug, Clone, Default)]
    pub(in super::super) struct Spread(Arc<Mutex<Threads>>);

    #[derive(Debug, Default)]
    struct Threads {
        ids: Vec<Pid>,
        /// Where all may run, while they are told to wake up in one place.
        anywhere: Option<CpuSet>,
    }

    impl Spread {
        /// The calling thread is one of them.
        pub(in super::super) fn join(&self) {
            self.threads().ids.push(gettid());
        }

        /// Tells the others to wake up on other cores than this thread's, each on its own. With more threads than cores they
        /// wake up anywhere.
        pub(in super::super) fn tell_others(&self) {
            let mut threads = self.threads();
            let (here, me) = (sched_getcpu(), gettid());
            let Some(anywhere) = sched_getaffinity(None).ok().filter(|_| threads.anywhere.is_none()) else {
                return;
            };
            let mut free = (0..CpuSet::MAX_CPU).filter(|&core| anywhere.is_set(core) && core != here);
            if free.clone().count() + 1 < threads.ids.len() {
                return;
            }
            for (&thread, core) in threads.ids.iter().filter(|&&thread| thread != me).zip(&mut free) {
                let mut own = CpuSet::new();
                own.set(core);
                // Where this is not allowed, threads wake up where they may.
                let _ = sched_setaffinity(Some(thread), &own);
            }
            threads.anywhere = Some(anywhere);
        }

        /// From now on all run anywhere.
        pub(in super::super) fn let_go(&self) {
            let mut threads = self.threads();
            let Some(anywhere) = threads.anywhere.take() else { return };
            for &thread in &threads.ids {
                let _ = sched_setaffinity(Some(thread), &anywhere);
            }
        }

        fn threads(&self) -> MutexGuard<'_, Threads> {
            self.0.lock().unwrap_or_else(PoisonError::into_inner)
        }
    }

    #[cfg(test)]
    mod tests {
        #![allow(clippy::unwrap_used)]
        use std::sync::mpsc::channel;

        use super::*;

        #[test]
        fn others_are_told_cores_of_their_own_and_let_go() {
            let spread = Spread::default();
            let before = sched_getaffinity(None).unwrap();
            let cores = (0..CpuSet::MAX_CPU).filter(|&core| before.is_set(core)).count();
            let ids = channel();
            let (mut threads, mut ends) = (Vec::new(), Vec::new());
            for _ in 1..cores {
                let (spread, id) = (spread.clone(), ids.0.clone());
                let (end, until) = channel::<()>();
                ends.push(end);
                threads.push(std::thread::spawn(move || {
                    spread.join();
                    id.send(gettid()).unwrap();
                    let _ = until.recv();
                }));
            }
            let ids: Vec<Pid> = ids.1.iter().take(cores - 1).collect();
            spread.join();
            spread.tell_others();
            let told: Vec<CpuSet> = ids.iter().map(|&id| sched_getaffinity(Some(id)).unwrap()).collect();
            assert!(told.iter().all(|cores| cores.count() == 1));
            let mut all = CpuSet::new();
            let is_told = |core: &usize| told.iter().any(|cores| cores.is_set(*core));
            (0..CpuSet::MAX_CPU).filter(is_told).for_each(|core| all.set(core));
            assert_eq!(all.count() as usize, cores - 1);
            assert_eq!(sched_getaffinity(None).unwrap(), before, "the teller stays free");
            spread.tell_others();
            spread.let_go();
            assert!(ids.iter().all(|&id| sched_getaffinity(Some(id)).unwrap() == before));
            drop(ends);
            threads.into_iter().for_each(|thread| thread.join().unwrap());
        }
    }
}

/// Elsewhere threads wake up where the system likes.
#[cfg(not(target_os = "linux"))]
#[derive(Debug, Clone, Default)]
pub(super) struct Spread;

#[cfg(not(target_os = "linux"))]
impl Spread {
    pub(super) fn join(&self) {}
    pub(super) fn tell_others(&self) {}
    pub(super) fn let_go(&self) {}
}
