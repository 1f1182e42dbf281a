//! Callbacks: a metric of each episode, a key of one's own in the results, and a stop criterion on it.
//!
//! `cargo run --release -p skirl --example callbacks -- [RUN DIRECTORY]`
#![expect(clippy::print_stdout, reason = "an example shows its result")]

use std::path::PathBuf;

use serde_json::{Value, json};
use skirl::callbacks::{CallbackFns, CallbackList, Callbacks, Episode, Hook, HookResult, HookSet};
use skirl::config::PpoConfig;
use skirl::run::{Flow, Run};
use skirl::{Algorithm, Error};

/// RLlib's classic: how far the pole leans.
struct PoleAngle;

impl Callbacks for PoleAngle {
    fn name(&self) -> &'static str {
        "pole_angle"
    }

    fn hooks(&self) -> HookSet {
        HookSet::of(&[Hook::AlgorithmInit, Hook::EpisodeStep, Hook::EpisodeEnd])
    }

    fn on_algorithm_init(&self, algorithm: &mut Algorithm) -> HookResult {
        println!("hello, {}", algorithm.config().algorithm());
        Ok(())
    }

    // What has to last until the end of the episode goes into `user_data`, and with it into checkpoints.
    fn on_episode_step(&self, episode: &mut Episode<'_>) -> HookResult {
        let angle = episode.observation(0).ok_or("no observation")?[2].abs();
        let angles = episode.user_data.entry("angles").or_insert_with(|| json!([]));
        angles.as_array_mut().ok_or("no list")?.push(json!(angle));
        Ok(())
    }

    fn on_episode_end(&self, episode: &mut Episode<'_>) -> HookResult {
        let angles = episode.user_data["angles"].as_array().ok_or("no list")?;
        let mean = angles.iter().filter_map(Value::as_f64).sum::<f64>() / angles.len() as f64;
        episode.custom_metrics.insert("pole_angle".to_owned(), mean);
        Ok(())
    }
}

fn main() -> Result<(), Error> {
    // A plain function does as well. Sinks and stop criteria see what it adds.
    let steady = CallbackFns::new("steady").on_train_result(|_, result| {
        let angle = result.get("env_runners/custom_metrics/pole_angle_mean");
        result.set("steadiness", angle.map(|angle| 1.0 / angle));
        Ok(())
    });
    let config = PpoConfig::new()
        .environment("CartPole-v1")
        .env_runners(|o| o.num_env_runners(0).num_envs_per_env_runner(8))
        .training(|t| t.lr(1e-3).lambda_(0.8).train_batch_size(1024).minibatch_size(256).num_epochs(4))
        .rl_module(|m| m.fcnet_hiddens([64, 64]))
        .debugging(|d| d.seed(1_u64))
        .stop("steadiness", 15.0)
        .stop("training_iteration", 60.0);
    let directory = std::env::args().nth(1).map(PathBuf::from);
    let callbacks = CallbackList::new().with(PoleAngle).with(steady);
    let mut run = Run::create_with(Box::new(config), directory.as_deref(), callbacks)?;
    let summary = run.train_until_stop(&mut |result| {
        let metric = |name: &str| result.get(name).unwrap_or_default();
        println!(
            "iteration {}: pole angle {:.4} (largest {:.4}), steadiness {:.1}",
            metric("training_iteration"),
            metric("env_runners/custom_metrics/pole_angle_mean"),
            metric("env_runners/custom_metrics/pole_angle_max"),
            metric("steadiness"),
        );
        Flow::Continue
    })?;
    println!("{}; results in {}", summary.reason, run.path().display());
    Ok(())
}
