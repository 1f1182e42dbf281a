//! Own middlewares on own slots: an ε-greedy bandit in four stages, two of them running side by side.
//!
//! `cargo run --release -p skirl --example own_middleware`
#![expect(clippy::print_stdout, reason = "an example shows its result")]

use std::error::Error;

use skirl::pipeline::{
    Context, Declaration, Flow, Middleware, Pipeline, PipelineError, Slot, Task, Timing, View, from_fn,
};

/// A pulled arm and its reward, for one iteration.
#[derive(Clone, Copy)]
struct Pull {
    arm: usize,
    reward: f64,
}

const EPSILON: Slot<f64> = Slot::iteration("epsilon");
const PULL: Slot<Pull> = Slot::iteration("pull");
/// The estimated value of each arm: the context of our own that lives as long as the task, and goes to checkpoints.
const VALUES: Slot<Vec<f64>> = Slot::kept("values");
const PULLS: Slot<Vec<u64>> = Slot::kept("pulls");

/// Pulls an arm. A type of its own, because it owns a random generator.
struct Play {
    means: Vec<f64>,
    random: u64,
}

impl Play {
    /// SplitMix64, uniform in [0, 1).
    fn uniform(&mut self) -> f64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }
}

impl Middleware for Play {
    fn name(&self) -> &'static str {
        "play"
    }

    fn declare(&self, slots: &mut Declaration) {
        slots.reads(EPSILON).reads(VALUES).writes(PULL);
    }

    fn forward(&mut self, view: &mut View<'_>) -> Result<Flow, PipelineError> {
        let explore = self.uniform() < *view.get(EPSILON)?;
        let arm = if explore {
            (self.uniform() * self.means.len() as f64) as usize
        } else {
            best(view.get(VALUES)?)
        };
        let reward = f64::from(u8::from(self.uniform() < self.means[arm]));
        view.put(PULL, Pull { arm, reward })?;
        Ok(Flow::Continue)
    }
}

/// ε falls as 1/√iteration.
fn epsilon(start: f64) -> impl Middleware {
    from_fn(
        "epsilon",
        |slots| {
            slots.writes(EPSILON);
        },
        move |view| {
            let iteration = view.iteration() as f64;
            view.put(EPSILON, start / iteration.sqrt())?;
            Ok(Flow::Continue)
        },
    )
}

/// The running mean of each arm's rewards (Sutton and Barto, 2nd edition, equation 2.3).
fn learn(num_arms: usize) -> impl Middleware {
    from_fn(
        "learn",
        move |slots| {
            slots.reads(PULL).updates(VALUES).updates(PULLS);
            slots.initial(VALUES, vec![0.5; num_arms]).initial(PULLS, vec![0; num_arms]);
        },
        |view| {
            let Pull { arm, reward } = *view.get(PULL)?;
            view.get_mut(PULLS)?[arm] += 1;
            let pulls = view.get(PULLS)?[arm] as f64;
            let value = &mut view.get_mut(VALUES)?[arm];
            *value += (reward - *value) / pulls;
            Ok(Flow::Continue)
        },
    )
}

/// Stops once one arm has been pulled often enough.
fn until(num_pulls: u64) -> impl Middleware {
    from_fn(
        "until",
        |slots| {
            slots.reads(PULLS);
        },
        move |view| {
            let enough = view.get(PULLS)?.iter().position(|&pulls| pulls >= num_pulls);
            Ok(enough.map_or(Flow::Continue, |arm| Flow::stop(format!("arm {arm} pulled {num_pulls} times"))))
        },
    )
}

fn best(values: &[f64]) -> usize {
    (0..values.len()).max_by(|&a, &b| values[a].total_cmp(&values[b])).unwrap_or(0)
}

fn bandit(means: &[f64], seed: u64, timing: Timing) -> Result<Pipeline, Box<dyn Error>> {
    let pipeline = Pipeline::builder()
        .with(epsilon(1.0))
        .with(Play { means: means.to_vec(), random: seed })
        .with(learn(means.len()))
        .with(until(2000))
        .wrap(timing);
    Ok(pipeline.build()?)
}

fn main() -> Result<(), Box<dyn Error>> {
    let timing = Timing::new();
    let times = timing.reader();
    let mut first = Task::new(bandit(&[0.2, 0.8, 0.5], 1, timing)?, Context::new())?;
    // The second task starts from values of its own; the two share nothing.
    let context = Context::new().with(VALUES, vec![0.9, 0.9]);
    let mut second = Task::new(bandit(&[0.7, 0.3], 2, Timing::new())?, context)?;
    println!("{}\n", first.pipeline());

    // Taking turns on one thread; on two, each task would run in its own.
    let mut running = [true, true];
    while running != [false, false] {
        for (task, running) in [&mut first, &mut second].into_iter().zip(&mut running) {
            *running = *running && task.run_iteration()?.stop.is_none();
        }
    }

    for (name, task) in [("first", &first), ("second", &second)] {
        let values = task.context().get(VALUES).ok_or("no values")?;
        println!("{name}: best arm {}, values {values:.2?}, {} iterations", best(values), task.iterations());
    }
    for stage in times.stages() {
        println!("{:8} {:6} calls, {:.2} µs each", stage.stage, stage.calls, stage.mean_s() * 1e6);
    }

    // A stage in the wrong place does not get as far as the first iteration.
    let play = Play { means: vec![0.7, 0.3], random: 3 };
    let misplaced = Pipeline::builder().with(epsilon(1.0)).with(learn(2)).with(play).build();
    println!("\n{}", misplaced.err().ok_or("the check missed it")?);
    Ok(())
}
