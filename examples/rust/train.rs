//! The library in twenty lines; the README shows what follows the first blank line.
//! `cargo run --release --example train`
#![expect(clippy::print_stdout, reason = "an example shows its result")]

use std::path::Path;

use skirl::algorithm::EvaluateRequest;
use skirl::config::PpoConfig;
use skirl::{Algorithm, Error};

fn main() -> Result<(), Error> {
    let config = PpoConfig::new()
        .environment("CartPole-v1")
        .env_runners(|o| o.num_env_runners(0).num_envs_per_env_runner(8))
        .training(|t| t.lr(1e-3).lambda_(0.8).train_batch_size(1024).minibatch_size(256).num_epochs(4))
        .rl_module(|m| m.fcnet_hiddens([64, 64]))
        .debugging(|d| d.seed(1_u64));
    let mut ppo = Algorithm::build(Box::new(config))?;
    for _ in 0..20 {
        let result = ppo.train()?;
        println!("{:?}", result.get("env_runners/episode_return_mean"));
    }
    let evaluation = ppo.evaluate(&EvaluateRequest { episodes: Some(100), ..EvaluateRequest::default() })?;
    println!("evaluation: {:?}", evaluation.return_mean());
    ppo.save_to_path(Path::new("target/cartpole-checkpoint"))?;
    Ok(())
}
