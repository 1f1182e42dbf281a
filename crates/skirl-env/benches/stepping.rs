//! Environment steps per second of the native vector environments, one thread, resets included
//! (processor time where Linux tells it).
//!
//! `cargo bench -p skirl-env --bench stepping [-- NAME [NUM_ENVS]]`

#![allow(clippy::print_stdout)]

use std::time::{Duration, Instant};

use skirl_env::column::{column_muts, column_refs};
use skirl_env::{Column, EnvContext, EnvError, Generator, Outcomes, make_vec};

const NAMES: [&str; 5] =
    ["CartPole-v1", "Pendulum-v1", "MountainCar-v0", "MountainCarContinuous-v0", "Acrobot-v1"];
/// Batches of random actions, drawn before the clock starts and used in turn.
const ACTION_BATCHES: usize = 64;
const RUN: Duration = Duration::from_millis(400);
const RUNS: usize = 5;

fn main() -> Result<(), EnvError> {
    // Cargo passes `--bench`.
    let mut arguments = std::env::args().skip(1).filter(|argument| !argument.starts_with("--"));
    let name = arguments.next();
    let num_envs = arguments.next().and_then(|argument| argument.parse().ok()).unwrap_or(1024);
    for each in NAMES {
        if name.as_deref().is_none_or(|name| name == each) {
            measure(each, num_envs)?;
        }
    }
    Ok(())
}

fn measure(name: &str, num_envs: usize) -> Result<(), EnvError> {
    let mut rates = (0..RUNS).map(|_| rate(name, num_envs)).collect::<Result<Vec<f64>, _>>()?;
    rates.sort_by(f64::total_cmp);
    println!(
        "{name:26} {num_envs} envs: {:7.2} million steps/s (median of {RUNS}; best {:.2})",
        rates[RUNS / 2] / 1e6,
        rates[RUNS - 1] / 1e6
    );
    Ok(())
}

fn rate(name: &str, num_envs: usize) -> Result<f64, EnvError> {
    let mut envs = make_vec(name, num_envs, &EnvContext::default())?;
    let mut observations = envs.observation_space().columns(num_envs);
    let actions = random_actions(envs.action_space(), num_envs);
    let mut outcomes = Outcomes::new(num_envs);
    for env in 0..num_envs {
        envs.reset(env, Some(env as u64), &mut column_muts(&mut observations))?;
    }
    let (start, mut steps) = (Instant::now(), 0_u64);
    let cpu_start = cpu_seconds();
    while start.elapsed() < RUN {
        for actions in &actions {
            envs.step(&column_refs(actions), &mut column_muts(&mut observations), &mut outcomes)?;
            for env in 0..num_envs {
                if outcomes.ended(env) {
                    envs.reset(env, None, &mut column_muts(&mut observations))?;
                }
            }
        }
        steps += (ACTION_BATCHES * num_envs) as u64;
    }
    let seconds = match (cpu_start, cpu_seconds()) {
        (Some(before), Some(after)) => after - before,
        _ => start.elapsed().as_secs_f64(),
    };
    Ok(steps as f64 / seconds)
}

/// Processor time of this thread where Linux tells it: other processes on the machine do not count.
fn cpu_seconds() -> Option<f64> {
    let statistics = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    statistics.split(' ').next()?.parse::<f64>().ok().map(|nanoseconds| nanoseconds / 1e9)
}

fn random_actions(space: &skirl_env::Space, num_envs: usize) -> Vec<Vec<Column>> {
    let mut rng = Generator::seeded(1);
    let batch = |_| {
        let mut columns = space.columns(num_envs);
        (0..num_envs).for_each(|env| space.sample(&mut rng, &mut column_muts(&mut columns), env));
        columns
    };
    (0..ACTION_BATCHES).map(batch).collect()
}
