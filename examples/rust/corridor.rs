//! An environment of your own in under 50 lines, in the same command as the ones that come with skirl:
//!
//! `cargo run --release --example corridor -- train --run=PPO --env=Corridor-v0 --config='{"lr": 1e-3, "fcnet_hiddens": [32, 32]}' --stop='{"env_runners/episode_return_mean": 0.5}'`

use std::process::ExitCode;

use skirl_env::state::entry;
use skirl_env::{Column, DType, Env, EnvError, EnvSpec, EnvState, Row, RowRef, Space, Step, register};

/// Walk to the right end of a corridor. Each step costs 0.1, the end pays 1: the best return is 0.6.
#[derive(Default)]
struct Corridor(i64);

const LENGTH: i64 = 5;

impl Env for Corridor {
    fn observation_space(&self) -> Space {
        Space::boxed(0.0, LENGTH as f64, &[1], DType::F32)
    }

    fn action_space(&self) -> Space {
        Space::discrete(2)
    }

    fn reset(&mut self, _seed: Option<u64>, observation: &mut Row<'_>) -> Result<(), EnvError> {
        self.0 = 0;
        observation.set(&[0.0])
    }

    fn step(&mut self, action: &RowRef<'_>, observation: &mut Row<'_>) -> Result<Step, EnvError> {
        self.0 = (self.0 + if action.discrete_below(2)? == 1 { 1 } else { -1 }).max(0);
        observation.set(&[self.0 as f32])?;
        Ok(if self.0 == LENGTH { Step::terminal(1.0) } else { Step::running(-0.1) })
    }

    fn save_state(&self) -> Option<EnvState> {
        Some(EnvState::from([("position".to_owned(), Column::I64(vec![self.0]))]))
    }

    fn restore_state(&mut self, state: &EnvState) -> Result<(), EnvError> {
        entry::<i64>(state, "position", 1).map(|position| self.0 = position[0])
    }
}

fn main() -> Result<ExitCode, EnvError> {
    register("Corridor-v0", EnvSpec::single(|_| Ok(Corridor::default())).max_episode_steps(100))?;
    Ok(skirl_cli::main_from_args())
}
