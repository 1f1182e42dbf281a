//! Wrappers: order, timing, the finite guard.

use std::time::Duration;

use super::super::{
    Finite, FiniteGuard, Flow, Next, OnError, Pipeline, PipelineError, Stage, Timing, Wrapper, from_fn,
};
use super::toys::{ADVANTAGES, GO, Log, SAMPLE, collect, gae, task, traced};

struct Named(&'static str, Log);

impl Wrapper for Named {
    fn name(&self) -> &str {
        self.0
    }

    fn around(&mut self, next: &mut Next<'_, '_>) -> Result<Flow, PipelineError> {
        self.1.add(format!("{}(", self.0));
        let result = next.run();
        self.1.add(")");
        result
    }
}

#[test]
fn the_first_wrapper_is_the_outermost_of_every_half() {
    let log = Log::default();
    let pipeline = Pipeline::builder()
        .wrap(Named("x", log.clone()))
        .wrap(Named("y", log.clone()))
        .with(traced("a", &log))
        .with(traced("b", &log));
    task(pipeline.build()).run(1).unwrap();
    assert_eq!(log.take(), "x( y( +a ) ) x( y( +b ) ) x( y( -b ) ) x( y( -a ) )");
}

#[test]
fn timing_adds_up_both_halves_of_each_stage() {
    let nap = from_fn(
        "nap",
        |_| {},
        |_| {
            std::thread::sleep(Duration::from_millis(4));
            GO
        },
    )
    .with_backward(|_| {
        std::thread::sleep(Duration::from_millis(2));
        GO
    });
    let timing = Timing::new();
    let reader = timing.reader();
    task(Pipeline::builder().with(collect()).with(nap).wrap(timing).build()).run(3).unwrap();
    let stages = reader.stages();
    let [collect, nap] = stages.as_slice() else { panic!("{stages:?}") };
    assert_eq!((collect.stage.as_str(), collect.calls, nap.calls), ("collect", 3, 3));
    assert!(nap.forward >= Duration::from_millis(12) && nap.backward >= Duration::from_millis(6), "{nap:?}");
    assert!((nap.total_s() / 3.0 - nap.mean_s()).abs() < 1e-12 && nap.mean_s() >= 0.006);
    assert!(collect.total_s() < nap.total_s());
    reader.reset();
    assert!(reader.stages().is_empty());
}

#[test]
fn the_guard_names_the_stage_that_wrote_the_value() {
    let spoil = from_fn(
        "spoil",
        |slots| {
            slots.updates(SAMPLE);
        },
        |view| {
            view.get_mut(SAMPLE)?[1] = f32::NAN;
            GO
        },
    );
    let guard = FiniteGuard::new().check(SAMPLE).check(ADVANTAGES);
    let pipeline = Pipeline::builder().with(collect()).with(spoil).with(gae()).wrap(guard).build();
    let error = task(pipeline).run(1).unwrap_err();
    assert_eq!(
        error.to_string(),
        "iteration 1, stage `spoil`, forward half: `spoil` wrote a value that is not finite into slot `sample`: element \
         1 of 3 is NaN"
    );
}

#[test]
fn the_guard_is_inside_the_error_policy() {
    let infinite = from_fn(
        "infinite",
        |slots| {
            slots.may_write(ADVANTAGES);
        },
        |view| {
            view.put(ADVANTAGES, vec![f32::INFINITY])?;
            GO
        },
    );
    let stage = Stage::new(infinite).on_error(OnError::Skip);
    let guard = FiniteGuard::new().check_with(ADVANTAGES, Finite::find_non_finite);
    let mut task = task(Pipeline::builder().with(stage).wrap(guard).build());
    let iteration = task.run_iteration().unwrap();
    assert!(matches!(iteration.skipped[0].error, PipelineError::NotFinite { slot: "advantages", .. }));
    assert_eq!(task.context().get(ADVANTAGES), None, "the infinite value is dropped");
}

#[test]
fn finite_values_say_where() {
    assert_eq!(1.0f64.find_non_finite(), None);
    assert_eq!(f64::NEG_INFINITY.find_non_finite().as_deref(), Some("-inf"));
    assert_eq!(Some(vec![0.0, f64::NAN]).find_non_finite().as_deref(), Some("element 1 of 2 is NaN"));
    assert_eq!(None::<f32>.find_non_finite(), None);
}
