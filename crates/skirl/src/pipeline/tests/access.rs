//! A view gives what was declared, in the way it was declared, and nothing else.

use super::super::{Declaration, Flow, Life, Pipeline, PipelineError, Slot, View, from_fn};
use super::toys::{ADVANTAGES, ENV_STEPS, GO, Outcome, SAMPLE, collect, run_alone, task};

fn refused(
    declare: impl Fn(&mut Declaration) + Send + 'static,
    body: impl FnMut(&mut View<'_>) -> Outcome + Send + 'static,
) -> String {
    run_alone(declare, body).unwrap_err().to_string()
}

#[test]
fn undeclared_reads_name_the_middleware_the_slot_and_the_fix() {
    let message = refused(|_| {}, |view| view.get(SAMPLE).map(|_| Flow::Continue));
    assert_eq!(
        message,
        "iteration 1, stage `alone`, forward half: `alone` may not get slot `sample` in its forward half: it declares \
         nothing about it. Add `slots.reads(…)` to its `declare`"
    );
}

#[test]
fn undeclared_ways_are_refused_with_the_declaration_that_allows_them() {
    let reads = |slots: &mut Declaration| {
        slots.reads_optional(ENV_STEPS);
    };
    let put = refused(reads, |view| view.put(ENV_STEPS, 1).map(|()| Flow::Continue));
    assert!(put.contains("may not put") && put.contains("`slots.updates(…)`"), "{put}");
    let change = refused(reads, |view| view.get_mut(ENV_STEPS).map(|_| Flow::Continue));
    assert!(change.contains("may not change") && change.contains("`slots.updates(…)`"), "{change}");
    let take = refused(reads, |view| view.take(ENV_STEPS).map(|_| Flow::Continue));
    assert!(take.contains("may not take") && take.contains("`slots.takes_optional(…)`"), "{take}");
    let put = refused(|_| {}, |view| view.put(ENV_STEPS, 1).map(|()| Flow::Continue));
    assert!(put.contains("`slots.writes(…)`"), "{put}");
}

#[test]
fn the_halves_have_their_own_declarations() {
    let forward_only = from_fn(
        "halved",
        |slots| {
            slots.writes(SAMPLE);
        },
        |view| {
            view.put(SAMPLE, vec![])?;
            GO
        },
    )
    .with_backward(|view| view.get(SAMPLE).map(|_| Flow::Continue));
    let message = task(Pipeline::builder().with(forward_only).build()).run(1).unwrap_err().to_string();
    assert!(
        message.contains("backward half") && message.contains("`slots.backward().reads(…)`"),
        "{message}"
    );
}

#[test]
fn a_slot_of_the_same_name_and_another_type_is_not_the_declared_one() {
    const OTHER: Slot<String> = Slot::iteration("sample");
    let message = refused(
        |slots| {
            slots.reads_optional(SAMPLE);
        },
        |view| view.get(OTHER).map(|_| Flow::Continue),
    );
    assert!(message.contains("nothing about it"), "{message}");
}

#[test]
fn a_written_slot_does_not_show_an_older_value() {
    let overwrite = from_fn(
        "overwrite",
        |slots| {
            slots.writes(SAMPLE);
        },
        |view| {
            assert!(view.get(SAMPLE).is_err(), "collect's value was not declared as read");
            assert!(view.get_mut(SAMPLE).is_err());
            view.put(SAMPLE, vec![9.0])?;
            view.get_mut(SAMPLE)?.push(8.0);
            assert_eq!(view.get(SAMPLE)?, &[9.0, 8.0]);
            GO
        },
    );
    let pipeline = Pipeline::builder().with(collect()).with(overwrite).build().unwrap();
    assert_eq!(pipeline.warnings().len(), 1, "overwritten unread");
    task(Ok(pipeline)).run(2).unwrap();
}

#[test]
fn a_promised_write_must_come_in_every_iteration() {
    let forgetful = from_fn(
        "forgetful",
        |slots| {
            slots.writes(ENV_STEPS);
        },
        |view| {
            if view.iteration() == 1 {
                view.put(ENV_STEPS, 1)?;
            }
            GO
        },
    );
    let error = task(Pipeline::builder().with(forgetful).build()).run(2).unwrap_err();
    assert!(
        error.to_string().starts_with("iteration 2"),
        "the kept value of iteration 1 does not count: {error}"
    );
    assert!(error.to_string().contains("left it empty"), "{error}");
}

#[test]
fn an_update_must_leave_a_value() {
    let loser = from_fn(
        "loser",
        |slots| {
            slots.updates(ENV_STEPS).initial(ENV_STEPS, 0);
        },
        |view| view.take(ENV_STEPS).map(|_| Flow::Continue),
    );
    let error = task(Pipeline::builder().with(loser).build()).run(1).unwrap_err();
    assert!(error.to_string().contains("left it empty"), "{error}");
}

#[test]
fn a_declared_take_empties_the_slot_even_if_it_was_only_read() {
    let reader = from_fn(
        "reader",
        |slots| {
            slots.takes(SAMPLE);
        },
        |view| view.get(SAMPLE).map(|_| Flow::Continue),
    );
    let mut task = task(Pipeline::builder().with(collect()).with(reader).build());
    task.run(1).unwrap();
    assert_eq!(task.context().get(SAMPLE), None);
}

#[test]
fn one_value_is_read_while_another_is_updated() {
    let scale = from_fn(
        "scale",
        |slots| {
            slots.reads(ENV_STEPS).updates(SAMPLE);
        },
        |view| {
            let (steps, sample) = view.read_and_update(ENV_STEPS, SAMPLE)?;
            for x in sample.iter_mut() {
                *x *= *steps as f32;
            }
            assert!(view.read_and_update(SAMPLE, ENV_STEPS).is_err(), "ENV_STEPS is only read");
            let same = view.read_and_update(SAMPLE, SAMPLE).unwrap_err();
            assert!(same.to_string().contains("both read and updated"), "{same}");
            GO
        },
    );
    let mut task = task(Pipeline::builder().with(collect()).with(scale).build());
    task.run(1).unwrap();
    assert_eq!(task.context().get(SAMPLE), Some(&vec![3.0, 6.0, 9.0]));
}

#[test]
fn optional_values_are_some_or_none() {
    let log = super::toys::Log::default();
    let seen = log.clone();
    let sometimes = from_fn(
        "sometimes",
        |slots| {
            slots.may_write(ADVANTAGES);
        },
        |view| {
            if view.iteration() % 2 == 0 {
                view.put(ADVANTAGES, vec![0.5])?;
            }
            GO
        },
    );
    let reader = from_fn(
        "reader",
        |slots| {
            slots.takes_optional(ADVANTAGES);
        },
        move |view| {
            seen.add(format!("{:?}", view.take_optional(ADVANTAGES)?));
            assert!(matches!(view.get(ADVANTAGES), Err(PipelineError::Empty { .. })));
            GO
        },
    );
    task(Pipeline::builder().with(sometimes).with(reader).build()).run(3).unwrap();
    assert_eq!(log.take(), "None Some([0.5]) None");
}

#[test]
fn slots_say_what_they_are() {
    assert_eq!((SAMPLE.name(), SAMPLE.life()), ("sample", Life::Iteration));
    assert_eq!((ENV_STEPS.name(), ENV_STEPS.life()), ("env_steps", Life::Kept));
}
