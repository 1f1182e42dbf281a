//! Whole-engine speed: policy evaluation through `EnvRunner::sample` and the PPO training loop.
//!
//! ```text
//! cargo bench -p skirl --bench engine -- evaluation            # 64 environments (--envs N), 64×64 and 256×256
//! cargo bench -p skirl --bench engine -- ppo --threads 2       # the common protocol of benches/peers
//! ```
//! Prints one JSON line for each task, in the form of the scripts in `benches/peers/`.

#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout)]

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::json;
use skirl::collect::{EnvRunner, EnvironmentSpec, Environments, RunnerOptions};
use skirl::config::PpoConfig;
use skirl::workers::Workers;
use skirl::{Algorithm, algo};
use skirl_math::rng::StreamKey;

/// Repetitions of each measurement; the median is printed.
const REPEATS: usize = 7;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let after = |name: &str| {
        arguments.iter().position(|argument| argument == name).and_then(|at| arguments.get(at + 1))
    };
    let number = |name: &str, default: usize| after(name).map_or(default, |value| value.parse().unwrap());
    let only = arguments.first().map_or("all", String::as_str);
    let threads = number("--threads", 1);
    let task = after("--task").map_or("", String::as_str);
    if matches!(only, "all" | "evaluation") {
        for env in ["CartPole-v1", "Pendulum-v1"] {
            for hidden in [64, 256] {
                evaluation(env, hidden, number("--envs", 64), threads);
            }
        }
    }
    if matches!(only, "all" | "ppo") {
        for (name, config) in [("ppo_cartpole", cartpole()), ("ppo_pendulum", pendulum())] {
            if name.contains(task) {
                training(name, config, threads, number("--hidden", 64), number("--steps", 300_000));
            }
        }
    }
}

fn network(config: PpoConfig, hidden: usize) -> PpoConfig {
    config.rl_module(|module| {
        module
            .fcnet_hiddens(vec![hidden, hidden])
            .fcnet_kernel_initializer(skirl::config::Initializer::Orthogonal)
    })
}

fn evaluation(env: &str, hidden: usize, num_envs: usize, threads: usize) {
    const STEPS: usize = 512;
    let config = network(
        PpoConfig::new()
            .environment(env)
            .env_runners(|o| o.num_env_runners(0usize).num_envs_per_env_runner(num_envs)),
        hidden,
    );
    let spec = EnvironmentSpec {
        env: env.to_owned(),
        env_config: serde_json::Map::new(),
        num_envs,
        num_shards: threads,
        shared: skirl_env::SharedState::new(),
    };
    let environments = Environments::make(&spec).unwrap();
    let plan = algo::plan(&config, spec, environments.spaces()).unwrap();
    let policies = plan
        .modules
        .iter()
        .map(|(id, module)| (id.clone(), skirl::plan::build_policy(module, StreamKey::root(1)).unwrap()))
        .collect();
    let options = RunnerOptions::from_config(&config.common, StreamKey::root(1));
    let workers = Arc::new(Workers::new(threads).unwrap());
    let mut runner = EnvRunner::new(environments, policies, options, workers).unwrap();
    runner.sample(STEPS).unwrap();
    let mut rates: Vec<f64> = (0..REPEATS)
        .map(|_| {
            let (started, mut actions) = (Instant::now(), 0);
            while started.elapsed() < Duration::from_millis(300) {
                actions += runner.sample(STEPS).unwrap().agent_steps;
                runner.take_finished();
            }
            actions as f64 / started.elapsed().as_secs_f64()
        })
        .collect();
    rates.sort_by(f64::total_cmp);
    println!(
        "{}",
        json!({ "peer": "skirl", "task": format!("eval_{env}_{hidden}x{hidden}"), "threads": threads, "actions_per_s": rates[REPEATS / 2] as u64, "max": rates[REPEATS - 1] as u64 })
    );
}

/// The common protocol of `benches/peers`: 8 × 128, 4 epochs, minibatches of 256.
fn cartpole() -> PpoConfig {
    protocol("CartPole-v1", 1024).training(|t| t.gamma(0.98).lambda_(0.8))
}

fn pendulum() -> PpoConfig {
    protocol("Pendulum-v1", 2048).training(|t| t.gamma(0.9).lambda_(0.95))
}

fn protocol(env: &str, train_batch_size: usize) -> PpoConfig {
    PpoConfig::new()
        .environment(env)
        .env_runners(|o| o.num_env_runners(0usize).num_envs_per_env_runner(8usize))
        .training(|t| {
            t.lr(1e-3)
                .train_batch_size(train_batch_size)
                .minibatch_size(256usize)
                .num_epochs(4usize)
                .clip_param(0.2)
                .use_kl_loss(false)
                .vf_clip_param(None)
                .grad_clip(Some(0.5))
                .standardize_advantages(skirl::config::StandardizeAdvantages::Minibatch)
        })
        .debugging(|d| d.seed(Some(1)))
}

fn training(name: &str, config: PpoConfig, threads: usize, hidden: usize, steps: usize) {
    let config = network(config, hidden).resources(|r| r.num_threads(threads));
    let mut rates: Vec<f64> = (0..REPEATS)
        .map(|_| {
            let mut ppo = Algorithm::build(Box::new(config.clone())).unwrap();
            let started = Instant::now();
            while ppo.env_steps() < steps as u64 {
                ppo.train().unwrap();
            }
            ppo.env_steps() as f64 / started.elapsed().as_secs_f64()
        })
        .collect();
    rates.sort_by(f64::total_cmp);
    println!(
        "{}",
        json!({ "peer": "skirl", "task": name, "hidden": hidden, "threads": threads, "steps_per_s": rates[REPEATS / 2] as u64, "max": rates[REPEATS - 1] as u64 })
    );
}
