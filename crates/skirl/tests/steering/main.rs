//! Steering a run: curricula, evaluation beside training and by own functions, actions on request, shared state.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::float_cmp)]

#[path = "../runs/mod.rs"]
mod runs;

mod acting;
mod curriculum;
mod evaluation;
mod modules;
mod seams;
mod shared_state;
mod stairs;

use serde_json::{Value, json};

/// `sections` on this many threads.
fn on_threads(sections: &Value, num_threads: usize) -> Value {
    let mut sections = sections.clone();
    sections["resources"] = json!({ "num_threads": num_threads });
    sections
}
