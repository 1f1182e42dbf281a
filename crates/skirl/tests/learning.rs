//! PPO solves CartPole with the shipped settings, within a budget of steps.
//!
//! Runs are deterministic: on one instruction set the test passes always or never, so it has no false alarms there. On
//! another one the last bits differ, and each seed is a new draw.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::float_cmp)]

mod runs;

use std::path::Path;

use skirl::Algorithm;
use skirl::algorithm::EvaluateRequest;
use skirl::config;

/// Environment steps within which the mean of the last 100 episodes must reach 475.
const BUDGET: u64 = 250_000;

#[test]
fn cart_pole_is_solved_and_stays_solved() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../configs/ppo/cartpole.toml");
    for seed in 1..=3 {
        let mut config = config::load_file(&file).unwrap();
        config.common_mut().debugging.seed = Some(seed);
        let mut algorithm = Algorithm::build(config).unwrap();
        let mut best = 0.0f64;
        while best < 475.0 {
            let result = algorithm.train().unwrap();
            best = result.get("env_runners/episode_return_mean").unwrap_or(0.0);
            assert!(algorithm.env_steps() <= BUDGET, "seed {seed}: {best} after {BUDGET} steps");
        }
        let request = EvaluateRequest { episodes: Some(100), seed: Some(1000), ..EvaluateRequest::default() };
        let held = algorithm.evaluate(&request).unwrap().return_mean().unwrap();
        assert!(held >= 475.0, "seed {seed}: {held} in 100 unseen episodes");
    }
}
