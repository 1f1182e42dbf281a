//! Stops: between stages, with their reason, unwinding what ran.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::super::{Flow, Half, Pipeline, PipelineError, StopHandle, from_fn};
use super::toys::{ADVANTAGES, GO, Log, acting, collect, gae, task, traced};

#[test]
fn flow_stop_skips_later_stages_and_unwinds_earlier_ones() {
    let log = Log::default();
    let stopping = acting("b", &log, || Ok(Flow::stop("solved")));
    let mut task =
        task(Pipeline::builder().with(traced("a", &log)).with(stopping).with(traced("c", &log)).build());
    let run = task.run(10).unwrap();
    assert_eq!(log.take(), "+a +b -b -a");
    let stop = run.stop.unwrap();
    assert_eq!(run.iterations, 1);
    assert_eq!(
        (stop.reason.as_str(), stop.asked_by.as_deref(), stop.after.as_deref()),
        ("solved", Some("b"), Some("b"))
    );
}

#[test]
fn a_handle_is_honoured_between_stages_with_its_first_reason() {
    let log = Log::default();
    let handle = StopHandle::default();
    let inside = handle.clone();
    let interrupted = acting("b", &log, move || {
        inside.stop("user asked");
        inside.stop("a later reason");
        GO
    });
    let pipeline =
        Pipeline::builder().with(traced("a", &log)).with(interrupted).with(traced("c", &log)).build();
    let mut task = task(pipeline).with_stop_handle(handle.clone());
    let stop = task.run(10).unwrap().stop.unwrap();
    assert_eq!(log.take(), "+a +b -b -a", "`b` ran to its end, `c` never started");
    assert_eq!((stop.reason.as_str(), stop.asked_by, stop.after.as_deref()), ("user asked", None, Some("b")));

    let idle = task.run_iteration().unwrap();
    assert_eq!((idle.index, log.take().as_str()), (1, ""), "the request stays until cleared");
    handle.clear();
    assert!(task.stop_handle().reason().is_none());
}

#[test]
fn a_bare_flag_is_enough() {
    let flag = Arc::new(AtomicBool::new(false));
    let log = Log::default();
    let mut task = task(Pipeline::builder().with(traced("a", &log)).build())
        .with_stop_handle(StopHandle::watching(Arc::clone(&flag)));
    assert!(task.run(1).unwrap().stop.is_none());
    flag.store(true, Ordering::Release);
    assert_eq!(task.run(1).unwrap().stop.unwrap().reason, "stop flag raised");
}

#[test]
fn a_backward_half_may_stop_the_run_too() {
    let log = Log::default();
    let budget = from_fn("budget", |_| {}, |_| GO).with_backward(|view| {
        Ok(if view.iteration() == 3 { Flow::stop("budget spent") } else { Flow::Continue })
    });
    let mut task = task(Pipeline::builder().with(traced("a", &log)).with(budget).build());
    let run = task.run(10).unwrap();
    assert_eq!((run.iterations, run.stop.unwrap().reason.as_str()), (3, "budget spent"));
    assert!(log.take().ends_with("+a -a"), "the backward pass goes on to its end");
}

#[test]
fn while_unwinding_a_backward_half_without_its_values_is_left_out() {
    let log = Log::default();
    let seen = log.clone();
    let needs = from_fn(
        "needs",
        |slots| {
            slots.backward().reads(ADVANTAGES);
        },
        |_| GO,
    )
    .with_backward(|_| panic!("must not run without its value"));
    let may = from_fn(
        "may",
        |slots| {
            slots.backward().reads_optional(ADVANTAGES);
        },
        |_| GO,
    )
    .with_backward(move |view| {
        seen.add(format!("{:?} {}", view.get_optional(ADVANTAGES)?, view.unwinding()));
        GO
    });
    let stop = acting("stop", &log, || Ok(Flow::stop("now")));
    let pipeline = Pipeline::builder().with(collect()).with(needs).with(may).with(stop).with(gae()).build();
    let iteration = task(pipeline).run_iteration().unwrap();
    assert_eq!(log.take(), "+stop -stop None true");
    let [skipped] = iteration.skipped.as_slice() else { panic!("{:?}", iteration.skipped) };
    assert_eq!((skipped.stage.as_str(), skipped.half), ("needs", Half::Backward));
    assert!(matches!(skipped.error, PipelineError::Empty { slot: "advantages", .. }));
}

#[test]
fn the_first_of_several_requests_is_recorded() {
    let late = from_fn("late", |_| {}, |_| GO).with_backward(|_| Ok(Flow::stop("second")));
    let early = from_fn("early", |_| {}, |_| Ok(Flow::stop("first")));
    let stop = task(Pipeline::builder().with(late).with(early).build()).run(1).unwrap().stop.unwrap();
    assert_eq!((stop.reason.as_str(), stop.asked_by.as_deref()), ("first", Some("early")));
}
