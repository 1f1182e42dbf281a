//! Counters that all environments share, and that the training loop reads and writes: a mine with ore for all miners.
//!
//! `cargo run --release -p skirl --example shared_counter`
#![expect(clippy::print_stdout, reason = "an example shows its result")]

use skirl::config::PpoConfig;
use skirl::{Algorithm, Error};
use skirl_env::shared_state::Counter;
use skirl_env::{DType, Env, EnvError, EnvSpec, Row, RowRef, Space, Step, register};

/// One step is one episode: dig, or leave it. Digging pays while there is ore, for all miners together.
struct Mine {
    ore: Counter,
    dug: Counter,
}

impl Env for Mine {
    fn observation_space(&self) -> Space {
        Space::boxed(0.0, 1.0, &[1], DType::F32)
    }

    fn action_space(&self) -> Space {
        Space::discrete(2)
    }

    fn reset(&mut self, _seed: Option<u64>, observation: &mut Row<'_>) -> Result<(), EnvError> {
        observation.set(&[f32::from(self.ore.get()? > 0)])
    }

    fn step(&mut self, action: &RowRef<'_>, observation: &mut Row<'_>) -> Result<Step, EnvError> {
        // What the counter said when this training step began, whatever the others do meanwhile.
        let ore = self.ore.get()?;
        observation.set(&[f32::from(ore > 0)])?;
        if action.discrete_below(2)? == 0 {
            return Ok(Step::terminal(0.0));
        }
        self.dug.add(1)?;
        self.ore.add(-1)?;
        Ok(Step::terminal(if ore > 0 { 1.0 } else { -1.0 }))
    }
}

fn main() -> Result<(), Error> {
    let mine = |context: &skirl_env::EnvContext| {
        Ok(Mine { ore: context.shared.counter("ore"), dug: context.shared.counter("dug") })
    };
    register("Mine-v0", EnvSpec::single(mine))?;
    let config = PpoConfig::new()
        .environment("Mine-v0")
        .env_runners(|o| o.num_env_runners(0).num_envs_per_env_runner(8))
        .training(|t| t.lr(3e-3).train_batch_size(256).minibatch_size(128).num_epochs(4))
        .rl_module(|m| m.fcnet_hiddens([16]))
        .debugging(|d| d.seed(1_u64));
    let mut ppo = Algorithm::build(Box::new(config))?;
    let (ore, dug) = (ppo.shared_state().counter("ore"), ppo.shared_state().counter("dug"));
    for day in 1..=20 {
        // Ore is found on every other day; the environments see it from the next training step on.
        ore.add(if day % 2 == 0 { 200 } else { -ore.get()? })?;
        let before = dug.get()?;
        ppo.train()?;
        println!("day {day:2}: dug {:3} of 256 times", dug.get()? - before);
    }
    println!("dug {} times in {} steps", dug.get()?, ppo.env_steps());
    Ok(())
}
