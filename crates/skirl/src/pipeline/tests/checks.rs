//! What `build` finds: every kind of problem, all at once, each with its fix.

use super::super::{
    Context, FiniteGuard, KnownWriters, OnError, Pipeline, PipelineBuilder, PipelineProblem, Slot, Stage,
    Task,
};
use super::toys::{ADVANTAGES, ENV_STEPS, SAMPLE, collect, declares, gae, update};

/// The messages of a build that must fail.
fn found(pipeline: PipelineBuilder) -> Vec<String> {
    let errors = pipeline.build().unwrap_err();
    errors.problems().iter().map(ToString::to_string).collect()
}

fn only(pipeline: PipelineBuilder) -> String {
    let mut messages = found(pipeline);
    assert_eq!(messages.len(), 1, "{messages:#?}");
    messages.remove(0)
}

#[test]
fn misplaced_stage() {
    let message = only(Pipeline::builder().with(gae()).with(collect()));
    assert_eq!(
        message,
        "`gae` reads `sample`, which `collect` writes, but `collect` comes after it: move `collect` before `gae`"
    );
}

#[test]
fn missing_stage_with_and_without_a_known_writer() {
    let ppo = || Pipeline::builder().with(collect()).with(update());
    let message =
        only(ppo().known_writers(KnownWriters::new().add(ADVANTAGES, "gae").add(ADVANTAGES, "vtrace")));
    assert_eq!(
        message,
        "nothing writes `advantages`, which `update` reads: add `gae` or `vtrace` before `update`"
    );
    let message = only(ppo());
    assert!(message.ends_with("provide it from outside with `PipelineBuilder::provides`"), "{message}");
}

#[test]
fn all_errors_at_once() {
    let errors = Pipeline::builder().with(update()).with(gae()).with(gae()).build().unwrap_err();
    // update: sample nowhere, advantages misplaced; gae: sample taken, twice; the name, twice.
    assert_eq!(errors.problems().len(), 5, "{errors}");
    assert!(
        errors.to_string().starts_with("5 errors in the pipeline:\n  - two stages are named `gae`"),
        "{errors}"
    );
}

#[test]
fn a_taken_value_is_gone() {
    let message =
        only(Pipeline::builder().with(collect()).with(gae()).with(update()).with(declares("log", |slots| {
            slots.reads(SAMPLE);
        })));
    assert!(message.starts_with("`log` reads `sample`, but `update` takes it before"), "{message}");
}

#[test]
fn a_value_of_a_backward_half_comes_too_late() {
    let late = declares("late", |slots| {
        slots.backward().writes(SAMPLE);
    });
    let message = only(Pipeline::builder().with(late).with(gae()));
    assert!(
        message.contains("in its forward half, but `late` writes it later, in its backward half"),
        "{message}"
    );
}

#[test]
fn backward_halves_are_checked_in_reverse_order() {
    let inner = || {
        declares("inner", |slots| {
            slots.backward().writes(SAMPLE);
        })
    };
    let outer = || {
        declares("outer", |slots| {
            slots.backward().reads(SAMPLE);
        })
    };
    assert!(Pipeline::builder().with(outer()).with(inner()).build().is_ok());
    let message = only(Pipeline::builder().with(inner()).with(outer()));
    assert!(message.starts_with("`outer` reads `sample` in its backward half"), "{message}");
}

#[test]
fn what_may_be_empty_is_read_as_optional() {
    let maybe = || {
        declares("maybe", |slots| {
            slots.may_write(SAMPLE);
        })
    };
    let message = only(Pipeline::builder().with(maybe()).with(gae()));
    assert_eq!(message, "`gae` needs `sample`, but `maybe` may leave it empty: declare it optional in `gae`");
    let optional = declares("optional", |slots| {
        slots.reads_optional(SAMPLE);
    });
    assert!(Pipeline::builder().with(maybe()).with(optional).build().is_ok());
    assert!(
        Pipeline::builder().with(collect()).with(maybe()).with(gae()).build().is_ok(),
        "collect is certain"
    );
}

#[test]
fn a_skippable_writer_is_an_uncertain_one() {
    let skippable = Stage::new(collect()).on_error(OnError::Skip);
    let message = only(Pipeline::builder().with(skippable).with(gae()));
    assert!(message.contains("`collect`, which writes it, is skipped on errors"), "{message}");
}

#[test]
fn kept_slots_need_a_first_value() {
    let reader = || {
        declares("reader", |slots| {
            slots.reads(ENV_STEPS);
        })
    };
    let writer = || {
        declares("writer", |slots| {
            slots.writes(ENV_STEPS);
        })
    };
    for bad in [Pipeline::builder().with(reader()), Pipeline::builder().with(reader()).with(writer())] {
        assert!(only(bad).starts_with("kept slot `env_steps` has no value when `reader` reads it"));
    }
    assert!(Pipeline::builder().with(writer()).with(reader()).build().is_ok());
    assert!(
        Pipeline::builder().with(reader()).with(collect()).build().is_ok(),
        "collect gives an initial value"
    );

    let promised = Pipeline::builder().with(reader()).provides(ENV_STEPS).build().unwrap();
    let errors = Task::new(promised, Context::new()).unwrap_err();
    assert_eq!(errors.problems(), [PipelineProblem::NotProvided { slot: "env_steps" }]);
    let promised = Pipeline::builder().with(reader()).provides(ENV_STEPS).build().unwrap();
    assert!(Task::new(promised, Context::new().with(ENV_STEPS, 1)).is_ok());

    let promised = Pipeline::builder().with(reader()).provides(ENV_STEPS).build().unwrap();
    let mut emptied = Context::new().with(ENV_STEPS, 1);
    assert_eq!(emptied.take(ENV_STEPS), Some(1));
    assert!(Task::new(promised, emptied).is_err(), "the slot is there, its value is not");
}

#[test]
fn a_kept_value_taken_for_good_is_missed_in_the_second_iteration() {
    let taker = || {
        declares("taker", |slots| {
            slots.takes(ENV_STEPS).initial(ENV_STEPS, 7);
        })
    };
    let message = only(Pipeline::builder().with(taker()));
    assert!(message.contains("`taker` takes it and nothing puts it again"), "{message}");
    let giver = declares("giver", |slots| {
        slots.writes(ENV_STEPS);
    });
    assert!(Pipeline::builder().with(taker()).with(giver).build().is_ok());
}

#[test]
fn one_name_is_one_slot() {
    const OTHER_TYPE: Slot<u32> = Slot::kept("env_steps");
    const OTHER_LIFE: Slot<u64> = Slot::iteration("env_steps");
    for message in [
        only(Pipeline::builder().with(collect()).with(declares("b", |slots| {
            slots.reads(OTHER_TYPE);
        }))),
        only(Pipeline::builder().with(collect()).with(declares("b", |slots| {
            slots.reads(OTHER_LIFE);
        }))),
    ] {
        assert!(
            message.starts_with("two slots are named `env_steps`: u64 (kept) in `collect`, and u"),
            "{message}"
        );
        assert!(message.contains(" in `b`"), "{message}");
    }
    let pipeline = Pipeline::builder().with(collect()).build().unwrap();
    let errors = Task::new(pipeline, Context::new().with(OTHER_TYPE, 1)).unwrap_err();
    assert!(errors.to_string().contains("u32 (kept) in `the context`"), "{errors}");
}

#[test]
fn one_half_declares_a_slot_once() {
    let twice = declares("twice", |slots| {
        slots.reads_optional(SAMPLE).writes(SAMPLE);
    });
    let message = only(Pipeline::builder().with(twice));
    assert!(
        message.contains("`twice` declares `sample` twice in its forward half (reads_optional and writes)")
    );
    let halves = declares("halves", |slots| {
        slots.writes(SAMPLE).backward().takes(SAMPLE);
    });
    assert!(Pipeline::builder().with(halves).build().is_ok());
}

#[test]
fn initial_values_have_one_owner_and_a_kept_slot() {
    let second = declares("second", |slots| {
        slots.initial(ENV_STEPS, 1);
    });
    let message = only(Pipeline::builder().with(collect()).with(second));
    assert!(
        message.starts_with("`collect` and `second` both give `env_steps` an initial value"),
        "{message}"
    );
    let short = declares("short", |slots| {
        slots.initial(SAMPLE, vec![]);
    });
    assert!(only(Pipeline::builder().with(short)).contains("make it `Slot::kept`"));
}

#[test]
fn a_retried_stage_takes_nothing() {
    let message = only(
        Pipeline::builder()
            .with(collect())
            .with(gae())
            .with(Stage::new(update()).on_error(OnError::Retry(1))),
    );
    assert!(message.starts_with("`update` is retried on errors and takes `sample`"), "{message}");
}

#[test]
fn warnings_do_not_keep_a_pipeline_from_being_built() {
    let again = declares("again", |slots| {
        slots.writes(SAMPLE);
    });
    let retried = Stage::new(collect()).on_error(OnError::Retry(1));
    let pipeline = Pipeline::builder().with(retried).with(again).build().unwrap();
    let warnings: Vec<_> = pipeline.warnings().iter().map(ToString::to_string).collect();
    assert!(warnings[0].starts_with("`collect` is retried on errors and updates `env_steps` in place"));
    assert!(
        warnings[1].starts_with("`again` overwrites `sample` before anything reads what `collect` wrote")
    );
    assert_eq!(warnings.len(), 2);
}

#[test]
fn wrappers_look_at_slots_that_exist() {
    let message = only(Pipeline::builder().with(collect()).wrap(FiniteGuard::new().check(ADVANTAGES)));
    assert!(
        message.starts_with("wrapper `finite guard` looks at `advantages`, which no stage declares"),
        "{message}"
    );
}

#[test]
fn an_empty_list_is_refused() {
    assert!(only(Pipeline::builder()).contains("no stage"));
}

#[test]
fn two_stages_of_one_kind_get_two_names() {
    let message =
        only(Pipeline::builder().with(collect()).with(gae()).with(gae()).known_writers(KnownWriters::new()));
    assert_eq!(message, "two stages are named `gae`: rename one with `Stage::new(…).named(…)`");
    let pipeline = Pipeline::builder().with(collect()).with(gae()).with(Stage::new(gae()).named("gae_2"));
    assert_eq!(pipeline.build().unwrap().stage_names().collect::<Vec<_>>(), ["collect", "gae", "gae_2"]);
}

#[test]
fn a_value_that_was_read_may_be_overwritten() {
    let again = declares("again", |slots| {
        slots.writes(SAMPLE);
    });
    let pipeline = Pipeline::builder().with(collect()).with(gae()).with(again).build().unwrap();
    assert_eq!(pipeline.warnings(), []);
}
