//! The check of a pipeline: a walk over its halves in the order in which they will run, as a compiler checks that
//! variables are assigned before they are used.

use super::declaration::{Access, AccessKind};
use super::layout::Layout;
use super::middleware::Half;
use super::problem::PipelineProblem;
use super::slot::Life;
use super::stage::{OnError, Stage};
use super::writers::KnownWriters;

/// A half of a stage, in running order.
type Place = (usize, Half);

/// What is known of a slot's value at one point of the walk.
#[derive(Clone, Copy)]
enum State {
    Empty,
    TakenBy(usize),
    /// There in some iterations; which stage makes it uncertain.
    Maybe(Option<usize>),
    Full {
        writer: Option<usize>,
        read: bool,
    },
}

pub(super) struct Check<'a> {
    pub(super) stages: &'a [Stage],
    pub(super) layout: &'a Layout,
    pub(super) writers: &'a KnownWriters,
    pub(super) problems: &'a mut Vec<PipelineProblem>,
}

impl Check<'_> {
    pub(super) fn run(&mut self) {
        self.stage_names();
        self.repeated_declarations();
        self.retries();
        self.walk();
    }

    fn stage_names(&mut self) {
        if self.stages.is_empty() {
            self.problems.push(PipelineProblem::NoStages);
        }
        for (i, stage) in self.stages.iter().enumerate() {
            if self.stages[..i].iter().any(|earlier| earlier.name == stage.name) {
                self.problems.push(PipelineProblem::DuplicateStage { name: stage.name.clone() });
            }
        }
    }

    fn repeated_declarations(&mut self) {
        for (i, half) in halves(self.stages.len()) {
            let accesses = self.stages[i].declaration.half(half);
            for (j, second) in accesses.iter().enumerate() {
                let Some(first) = accesses[..j].iter().find(|a| a.info.name == second.info.name) else {
                    continue;
                };
                self.problems.push(PipelineProblem::DeclaredTwice {
                    stage: self.stages[i].name.clone(),
                    half,
                    slot: second.info.name,
                    first: first.kind.method(),
                    second: second.kind.method(),
                });
            }
        }
    }

    fn retries(&mut self) {
        for stage in self.stages.iter().filter(|stage| matches!(stage.policy, OnError::Retry(_))) {
            for access in stage.accesses() {
                let (stage, slot) = (stage.name.clone(), access.info.name);
                if access.kind.consumes() {
                    self.problems.push(PipelineProblem::RetriesTaken { stage, slot });
                } else if access.kind == AccessKind::Updates {
                    self.problems.push(PipelineProblem::RetriesUpdate { stage, slot });
                }
            }
        }
    }

    fn walk(&mut self) {
        let mut states: Vec<State> = (0..self.layout.entries.len()).map(|i| self.at_start(i)).collect();
        for (i, half) in halves(self.stages.len()) {
            let stages = self.stages;
            let accesses = stages[i].declaration.half(half);
            // Reads before writes: a half that reads one slot and writes another sees the state before it ran.
            for access in accesses.iter().filter(|access| access.kind.sees_earlier()) {
                self.read((i, half), access, &mut states[access.index]);
            }
            for access in accesses.iter().filter(|access| access.kind.puts()) {
                self.write(i, access, &mut states[access.index]);
            }
        }
    }

    fn at_start(&self, slot: usize) -> State {
        let kept = self.layout.entries[slot].info.life == Life::Kept;
        if self.layout.has_from_outside(slot) {
            // A kept value may be taken without being put back: gone from the second iteration on.
            return match self.taken_for_good(slot) {
                Some(taker) if kept => State::Maybe(Some(taker)),
                _ => State::Full { writer: None, read: true },
            };
        }
        if kept && self.puts(slot).next().is_some() { State::Maybe(None) } else { State::Empty }
    }

    /// The stage that takes the slot, if no half puts it again after that.
    fn taken_for_good(&self, slot: usize) -> Option<usize> {
        let mut taker = None;
        for (i, half) in halves(self.stages.len()) {
            for access in self.stages[i].declaration.half(half).iter().filter(|a| a.index == slot) {
                if access.kind.consumes() {
                    taker = Some(i);
                } else if self.certain(i, access) {
                    taker = None;
                }
            }
        }
        taker
    }

    fn certain(&self, stage: usize, access: &Access) -> bool {
        access.kind == AccessKind::Writes && self.stages[stage].policy != OnError::Skip
    }

    /// The halves that fill a slot without needing its value.
    fn puts(&self, slot: usize) -> impl Iterator<Item = Place> + '_ {
        halves(self.stages.len()).filter(move |&(i, half)| {
            let accesses = self.stages[i].declaration.half(half);
            accesses.iter().any(|access| access.index == slot && access.kind.only_writes())
        })
    }

    fn read(&mut self, place: Place, access: &Access, state: &mut State) {
        if access.kind.needs_value() {
            self.require(place, access, *state);
        }
        *state = match *state {
            _ if access.kind.consumes() => State::TakenBy(place.0),
            State::Full { writer, .. } => State::Full { writer, read: true },
            other => other,
        };
    }

    fn require(&mut self, place: Place, access: &Access, state: State) {
        let reader = self.stages[place.0].name.clone();
        let slot = access.info.name;
        let problem = match state {
            State::Full { .. } => return,
            State::TakenBy(taker) => {
                PipelineProblem::Taken { reader, slot, taker: self.stages[taker].name.clone() }
            }
            State::Maybe(None) => PipelineProblem::NoInitial { reader, slot },
            State::Maybe(Some(writer)) => {
                PipelineProblem::MaybeEmpty { reader, slot, why: self.uncertainty(writer, access.index) }
            }
            State::Empty => self.absent(place, access),
        };
        self.problems.push(problem);
    }

    fn uncertainty(&self, stage: usize, slot: usize) -> String {
        let Stage { name, policy, .. } = &self.stages[stage];
        let takes = self.stages[stage].accesses().any(|a| a.index == slot && a.kind.consumes());
        match policy {
            _ if takes => format!("`{name}` takes it and nothing puts it again"),
            OnError::Skip => format!("`{name}`, which writes it, is skipped on errors"),
            _ => format!("`{name}` may leave it empty"),
        }
    }

    /// Empty: is the writer later in the list, only in a backward half, or nowhere?
    fn absent(&self, place: Place, access: &Access) -> PipelineProblem {
        let (reader_stage, reader_half) = place;
        let reader = self.stages[reader_stage].name.clone();
        let slot = access.info.name;
        match self.puts(access.index).find(|&later| later != place) {
            Some((writer, half)) if half == Half::Forward && writer != reader_stage => {
                PipelineProblem::Misplaced { reader, slot, writer: self.stages[writer].name.clone() }
            }
            Some((writer, writer_half)) => PipelineProblem::TooLate {
                reader,
                reader_half,
                slot,
                writer: self.stages[writer].name.clone(),
                writer_half,
            },
            None if access.info.life == Life::Kept => PipelineProblem::NoInitial { reader, slot },
            None => PipelineProblem::Missing { fix: self.writers.advice(slot, &reader), reader, slot },
        }
    }

    fn write(&mut self, stage: usize, access: &Access, state: &mut State) {
        if access.kind == AccessKind::Updates {
            // The task holds an update to leaving a value.
            *state = State::Full { writer: Some(stage), read: true };
            return;
        }
        let certain = self.certain(stage, access);
        match *state {
            State::Full { writer: Some(first), read: false } if certain => {
                self.overwritten(first, stage, access);
            }
            _ => {}
        }
        *state = match *state {
            _ if certain => State::Full { writer: Some(stage), read: false },
            // A value may already be there, so an uncertain write takes nothing away.
            State::Full { writer, .. } => State::Full { writer, read: true },
            _ => State::Maybe(Some(stage)),
        };
    }

    fn overwritten(&mut self, first: usize, second: usize, access: &Access) {
        self.problems.push(PipelineProblem::Overwritten {
            slot: access.info.name,
            first: self.stages[first].name.clone(),
            second: self.stages[second].name.clone(),
        });
    }
}

/// The halves in the order in which they run.
fn halves(num_stages: usize) -> impl Iterator<Item = Place> {
    let forward = (0..num_stages).map(|i| (i, Half::Forward));
    forward.chain((0..num_stages).rev().map(|i| (i, Half::Backward)))
}
