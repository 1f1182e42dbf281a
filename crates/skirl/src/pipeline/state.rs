//! A task's state for checkpoints: the iteration counter, the kept slots, each middleware's own state.

use serde_json::{Map, Value};

use super::context::Entry;
use super::error::PipelineError;
use super::task::Task;

impl Task {
    /// Everything that a new task of the same pipeline needs to go on, as JSON:
    /// `{"iterations": n, "slots": {name: value}, "empty_slots": [name], "stages": {name: state}}`. Stages without state are
    /// left out.
    pub fn save_state(&self) -> Result<Value, PipelineError> {
        let mut slots = Map::new();
        let mut empty = Vec::new();
        for entry in self.saved_entries() {
            match entry.cell.save() {
                Some(value) => {
                    let value = value.map_err(|e| bad_slot(entry.info.name, e))?;
                    slots.insert(entry.info.name.to_owned(), value);
                }
                None => empty.push(Value::from(entry.info.name)),
            }
        }
        let mut stages = Map::new();
        for stage in &self.pipeline.stages {
            let state = stage.middleware.save_state()?;
            if !state.is_null() {
                stages.insert(stage.name.clone(), state);
            }
        }
        let iterations = Value::from(self.iterations);
        Ok(Value::Object(Map::from_iter([
            ("iterations".to_owned(), iterations),
            ("slots".to_owned(), Value::Object(slots)),
            ("empty_slots".to_owned(), Value::Array(empty)),
            ("stages".to_owned(), Value::Object(stages)),
        ])))
    }

    /// Takes back what [`save_state`](Self::save_state) gave. Names are compared first: a state of another pipeline
    /// changes nothing. If a middleware refuses its state, the task must not be used further.
    pub fn restore_state(&mut self, state: &Value) -> Result<(), PipelineError> {
        let iterations = state.get("iterations").and_then(Value::as_u64);
        let iterations = iterations.ok_or_else(|| bad("`iterations` must be a whole number ≥ 0"))?;
        let slots = section(state, "slots")?;
        let stages = section(state, "stages")?;
        let empty = state
            .get("empty_slots")
            .and_then(Value::as_array)
            .ok_or_else(|| bad("`empty_slots` must be a list"))?;
        self.compare_slots(slots, empty)?;
        self.compare_stages(stages)?;
        for entry in self.context.entries.iter_mut().filter(|entry| entry.info.saved) {
            match slots.get(entry.info.name) {
                Some(value) => entry.cell.load(value).map_err(|e| bad_slot(entry.info.name, e))?,
                None => entry.cell.clear(),
            }
        }
        for stage in &mut self.pipeline.stages {
            stage.middleware.restore_state(stages.get(&stage.name).unwrap_or(&Value::Null))?;
        }
        self.iterations = iterations;
        Ok(())
    }

    fn saved_entries(&self) -> impl Iterator<Item = &Entry> {
        self.context.entries.iter().filter(|entry| entry.info.saved)
    }

    fn compare_slots(&self, slots: &Map<String, Value>, empty: &[Value]) -> Result<(), PipelineError> {
        if let Some(name) = slots.keys().find(|&name| self.saved_entries().all(|e| e.info.name != name)) {
            return Err(bad(format!("it holds slot `{name}`, which this pipeline does not keep")));
        }
        let held = |name: &str| slots.contains_key(name) || empty.iter().any(|e| e.as_str() == Some(name));
        match self.saved_entries().find(|entry| !held(entry.info.name)) {
            Some(entry) => {
                Err(bad(format!("it holds nothing of slot `{}`, which this pipeline keeps", entry.info.name)))
            }
            None => Ok(()),
        }
    }

    fn compare_stages(&self, stages: &Map<String, Value>) -> Result<(), PipelineError> {
        if let Some(name) = stages.keys().find(|&name| self.pipeline.stage_names().all(|own| own != name)) {
            let own = self.pipeline.stage_names().collect::<Vec<_>>().join(", ");
            return Err(bad(format!("it holds a state of stage `{name}`, but the stages here are: {own}")));
        }
        for stage in &self.pipeline.stages {
            if !stages.contains_key(&stage.name) && !stage.middleware.save_state()?.is_null() {
                return Err(bad(format!("it holds no state of stage `{}`, which has one", stage.name)));
            }
        }
        Ok(())
    }
}

fn section<'a>(state: &'a Value, name: &str) -> Result<&'a Map<String, Value>, PipelineError> {
    state.get(name).and_then(Value::as_object).ok_or_else(|| bad(format!("`{name}` must be an object")))
}

fn bad(what: impl Into<String>) -> PipelineError {
    PipelineError::State(what.into())
}

fn bad_slot(slot: &str, error: impl std::fmt::Display) -> PipelineError {
    bad(format!("slot `{slot}`: {error}"))
}
