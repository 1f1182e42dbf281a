//! Rewriting trajectories: a late reward is spread over the steps that earned it, and looking around is paid for.
//!
//! `cargo run --release -p skirl --example trajectory`
#![expect(clippy::print_stdout, reason = "an example shows its result")]

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use serde_json::{Value, json};
use skirl::callbacks::{CallbackList, Callbacks, Hook, HookResult, HookSet, Trajectory};
use skirl::config::PpoConfig;
use skirl::{Algorithm, Error};

/// Backdates a penalty: the last steps before a pole falls were the wrong ones, not the very last alone.
struct Backdate;

const STEPS: usize = 10;

impl Callbacks for Backdate {
    fn name(&self) -> &'static str {
        "backdate"
    }

    fn hooks(&self) -> HookSet {
        HookSet::of(&[Hook::PostprocessTrajectory])
    }

    fn on_postprocess_trajectory(&self, trajectory: &mut Trajectory) -> HookResult {
        if trajectory.terminated() {
            let first = trajectory.len().saturating_sub(STEPS);
            trajectory.rewards_mut()[first..].iter_mut().for_each(|reward| *reward -= 1.0);
        }
        Ok(())
    }
}

/// Curiosity by counting: a cell of states pays β/√n at its n-th visit (Bellemare et al. 2016, section 4).
#[derive(Default)]
struct Counting(Mutex<BTreeMap<String, u64>>);

const BETA: f32 = 0.1;

impl Callbacks for Counting {
    fn name(&self) -> &'static str {
        "counting"
    }

    fn hooks(&self) -> HookSet {
        HookSet::of(&[Hook::PostprocessTrajectory, Hook::TrainResult])
    }

    fn on_postprocess_trajectory(&self, trajectory: &mut Trajectory) -> HookResult {
        let mut visits = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let width = trajectory.obs_width();
        for row in 0..trajectory.len() {
            let state = &trajectory.obs()[row * width..][..width];
            let cell: Vec<i32> = state.iter().map(|value| (value * 4.0).round() as i32).collect();
            let count = visits.entry(format!("{cell:?}")).or_insert(0);
            *count += 1;
            trajectory.rewards_mut()[row] += BETA / (*count as f32).sqrt();
        }
        Ok(())
    }

    fn on_train_result(&self, _: &mut Algorithm, result: &mut skirl::report::TrainResult) -> HookResult {
        result.set("cells_visited", self.0.lock().unwrap_or_else(PoisonError::into_inner).len());
        Ok(())
    }

    // The counts belong to the run: they are saved with it, so that a resumed run pays what it would have paid.
    fn save_state(&self) -> Result<Option<Value>, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Some(json!(*self.0.lock().unwrap_or_else(PoisonError::into_inner))))
    }

    fn restore_state(&self, state: &Value) -> HookResult {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = serde_json::from_value(state.clone())?;
        Ok(())
    }
}

fn main() -> Result<(), Error> {
    let config = PpoConfig::new()
        .environment("CartPole-v1")
        .env_runners(|o| o.num_env_runners(0).num_envs_per_env_runner(8))
        .training(|t| t.lr(1e-3).lambda_(0.8).train_batch_size(1024).minibatch_size(256).num_epochs(4))
        .rl_module(|m| m.fcnet_hiddens([64, 64]))
        .debugging(|d| d.seed(1_u64));
    // In this order: curiosity sees rewards that are backdated already.
    let callbacks = CallbackList::new().with(Backdate).with(Counting::default());
    let mut ppo = Algorithm::build_with(Box::new(config), callbacks)?;
    for _ in 0..30 {
        let result = ppo.train()?;
        let metric = |name: &str| result.get(name).unwrap_or_default();
        println!(
            "iteration {}: {} cells visited, return {:.1}",
            metric("training_iteration"),
            metric("cells_visited"),
            // The environment's own: what callbacks do to rewards is for learning only.
            metric("env_runners/episode_return_mean"),
        );
    }
    Ok(())
}
