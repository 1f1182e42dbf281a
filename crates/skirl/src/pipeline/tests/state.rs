//! Saved state: 2N iterations equal N, a restore into a new task, and N.

use serde_json::{Value, json};

use super::super::{Declaration, Flow, Middleware, Pipeline, PipelineError, Slot, Task, View};
use super::toys::{ENV_STEPS, collect, declares, gae, task};

const TRACE: Slot<Vec<u64>> = Slot::kept("trace");
const HANDLE: Slot<u64> = Slot::kept_unsaved("handle");

/// A generator whose state is its own, not the context's.
struct Draw(u64);

impl Middleware for Draw {
    fn name(&self) -> &'static str {
        "draw"
    }

    fn declare(&self, slots: &mut Declaration) {
        slots.reads(ENV_STEPS).updates(TRACE).initial(TRACE, vec![]);
        slots.may_write(HANDLE);
    }

    fn forward(&mut self, view: &mut View<'_>) -> Result<Flow, PipelineError> {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(*view.get(ENV_STEPS)?);
        view.get_mut(TRACE)?.push(self.0);
        view.put(HANDLE, self.0)?;
        Ok(Flow::Continue)
    }

    fn save_state(&self) -> Result<Value, PipelineError> {
        Ok(json!({ "state": self.0 }))
    }

    fn restore_state(&mut self, state: &Value) -> Result<(), PipelineError> {
        let state = state["state"].as_u64();
        self.0 = state.ok_or_else(|| PipelineError::State("draw: `state` is missing".into()))?;
        Ok(())
    }
}

fn new_task() -> Task {
    task(Pipeline::builder().with(collect()).with(gae()).with(Draw(1)).build())
}

#[test]
fn a_resumed_task_equals_an_uninterrupted_one() {
    let mut straight = new_task();
    straight.run(6).unwrap();

    let mut first = new_task();
    first.run(3).unwrap();
    let text = first.save_state().unwrap().to_string();
    let mut second = new_task();
    second.restore_state(&serde_json::from_str(&text).unwrap()).unwrap();
    assert_eq!(second.run(3).unwrap().iterations, 3);

    assert_eq!(second.save_state().unwrap(), straight.save_state().unwrap());
    assert_eq!(second.context().get(TRACE).unwrap().len(), 6);
    assert_eq!(second.iterations(), 6);
}

#[test]
fn the_state_is_plain_json() {
    let mut task = new_task();
    task.run(1).unwrap();
    let drawn = 6364136223846793008u64;
    let expected = json!({
        "iterations": 1,
        "slots": { "env_steps": 3, "trace": [drawn] },
        "empty_slots": [],
        "stages": { "draw": { "state": drawn } },
    });
    assert_eq!(task.save_state().unwrap(), expected, "neither iteration slots nor unsaved ones");
}

#[test]
fn an_empty_kept_slot_is_empty_again() {
    let pipeline = || {
        declares("taker", |slots| {
            slots.takes_optional(ENV_STEPS).initial(ENV_STEPS, 7);
        })
    };
    let mut first = task(Pipeline::builder().with(pipeline()).build());
    first.run(1).unwrap();
    let mut second = task(Pipeline::builder().with(pipeline()).build());
    second.restore_state(&first.save_state().unwrap()).unwrap();
    assert_eq!(second.context().get(ENV_STEPS), None, "not the initial value");
}

#[test]
fn a_state_of_another_pipeline_changes_nothing() {
    let mut task = new_task();
    task.run(2).unwrap();
    let good = task.save_state().unwrap();
    let spoil = |change: fn(&mut Value)| {
        let mut state = good.clone();
        change(&mut state);
        state
    };
    let cases = [
        (spoil(|s| s["iterations"] = json!(-1)), "`iterations` must be"),
        (spoil(|s| s["slots"] = json!([])), "`slots` must be an object"),
        (spoil(|s| s["slots"]["weights"] = json!(1)), "slot `weights`, which this pipeline does not keep"),
        (spoil(|s| s["slots"] = json!({ "trace": [] })), "nothing of slot `env_steps`"),
        (
            spoil(|s| s["stages"]["sac_update"] = json!(1)),
            "stage `sac_update`, but the stages here are: collect, gae, draw",
        ),
        (spoil(|s| s["stages"] = json!({})), "no state of stage `draw`, which has one"),
    ];
    for (state, expected) in cases {
        let message = task.restore_state(&state).unwrap_err().to_string();
        assert!(message.contains(expected), "{message}");
        assert_eq!(task.save_state().unwrap(), good);
    }
    let message =
        task.restore_state(&spoil(|s| s["slots"]["env_steps"] = json!("x"))).unwrap_err().to_string();
    assert!(message.contains("slot `env_steps`"), "{message}");
    let message = task.restore_state(&spoil(|s| s["stages"]["gae"] = json!(1))).unwrap_err().to_string();
    assert!(message.contains("`gae` has no state to restore"), "{message}");
}
