//! Errors: whose they are, what still runs, raise, skip, retry.

use std::error::Error;

use super::super::{Flow, Half, Middleware, OnError, Pipeline, PipelineError, Stage, from_fn};
use super::toys::{ENV_STEPS, GO, Log, Outcome, SAMPLE, acting, collect, declares, task, traced};

fn broken() -> Outcome {
    Err(PipelineError::failed("disk full"))
}

/// Puts a sample, then fails its first `failures` tries.
fn flaky(failures: u32) -> impl Middleware {
    let mut tries = 0;
    from_fn(
        "flaky",
        |slots| {
            slots.may_write(SAMPLE);
        },
        move |view| {
            tries += 1;
            assert!(view.get_optional(SAMPLE)?.is_none(), "a failed try left its value");
            view.put(SAMPLE, vec![tries as f32])?;
            if tries <= failures { broken() } else { GO }
        },
    )
}

#[test]
fn an_error_names_its_stage_and_unwinds_what_ran() {
    let log = Log::default();
    let pipeline =
        Pipeline::builder().with(traced("a", &log)).with(acting("b", &log, broken)).with(traced("c", &log));
    let error = task(pipeline.build()).run(5).unwrap_err();
    assert_eq!(log.take(), "+a +b -a", "`b` did not return normally: no backward half");
    assert_eq!(error.to_string(), "iteration 1, stage `b`, forward half: disk full");
    assert_eq!(error.stage(), Some("b"));
    assert_eq!(error.source().unwrap().to_string(), "disk full");
}

#[test]
fn errors_while_unwinding_are_attributed_too() {
    let log = Log::default();
    let fails_back =
        from_fn("back", |_| {}, |_| GO).with_backward(|_| Err(PipelineError::failed("socket closed")));
    let pipeline =
        Pipeline::builder().with(traced("a", &log)).with(fails_back).with(acting("b", &log, broken));
    let error = task(pipeline.build()).run(1).unwrap_err();
    assert_eq!(log.take(), "+a +b -a");
    assert_eq!(
        error.to_string(),
        "iteration 1, stage `b`, forward half: disk full; and while unwinding: iteration 1, stage `back`, backward \
         half: socket closed"
    );
}

#[test]
fn a_task_goes_on_after_an_error() {
    let sometimes = from_fn("sometimes", |_| {}, |view| if view.iteration() == 1 { broken() } else { GO });
    let mut task = task(Pipeline::builder().with(collect()).with(sometimes).build());
    assert!(task.run_iteration().is_err());
    assert_eq!(task.run_iteration().unwrap().index, 2);
    assert_eq!(task.context().get(ENV_STEPS), Some(&6));
}

#[test]
fn skip_records_the_failure_drops_its_values_and_goes_on() {
    let log = Log::default();
    let seen = log.clone();
    let reader = from_fn(
        "reader",
        |slots| {
            slots.reads_optional(SAMPLE);
        },
        move |view| {
            seen.add(format!("{:?}", view.get_optional(SAMPLE)?));
            GO
        },
    );
    let mut task =
        task(Pipeline::builder().with(Stage::new(flaky(1)).on_error(OnError::Skip)).with(reader).build());
    let first = task.run_iteration().unwrap();
    let [skipped] = first.skipped.as_slice() else { panic!("{first:?}") };
    assert_eq!((skipped.stage.as_str(), skipped.half), ("flaky", Half::Forward));
    assert_eq!(skipped.error.to_string(), "disk full");
    assert!(task.run_iteration().unwrap().skipped.is_empty());
    assert_eq!(log.take(), "None Some([2.0])");
}

#[test]
fn a_skipped_forward_half_has_no_backward_half() {
    let log = Log::default();
    let skipped = Stage::new(acting("b", &log, broken)).on_error(OnError::Skip);
    let pipeline = Pipeline::builder().with(traced("a", &log)).with(skipped).with(traced("c", &log));
    task(pipeline.build()).run(1).unwrap();
    assert_eq!(log.take(), "+a +b +c -c -a");
}

#[test]
fn retry_tries_again_so_many_times() {
    let stage = |failures, times| Stage::new(flaky(failures)).on_error(OnError::Retry(times));
    let mut patient = task(Pipeline::builder().with(stage(2, 2)).build());
    patient.run(1).unwrap();
    assert_eq!(patient.context().get(SAMPLE), Some(&vec![3.0]));
    let error = task(Pipeline::builder().with(stage(2, 1)).build()).run(1).unwrap_err();
    assert_eq!(error.to_string(), "iteration 1, stage `flaky`, forward half, after 2 tries: disk full");
}

#[test]
fn a_broken_contract_is_never_skipped_nor_retried() {
    for policy in [OnError::Skip, OnError::Retry(3)] {
        let log = Log::default();
        let seen = log.clone();
        let undeclared = from_fn(
            "undeclared",
            |_| {},
            move |view| {
                seen.add("try");
                view.put(ENV_STEPS, 1).map(|()| Flow::Continue)
            },
        );
        let error = task(Pipeline::builder().with(Stage::new(undeclared).on_error(policy)).build()).run(1);
        assert!(error.unwrap_err().to_string().contains("may not put slot `env_steps`"));
        assert_eq!(log.take(), "try");
        let forgets = declares("forgets", |slots| {
            slots.writes(SAMPLE);
        });
        let error = task(Pipeline::builder().with(Stage::new(forgets).on_error(policy)).build()).run(1);
        assert!(error.unwrap_err().to_string().contains("left it empty"));
    }
}
