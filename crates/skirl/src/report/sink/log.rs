//! All sinks of a run: what a full disk refuses now is written later, in order.

use std::collections::VecDeque;

use super::Sink;
use crate::report::{ReportError, TrainResult};

/// Most results that wait for a disk. After that the oldest are given up: memory is not endless either.
const MAX_WAITING: usize = 10_000;

/// One sink, and the results that it has not taken yet.
#[derive(Debug)]
struct Branch {
    sink: Box<dyn Sink>,
    waiting: VecDeque<TrainResult>,
}

/// The result files of a run.
///
/// A sink that fails keeps its results waiting: they are written, in order, before the next one. So a disk that is full for
/// a while leaves neither a gap nor half a line.
#[derive(Debug)]
pub(crate) struct Log {
    branches: Vec<Branch>,
    /// What was said last: the same trouble is told once.
    is_failing: bool,
    /// Results that were given up.
    num_lost: u64,
}

impl Log {
    pub(crate) fn new(sinks: Vec<Box<dyn Sink>>) -> Self {
        let branch = |sink| Branch { sink, waiting: VecDeque::new() };
        Self { branches: sinks.into_iter().map(branch).collect(), is_failing: false, num_lost: 0 }
    }

    /// Writes a result everywhere. What the user should be told: that writing began to fail, or that it works again.
    pub(crate) fn write(&mut self, result: &TrainResult) -> Option<String> {
        let mut error = None;
        for branch in &mut self.branches {
            branch.waiting.push_back(result.clone());
            if branch.waiting.len() > MAX_WAITING {
                branch.waiting.pop_front();
                self.num_lost += 1;
            }
            error = error.or(branch.write_waiting().err());
        }
        self.tell(error)
    }

    fn tell(&mut self, error: Option<ReportError>) -> Option<String> {
        let was_failing = std::mem::replace(&mut self.is_failing, error.is_some());
        match error {
            Some(error) if !was_failing => Some(format!(
                "{error}. Training goes on; results wait in memory and are written as soon as that is possible"
            )),
            None if was_failing => Some(format!(
                "results can be written again; {} missing",
                if self.num_lost == 0 { "none is".to_owned() } else { format!("{} are", self.num_lost) }
            )),
            _ => None,
        }
    }

    /// Writes what waits and forces everything to the disk.
    pub(crate) fn flush(&mut self) -> Result<(), ReportError> {
        let mut first = Ok(());
        for branch in &mut self.branches {
            let flushed = branch.write_waiting().and_then(|()| branch.sink.flush());
            first = first.and(flushed);
        }
        first
    }
}

impl Branch {
    fn write_waiting(&mut self) -> Result<(), ReportError> {
        while let Some(result) = self.waiting.front() {
            self.sink.write(result)?;
            self.waiting.pop_front();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    /// Takes results while it may; the iterations taken are in `taken`.
    #[derive(Debug)]
    struct Full {
        taken: Arc<Mutex<Vec<u64>>>,
        room: Arc<Mutex<usize>>,
    }

    impl Sink for Full {
        fn write(&mut self, result: &TrainResult) -> Result<(), ReportError> {
            let mut room = self.room.lock().unwrap();
            let full = std::io::Error::from(std::io::ErrorKind::StorageFull);
            *room = room.checked_sub(1).ok_or(full).map_err(ReportError::io("write", "log".as_ref()))?;
            self.taken.lock().unwrap().push(result.get_count("training_iteration").unwrap());
            Ok(())
        }

        fn flush(&mut self) -> Result<(), ReportError> {
            Ok(())
        }
    }

    #[test]
    fn a_disk_full_for_a_while_leaves_no_gap() {
        let (taken, room) = (Arc::default(), Arc::new(Mutex::new(2)));
        let sink = Full { taken: Arc::clone(&taken), room: Arc::clone(&room) };
        let mut log = Log::new(vec![Box::new(sink)]);
        let mut said = Vec::new();
        for iteration in 1..=8_u64 {
            if iteration == 6 {
                *room.lock().unwrap() = 100;
            }
            let mut result = TrainResult::new();
            result.set("training_iteration", iteration);
            said.extend(log.write(&result).map(|text| (iteration, text)));
            assert_eq!(log.flush().is_err(), (3..6).contains(&iteration));
        }
        assert_eq!(*taken.lock().unwrap(), [1, 2, 3, 4, 5, 6, 7, 8]);
        let when: Vec<u64> = said.iter().map(|(iteration, _)| *iteration).collect();
        assert_eq!(when, [3, 6], "{said:?}");
        assert!(said[0].1.contains("Free some space") && said[1].1.contains("none is missing"), "{said:?}");
    }
}
