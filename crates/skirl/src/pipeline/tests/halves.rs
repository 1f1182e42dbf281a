//! Order of the halves, renewal, inputs, `Display`.

use super::super::{Context, Pipeline, PipelineError, Task, from_fn};
use super::toys::{ADVANTAGES, ENV_STEPS, GO, Log, SAMPLE, collect, gae, task, traced, update};

#[test]
fn forward_in_order_backward_in_reverse() {
    let log = Log::default();
    let pipeline =
        Pipeline::builder().with(traced("a", &log)).with(traced("b", &log)).with(traced("c", &log));
    let mut task = task(pipeline.build());
    task.run(2).unwrap();
    assert_eq!(log.take(), "+a +b +c -c -b -a +a +b +c -c -b -a");
}

#[test]
fn ppo_shape_runs_and_leaves_its_results() {
    let mut task = task(Pipeline::builder().with(collect()).with(gae()).with(update()).build());
    let run = task.run(5).unwrap();
    assert_eq!((run.iterations, run.stop), (5, None));
    assert_eq!(task.context().get(ENV_STEPS), Some(&15));
    assert_eq!(task.context_mut().take(ADVANTAGES), Some(vec![-1.0, 0.0, 1.0]));
    assert_eq!(task.context().get(SAMPLE), None, "taken by `update`");
}

#[test]
fn display_lists_reads_and_writes() {
    let priorities = from_fn(
        "priorities",
        |slots| {
            slots.reads_optional(SAMPLE).backward().takes(ADVANTAGES);
        },
        |_| GO,
    );
    let pipeline = Pipeline::builder().with(collect()).with(priorities).with(gae()).build().unwrap();
    assert_eq!(
        pipeline.to_string(),
        "1. collect     env_steps → env_steps, sample\n\
         2. priorities  sample?; backward advantages (taken)\n\
         3. gae         sample → advantages"
    );
}

#[test]
fn a_backward_half_sees_what_later_stages_wrote() {
    let seen = Log::default();
    let log = seen.clone();
    let early = from_fn(
        "early",
        |slots| {
            slots.backward().reads(ADVANTAGES);
        },
        |_| GO,
    )
    .with_backward(move |view| {
        log.add(format!("{:?}", view.get(ADVANTAGES)?));
        GO
    });
    task(Pipeline::builder().with(early).with(collect()).with(gae()).build()).run(1).unwrap();
    assert_eq!(seen.take(), "[-1.0, 0.0, 1.0]");
}

#[test]
fn iterations_count_from_one() {
    let log = Log::default();
    let seen = log.clone();
    let count = from_fn(
        "count",
        |_| {},
        move |view| {
            seen.add(format!("{}@{}", view.stage(), view.iteration()));
            GO
        },
    );
    let mut task = task(Pipeline::builder().with(count).build());
    assert_eq!(task.run_iteration().unwrap().index, 1);
    assert_eq!(task.run_iteration().unwrap().index, 2);
    assert_eq!((log.take().as_str(), task.iterations()), ("count@1 count@2", 2));
}

#[test]
fn inputs_are_needed_for_every_iteration() {
    let pipeline = Pipeline::builder().provides(SAMPLE).with(gae()).build().unwrap();
    let mut task = Task::new(pipeline, Context::new()).unwrap();
    task.context_mut().put(SAMPLE, vec![4.0]);
    task.run_iteration().unwrap();
    assert_eq!(task.context().get(ADVANTAGES), Some(&vec![2.0]));

    let error = task.run_iteration().unwrap_err();
    assert!(matches!(error, PipelineError::NotProvided { slot: "sample", iteration: 2 }), "{error}");
    assert_eq!(task.iterations(), 1, "the refused iteration did not begin");
    assert_eq!(task.context().get(ADVANTAGES), Some(&vec![2.0]), "nor renew the context");
}

#[test]
fn a_context_value_replaces_the_initial_one() {
    let pipeline = Pipeline::builder().with(collect()).build().unwrap();
    let mut task = Task::new(pipeline, Context::new().with(ENV_STEPS, 100)).unwrap();
    task.run(1).unwrap();
    assert_eq!(task.context().get(ENV_STEPS), Some(&103));
}

#[test]
fn iteration_slots_are_empty_in_the_next_iteration() {
    let log = Log::default();
    let seen = log.clone();
    let once = from_fn(
        "once",
        |slots| {
            slots.may_write(SAMPLE);
        },
        |view| {
            if view.iteration() == 1 {
                view.put(SAMPLE, vec![1.0])?;
            }
            GO
        },
    );
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
    task(Pipeline::builder().with(once).with(reader).build()).run(2).unwrap();
    assert_eq!(log.take(), "Some([1.0]) None");
}
