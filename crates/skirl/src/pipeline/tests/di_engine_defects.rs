//! Behaviours of DI-engine 0.5.3 that skirl must not have, one test each.

use std::thread;

use super::super::{Context, Declaration, Flow, Life, Pipeline, Slot, Task, from_fn};
use super::toys::{ENV_STEPS, GO, Log, SAMPLE, acting, collect, gae, run_alone, task, traced};

/// There: `task.finish` is looked at after the whole iteration, so later middlewares still run. No reason is kept.
#[test]
fn finish_is_honoured_between_middlewares_and_its_reason_kept() {
    let log = Log::default();
    let evaluate = acting("evaluate", &log, || Ok(Flow::stop("stop_value reached")));
    let mut task = task(Pipeline::builder().with(evaluate).with(traced("learn", &log)).build());
    assert_eq!(task.run(5).unwrap().stop.unwrap().reason, "stop_value reached");
    assert!(!log.take().contains("learn"));
}

/// There: in async mode a reader registered after a writer saw `None`.
#[test]
fn a_reader_after_its_writer_always_sees_the_value() {
    let reader = from_fn(
        "reader",
        |slots| {
            slots.reads(SAMPLE);
        },
        |view| {
            assert_eq!(view.get(SAMPLE)?.len(), 3);
            GO
        },
    );
    task(Pipeline::builder().with(collect()).with(reader).build()).run(1000).unwrap();
    assert!(Pipeline::builder().with(gae()).with(collect()).build().is_err(), "and before it, it is refused");
}

/// There: a parallel group with an empty stack of its own ran other middlewares' second halves, on a pool thread.
#[test]
fn every_second_half_runs_once_on_the_tasks_own_thread() {
    let log = Log::default();
    let here = thread::current().id();
    let threaded = from_fn("threaded", |_| {}, |_| GO).with_backward(move |_| {
        assert_eq!(thread::current().id(), here);
        GO
    });
    let pipeline = Pipeline::builder().with(traced("a", &log)).with(threaded).with(traced("b", &log));
    task(pipeline.build()).run(1).unwrap();
    assert_eq!(log.take(), "+a +b -b -a");
}

/// There: the second half of a middleware that has none raises `KeyError(id(None))`.
#[test]
fn a_middleware_without_a_second_half_is_ordinary() {
    let log = Log::default();
    let plain = from_fn("plain", |_| {}, |_| GO);
    task(Pipeline::builder().with(traced("a", &log)).with(plain).build()).run(1).unwrap();
    assert_eq!(log.take(), "+a -a");
}

/// There: `keep` called at run time survives one renewal only.
#[test]
fn kept_slots_survive_any_number_of_renewals() {
    const ONCE: Slot<String> = Slot::kept("once");
    let once = from_fn(
        "once",
        |slots| {
            slots.may_write(ONCE);
        },
        |view| {
            if view.iteration() == 1 {
                view.put(ONCE, "written in iteration 1".to_owned())?;
            }
            GO
        },
    );
    let mut task = task(Pipeline::builder().with(once).build());
    task.run(50).unwrap();
    assert_eq!(task.context().get(ONCE).unwrap(), "written in iteration 1");
}

/// There: `train_epoch` is counted by a middleware and lost at every renewal, because the context forgot to keep it.
#[test]
fn a_counter_cannot_live_in_a_slot_that_is_renewed() {
    const EPOCH: Slot<u64> = Slot::iteration("train_epoch");
    let declare = |slots: &mut Declaration| {
        slots.updates(EPOCH).initial(EPOCH, 0);
    };
    let counter = from_fn("fetch", declare, |view| {
        *view.get_mut(EPOCH)? += 1;
        GO
    });
    let errors = Pipeline::builder().with(counter).build().unwrap_err();
    assert_eq!(EPOCH.life(), Life::Iteration);
    assert!(errors.to_string().contains("make it `Slot::kept`"), "{errors}");
}

/// There: any attribute can be set on the context, and is dropped at the next renewal without a word.
#[test]
fn an_undeclared_write_is_an_error() {
    const EVAL_STD: Slot<f64> = Slot::iteration("eval_value_std");
    let error = run_alone(|_| {}, |view| view.put(EVAL_STD, 0.5).map(|()| Flow::Continue)).unwrap_err();
    assert!(error.to_string().contains("may not put slot `eval_value_std`"), "{error}");
}

/// There: fields default to `None`, and the same field is declared twice with different types.
#[test]
fn one_slot_has_one_type_and_no_default() {
    const ACTION_LIST: Slot<Vec<u32>> = Slot::iteration("action");
    const ACTION_MAP: Slot<String> = Slot::iteration("action");
    let first = from_fn(
        "first",
        |slots: &mut Declaration| {
            slots.may_write(ACTION_LIST);
        },
        |_| GO,
    );
    let second = from_fn(
        "second",
        |slots: &mut Declaration| {
            slots.reads_optional(ACTION_MAP);
        },
        |_| GO,
    );
    let errors = Pipeline::builder().with(first).with(second).build().unwrap_err();
    assert!(errors.to_string().contains("two slots are named `action`"), "{errors}");
}

/// There: a listener's exception is stored and raised by the next unrelated call.
#[test]
fn an_error_belongs_to_the_stage_and_iteration_that_made_it() {
    let log = Log::default();
    let failing = from_fn(
        "failing",
        |_| {},
        |view| {
            if view.iteration() == 2 { Err(super::super::PipelineError::failed("mine")) } else { GO }
        },
    );
    let mut task = task(Pipeline::builder().with(failing).with(traced("innocent", &log)).build());
    let error = task.run(5).unwrap_err();
    assert_eq!(error.to_string(), "iteration 2, stage `failing`, forward half: mine");
    assert_eq!(task.run(3).unwrap().iterations, 3, "nothing left over raises later");
}

/// There: `task` and its router are one object per process.
#[test]
fn tasks_run_side_by_side_and_share_nothing() {
    let run = |start: u64| {
        let pipeline = Pipeline::builder().with(collect()).with(gae()).build().unwrap();
        let mut task = Task::new(pipeline, Context::new().with(ENV_STEPS, start)).unwrap();
        let stop = task.stop_handle();
        task.run(200).unwrap();
        stop.stop("mine only");
        *task.context().get(ENV_STEPS).unwrap()
    };
    let totals: Vec<u64> = thread::scope(|scope| {
        let threads: Vec<_> = (0..4).map(|i| scope.spawn(move || run(1000 * i))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(totals, [600, 1600, 2600, 3600]);

    let (mut a, mut b) = (
        task(Pipeline::builder().with(collect()).build()),
        task(Pipeline::builder().with(collect()).build()),
    );
    a.run_iteration().unwrap();
    a.stop_handle().stop("only a");
    assert!(b.run(2).unwrap().stop.is_none(), "interleaved on one thread, too");
    assert_eq!((a.context().get(ENV_STEPS), b.context().get(ENV_STEPS)), (Some(&3), Some(&6)));
}

/// There: `run` goes on for 10¹² iterations unless told otherwise, and `wait_for` polls for ever.
#[test]
fn a_run_has_a_limit_that_is_given() {
    let log = Log::default();
    assert_eq!(task(Pipeline::builder().with(traced("a", &log)).build()).run(7).unwrap().iterations, 7);
}
