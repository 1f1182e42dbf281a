//! What the pipeline itself costs: `cargo test -p skirl --release pipeline_overhead -- --ignored --nocapture`.

use std::time::Instant;

use super::super::{FiniteGuard, Pipeline, PipelineBuilder, Slot, Stage, Timing, from_fn};
use super::toys::{ENV_STEPS, GO, SAMPLE, collect, task};

const REWARD: Slot<f64> = Slot::kept("reward");

fn reader(i: usize) -> Stage {
    let reader = from_fn(
        "reader",
        |slots| {
            slots.reads(SAMPLE).reads(ENV_STEPS).updates(REWARD).backward().reads(REWARD);
        },
        |view| {
            let sum = f64::from(view.get(SAMPLE)?[0]) + *view.get(ENV_STEPS)? as f64;
            *view.get_mut(REWARD)? += sum;
            GO
        },
    )
    .with_backward(|view| {
        view.get(REWARD)?;
        GO
    });
    Stage::new(reader).named(format!("reader_{i}"))
}

/// Eight stages, each with three slots forward and one backward.
fn eight_stages() -> PipelineBuilder {
    let first = from_fn(
        "first",
        |slots| {
            slots.initial(REWARD, 0.0);
        },
        |_| GO,
    );
    (0..6).fold(Pipeline::builder().with(first).with(collect()), |list, i| list.with(reader(i)))
}

fn microseconds(builder: PipelineBuilder) -> f64 {
    let mut task = task(builder.build());
    task.run(1000).unwrap();
    let rounds = (0..20).map(|_| {
        let start = Instant::now();
        task.run(5000).unwrap();
        start.elapsed().as_secs_f64() * 1e6 / 5000.0
    });
    rounds.fold(f64::INFINITY, f64::min)
}

#[test]
#[ignore = "a measurement: needs --release and a quiet machine"]
fn pipeline_overhead() {
    let bare = microseconds(eight_stages());
    let timed = microseconds(eight_stages().wrap(Timing::new()));
    let guarded = microseconds(eight_stages().wrap(FiniteGuard::new().check(REWARD)).wrap(Timing::new()));
    println!(
        "8 stages: {bare:.3} µs per iteration, {timed:.3} with timing, {guarded:.3} with timing and guard"
    );
    assert!(bare < 5.0, "{bare} µs");
}
