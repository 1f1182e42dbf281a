//! Slots and stages that the tests share.

use std::sync::{Arc, Mutex};

use super::super::{
    Context, Declaration, Flow, Middleware, Pipeline, PipelineError, Slot, Task, View, from_fn,
};

pub(super) const SAMPLE: Slot<Vec<f32>> = Slot::iteration("sample");
pub(super) const ADVANTAGES: Slot<Vec<f32>> = Slot::iteration("advantages");
pub(super) const ENV_STEPS: Slot<u64> = Slot::kept("env_steps");

pub(super) type Outcome = Result<Flow, PipelineError>;
pub(super) const GO: Outcome = Ok(Flow::Continue);

/// What ran, in order.
#[derive(Clone, Default)]
pub(super) struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    pub(super) fn add(&self, line: impl Into<String>) {
        self.0.lock().unwrap().push(line.into());
    }

    pub(super) fn take(&self) -> String {
        std::mem::take(&mut *self.0.lock().unwrap()).join(" ")
    }
}

/// Logs `+name` in its forward half and `-name` in its backward half.
pub(super) fn traced(name: &'static str, log: &Log) -> impl Middleware + 'static {
    acting(name, log, || GO)
}

/// As `traced`; `act` decides how the forward half ends.
pub(super) fn acting(
    name: &'static str,
    log: &Log,
    act: impl Fn() -> Outcome + Send + 'static,
) -> impl Middleware + 'static {
    let (forward, backward) = (log.clone(), log.clone());
    from_fn(
        name,
        |_| {},
        move |_| {
            forward.add(format!("+{name}"));
            act()
        },
    )
    .with_backward(move |_| {
        backward.add(format!("-{name}"));
        GO
    })
}

pub(super) fn collect() -> impl Middleware {
    from_fn(
        "collect",
        |slots| {
            slots.updates(ENV_STEPS).initial(ENV_STEPS, 0).writes(SAMPLE);
        },
        |view| {
            *view.get_mut(ENV_STEPS)? += 3;
            view.put(SAMPLE, vec![1.0, 2.0, 3.0])?;
            GO
        },
    )
}

pub(super) fn gae() -> impl Middleware {
    from_fn(
        "gae",
        |slots| {
            slots.reads(SAMPLE).writes(ADVANTAGES);
        },
        |view| {
            let advantages = view.get(SAMPLE)?.iter().map(|x| x - 2.0).collect();
            view.put(ADVANTAGES, advantages)?;
            GO
        },
    )
}

pub(super) fn update() -> impl Middleware {
    from_fn(
        "update",
        |slots| {
            slots.takes(SAMPLE).reads(ADVANTAGES);
        },
        |view| {
            let _ = (view.take(SAMPLE)?, view.get(ADVANTAGES)?);
            GO
        },
    )
}

/// A stage that only declares.
pub(super) fn declares(
    name: &'static str,
    declare: impl Fn(&mut Declaration) + Send + 'static,
) -> impl Middleware + 'static {
    from_fn(name, declare, |_: &mut View<'_>| GO)
}

/// One stage with these declarations and this body, run once.
pub(super) fn run_alone(
    declare: impl Fn(&mut Declaration) + Send + 'static,
    body: impl FnMut(&mut View<'_>) -> Outcome + Send + 'static,
) -> Result<Task, PipelineError> {
    let pipeline = Pipeline::builder().with(from_fn("alone", declare, body)).build().unwrap();
    let mut task = Task::new(pipeline, Context::new()).unwrap();
    task.run_iteration()?;
    Ok(task)
}

pub(super) fn task(pipeline: Result<Pipeline, super::super::PipelineErrors>) -> Task {
    Task::new(pipeline.unwrap(), Context::new()).unwrap()
}
