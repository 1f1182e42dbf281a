//! An own evaluation function: how far does the policy carry a pole that starts tilted?
//!
//! Evaluated in an environment with other physics, with metrics of its own.
//!
//! `cargo run --release -p skirl --example custom_evaluation`
#![expect(clippy::print_stdout, reason = "an example shows its result")]

use skirl::algorithm::{CustomEvaluation, register_evaluation_function};
use skirl::collect::EnvRunner;
use skirl::config::PpoConfig;
use skirl::evaluate::{Duration, play};
use skirl::{Algorithm, Error};

/// Ten greedy episodes and ten drawn ones, and how many of each reach 100 steps.
fn both_ways(_algorithm: &mut Algorithm, runner: &mut EnvRunner) -> Result<CustomEvaluation, Error> {
    let mut found = CustomEvaluation::default();
    for (name, explore) in [("greedy", false), ("drawn", true)] {
        runner.set_explore(explore);
        let played = play(runner, Duration::Episodes(10), 1_000, &|| true)?;
        let long = played.episodes.iter().filter(|episode| episode.len >= 100).count();
        found.results.set(&format!("{name}/episode_return_mean"), played.return_mean());
        found.results.set(&format!("{name}/long_episodes"), long);
        found.env_steps += played.env_steps;
    }
    found.agent_steps = found.env_steps;
    Ok(found)
}

fn main() -> Result<(), Error> {
    register_evaluation_function("both_ways", both_ways);
    let config = PpoConfig::new()
        .environment("CartPole-v1")
        .env_runners(|o| o.num_env_runners(0).num_envs_per_env_runner(8))
        .training(|t| t.lr(1e-3).lambda_(0.8).train_batch_size(1024).minibatch_size(256).num_epochs(4))
        .rl_module(|m| m.fcnet_hiddens([64, 64]))
        .evaluation(|e| e.evaluation_interval(5_usize).custom_evaluation_function("both_ways".to_owned()))
        .debugging(|d| d.seed(1_u64));
    let mut ppo = Algorithm::build(Box::new(config))?;
    for _ in 0..20 {
        let result = ppo.train()?;
        let metric = |name: &str| result.get(&format!("evaluation/{name}"));
        if let (Some(greedy), Some(drawn)) = (metric("greedy/long_episodes"), metric("drawn/long_episodes")) {
            println!("episodes of 100 steps and more: {greedy} of 10 greedy, {drawn} of 10 drawn");
        }
    }
    Ok(())
}
