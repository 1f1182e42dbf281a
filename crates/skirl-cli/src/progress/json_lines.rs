//! One JSON object per line and result.

use serde_json::json;
use skirl::report::TrainResult;

use super::Progress;
use crate::output;

#[derive(Debug)]
pub(crate) struct JsonLines;

impl Progress for JsonLines {
    fn result(&mut self, result: &TrainResult) {
        output::line(&json!({ "event": "result", "result": result.as_map() }).to_string());
    }

    fn finish(&mut self) {}
}
