//! A curriculum, from a training loop and from a callback: the corridor grows as the agent learns to walk it.
//!
//! `cargo run --release -p skirl --example curriculum`
#![expect(clippy::print_stdout, reason = "an example shows its result")]

use serde_json::{Value, json};
use skirl::callbacks::{CallbackFns, CallbackList};
use skirl::config::PpoConfig;
use skirl::report::TrainResult;
use skirl::{Algorithm, Error};
use skirl_env::state::entry;
use skirl_env::{Column, DType, Env, EnvError, EnvState, Row, RowRef, Space, Step, register_env};

/// Lengths of the corridor, by phase.
const LENGTHS: [i64; 3] = [3, 6, 12];

/// Walk to the right end. Each step costs a part of the length, the end pays 2: the best return is 1 in every phase.
#[derive(Default)]
struct Corridor {
    position: i64,
    phase: usize,
    next_phase: usize,
}

impl Corridor {
    fn observe(&self, observation: &mut Row<'_>) -> Result<(), EnvError> {
        observation.set(&[self.position as f32, LENGTHS[self.phase] as f32])
    }
}

impl Env for Corridor {
    fn observation_space(&self) -> Space {
        Space::boxed(-100.0, 100.0, &[2], DType::F32)
    }

    fn action_space(&self) -> Space {
        Space::discrete(2)
    }

    fn reset(&mut self, _seed: Option<u64>, observation: &mut Row<'_>) -> Result<(), EnvError> {
        (self.position, self.phase) = (0, self.next_phase);
        self.observe(observation)
    }

    fn step(&mut self, action: &RowRef<'_>, observation: &mut Row<'_>) -> Result<Step, EnvError> {
        self.position += 2 * action.discrete_below(2)? - 1;
        self.observe(observation)?;
        let (length, cost) = (LENGTHS[self.phase], 1.0 / LENGTHS[self.phase] as f64);
        Ok(if self.position == length {
            Step::terminal(2.0 - cost)
        } else if self.position == -length {
            Step::terminal(-cost)
        } else {
            Step::running(-cost)
        })
    }

    fn set_task(&mut self, task: &Value) -> Result<(), EnvError> {
        let phase = task.get("phase").and_then(Value::as_u64).map(|phase| phase as usize);
        let known = phase.filter(|&phase| phase < LENGTHS.len());
        self.next_phase = known.ok_or_else(|| EnvError::raised(format!("expected a phase, found {task}")))?;
        Ok(())
    }

    fn get_task(&mut self) -> Result<Value, EnvError> {
        Ok(json!({ "phase": self.next_phase }))
    }

    fn save_state(&self) -> Option<EnvState> {
        let columns = Column::I64(vec![self.position, self.phase as i64]);
        Some(EnvState::from([("corridor".to_owned(), columns)]))
    }

    fn restore_state(&mut self, state: &EnvState) -> Result<(), EnvError> {
        let saved = entry::<i64>(state, "corridor", 2)?;
        (self.position, self.phase) = (saved[0], saved[1] as usize);
        Ok(())
    }
}

fn config() -> Box<PpoConfig> {
    let config = PpoConfig::new()
        .environment("GrowingCorridor-v0")
        .env_runners(|o| o.num_env_runners(0).num_envs_per_env_runner(8))
        .training(|t| t.lr(3e-3).train_batch_size(512).minibatch_size(128).num_epochs(6))
        .rl_module(|m| m.fcnet_hiddens([32, 32]))
        .reporting(|r| r.metrics_num_episodes_for_smoothing(20))
        .debugging(|d| d.seed(1_u64));
    Box::new(config)
}

/// The next phase once this one is learned. The task takes effect at each environment's next reset, and stands in
/// checkpoints.
fn steer(ppo: &mut Algorithm, result: &TrainResult) -> Result<(), Error> {
    if result.get("env_runners/episode_return_mean") < Some(0.8) {
        return Ok(());
    }
    // By the environment's own type: what is changed so is saved by its save_state only.
    let phases = ppo.foreach_env(|_, env| Ok(env.downcast_mut::<Corridor>()?.next_phase))?;
    println!("iteration {}: a corridor of {} is learned", ppo.training_iteration(), LENGTHS[phases[0]]);
    let next = (phases[0] + 1).min(LENGTHS.len() - 1);
    ppo.foreach_env(|_, env| env.set_task(&json!({ "phase": next })))?;
    Ok(())
}

fn main() -> Result<(), Error> {
    register_env("GrowingCorridor-v0", Corridor::default)?;
    println!("from a loop of one's own:");
    let mut by_loop = Algorithm::build(config())?;
    for _ in 0..12 {
        let result = by_loop.train()?;
        steer(&mut by_loop, &result)?;
    }

    println!("from on_train_result:");
    let callbacks = CallbackList::new()
        .with(CallbackFns::new("steer").on_train_result(|ppo, result| Ok(steer(ppo, result)?)));
    let mut by_hook = Algorithm::build_with(config(), callbacks)?;
    for _ in 0..12 {
        by_hook.train()?;
    }
    Ok(())
}
