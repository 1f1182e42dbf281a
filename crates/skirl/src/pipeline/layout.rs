//! Which slots a pipeline has: one cell per name, with its type and initial value.

use super::context::Entry;
use super::problem::PipelineProblem;
use super::slot::{Life, SlotInfo};
use super::stage::Stage;

/// The slots of a pipeline, in the order in which its stages first name them.
#[derive(Default)]
pub(super) struct Layout {
    pub(super) entries: Vec<Entry>,
    /// Beside `entries`: who named the slot first.
    owners: Vec<String>,
    /// Beside `entries`: the stage that gave the initial value.
    initials: Vec<Option<String>>,
    /// Beside `entries`: promised by the caller.
    pub(super) provided: Vec<bool>,
}

impl Layout {
    /// Finds the slot's place, adding it at its first mention.
    fn place(&mut self, owner: &str, entry: Entry, problems: &mut Vec<PipelineProblem>) -> usize {
        if let Some(index) = self.position(entry.info.name) {
            self.compare(index, owner, entry.info, problems);
            return index;
        }
        self.entries.push(entry);
        self.owners.push(owner.to_owned());
        self.initials.push(None);
        self.provided.push(false);
        self.entries.len() - 1
    }

    pub(super) fn position(&self, name: &str) -> Option<usize> {
        self.entries.iter().position(|entry| entry.info.name == name)
    }

    /// Reports a clash if a second slot of this name is of another kind.
    pub(super) fn compare(
        &self,
        index: usize,
        owner: &str,
        info: SlotInfo,
        problems: &mut Vec<PipelineProblem>,
    ) {
        let first = self.entries[index].info;
        if first != info {
            problems.push(PipelineProblem::Clash {
                slot: first.name,
                first: format!("{} in `{}`", first.describe(), self.owners[index]),
                second: format!("{} in `{owner}`", info.describe()),
            });
        }
    }

    /// Adds a stage's slots, and tells its accesses where they lie.
    pub(super) fn add_stage(&mut self, stage: &mut Stage, problems: &mut Vec<PipelineProblem>) {
        let declaration = &mut stage.declaration;
        for access in declaration.forward.iter_mut().chain(&mut declaration.backward) {
            if let Some(empty) = access.empty.take() {
                access.index = self.place(&stage.name, empty, problems);
            }
        }
        for initial in std::mem::take(&mut declaration.initials) {
            self.add_initial(&stage.name, initial, problems);
        }
    }

    fn add_initial(&mut self, stage: &str, initial: Entry, problems: &mut Vec<PipelineProblem>) {
        let (info, stage_name) = (initial.info, stage.to_owned());
        if info.life == Life::Iteration {
            problems.push(PipelineProblem::InitialNotKept { stage: stage_name, slot: info.name });
            return;
        }
        let Some(index) = self.position(info.name) else {
            let index = self.place(stage, initial, problems);
            self.initials[index] = Some(stage_name);
            return;
        };
        self.compare(index, stage, info, problems);
        if let Some(first) = self.initials[index].replace(stage_name.clone()) {
            problems.push(PipelineProblem::TwoInitials { slot: info.name, first, second: stage_name });
        }
        self.entries[index] = initial;
    }

    /// Marks a slot as coming from the caller.
    pub(super) fn provide(&mut self, entry: Entry, problems: &mut Vec<PipelineProblem>) {
        let index = self.place("provides", entry, problems);
        self.provided[index] = true;
    }

    /// The slot has a value before the first stage of every iteration.
    pub(super) fn has_from_outside(&self, index: usize) -> bool {
        self.provided[index] || self.initials[index].is_some()
    }
}
