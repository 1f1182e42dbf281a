//! The `publish` stage: the learners' weights go to the board.

use super::WeightBoard;
use crate::contract::slots::{NEW_WEIGHTS, WEIGHTS_VERSION};
use crate::pipeline::{Declaration, Flow, Middleware, PipelineError, View};

/// Gives the new weights the next version and hangs them out.
#[derive(Debug)]
pub struct Publish {
    board: WeightBoard,
}

impl Publish {
    /// Publishes on `board`.
    pub fn new(board: WeightBoard) -> Self {
        Self { board }
    }
}

impl Middleware for Publish {
    fn name(&self) -> &'static str {
        "publish"
    }

    fn declare(&self, slots: &mut Declaration) {
        slots.takes(NEW_WEIGHTS).updates(WEIGHTS_VERSION).initial(WEIGHTS_VERSION, 0);
    }

    fn forward(&mut self, view: &mut View<'_>) -> Result<Flow, PipelineError> {
        let mut weights = view.take(NEW_WEIGHTS)?;
        let version = view.get_mut(WEIGHTS_VERSION)?;
        *version += 1;
        weights.version = *version;
        self.board.publish(weights);
        Ok(Flow::Continue)
    }
}
