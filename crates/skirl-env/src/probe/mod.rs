//! Probe environments: tiny problems with known values, each of which isolates one part of a learner.
//!
//! All are registered under `probe/…` and left out of listings. The values hold for the discount γ of the learner.
//!
//! | name | tests | value under the best policy |
//! |---|---|---|
//! | `probe/Constant-v0` | value loss, optimizer | 1 |
//! | `probe/ObservationValue-v0` | the observation reaches the value network | the observation (±1) |
//! | `probe/DelayedReward-v0` | discounting | γ at observation 0, 1 at observation 1 |
//! | `probe/ActionReward-v0` | sign of the policy gradient | 1 |
//! | `probe/MatchObservation-v0` | policy, value and observation together | 1 |
//! | `probe/TruncatedForever-v0` | bootstrap at truncation | 1 / (1 - γ) |
//! | `probe/ContinuousBound-v0` | squashing and clipping of actions; an action outside the bounds is an error | 1 |
//! | `probe/MultiDiscrete-v0` | several discrete actions at once | 1 |
//! | `probe/DictObservation-v0` | nested observations | 1 |
//! | `probe/Memory-v0` | recurrent state: the cue shows in the first step only | γ at the cue, 1 at the question |
//! | `probe/TurnBased-v0` | two agents in turns, rewards out of turn | 1 + γ in the first round, 1 in the second |
//! | `probe/Simultaneous-v0` | two agents at once with opposite tasks, of which one ends first | `matcher` 1 + γ, then 1; `differ` 1 |

mod actions;
mod coin;
mod memory;
mod nested;
mod one_step;
mod simultaneous;
mod turn_based;
mod two_step;

pub use actions::{ContinuousBound, MultiDiscreteMatch};
pub use memory::Memory;
pub use nested::DictObservation;
pub use one_step::{ActionReward, Constant, MatchObservation, ObservationValue};
pub use simultaneous::Simultaneous;
pub use turn_based::TurnBased;
pub use two_step::{DelayedReward, TruncatedForever};

use crate::dtype::DType;
use crate::registry::EnvSpec;
use crate::space::Space;

/// Steps after which `probe/TruncatedForever-v0` is truncated.
pub const TRUNCATED_FOREVER_STEPS: u32 = 8;

/// One number in [-1, 1].
fn unit_observation() -> Space {
    Space::boxed(-1.0, 1.0, &[1], DType::F32)
}

/// All probes with their names.
pub(crate) fn probes() -> Vec<(&'static str, EnvSpec)> {
    let probes = vec![
        ("probe/Constant-v0", EnvSpec::single(|_| Ok(Constant)), "One step, reward 1."),
        (
            "probe/ObservationValue-v0",
            EnvSpec::single(|_| Ok(ObservationValue::default())),
            "One step, the reward is the observation.",
        ),
        (
            "probe/DelayedReward-v0",
            EnvSpec::single(|_| Ok(DelayedReward::default())),
            "Two steps, reward 1 at the end.",
        ),
        (
            "probe/ActionReward-v0",
            EnvSpec::single(|_| Ok(ActionReward)),
            "One step, the reward is the action.",
        ),
        (
            "probe/MatchObservation-v0",
            EnvSpec::single(|_| Ok(MatchObservation::default())),
            "One step, reward 1 if the action matches the observation, else -1.",
        ),
        (
            "probe/TruncatedForever-v0",
            EnvSpec::single(|_| Ok(TruncatedForever)).max_episode_steps(TRUNCATED_FOREVER_STEPS),
            "Reward 1 for ever; only the time limit ends it.",
        ),
        (
            "probe/ContinuousBound-v0",
            EnvSpec::single(|_| Ok(ContinuousBound)),
            "One step, the best action lies on the upper bound, actions outside are refused.",
        ),
        (
            "probe/MultiDiscrete-v0",
            EnvSpec::single(|_| Ok(MultiDiscreteMatch::default())),
            "One step, the reward is the share of actions that match the observation.",
        ),
        (
            "probe/DictObservation-v0",
            EnvSpec::single(|_| Ok(DictObservation::default())),
            "One step, the right action depends on two parts of a nested observation.",
        ),
        (
            "probe/Memory-v0",
            EnvSpec::single(|_| Ok(Memory::default())),
            "Two steps, the cue of the first is asked for in the second.",
        ),
        (
            "probe/TurnBased-v0",
            EnvSpec::multi(|_| Ok(TurnBased::default())),
            "Two agents in turns, each paid when the other has moved.",
        ),
        (
            "probe/Simultaneous-v0",
            EnvSpec::multi(|_| Ok(Simultaneous::default())),
            "Two agents at once with opposite tasks; one ends a step earlier.",
        ),
    ];
    let describe = |(name, spec, description): (_, EnvSpec, &str)| {
        (name, spec.description(description).hidden().config_keys(&[]))
    };
    probes.into_iter().map(describe).collect()
}
