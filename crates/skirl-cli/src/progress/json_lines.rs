//! One JSON object per line and result.

use serde_json::json;
use skirl::report::TrainResult;

use super::Progress;
use crate::output::Output;

#[derive(Debug)]
pub(crate) struct JsonLines {
    output: Output,
}

impl JsonLines {
    pub(crate) fn new() -> Self {
        Self { output: Output::for_process() }
    }
}

impl Progress for JsonLines {
    fn result(&mut self, result: &TrainResult) {
        self.output.line(&json!({ "event": "result", "result": result.as_map() }).to_string());
    }

    fn finish(&mut self) {}
}
