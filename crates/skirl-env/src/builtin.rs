//! The environments that come with this crate.

use std::collections::BTreeMap;

use crate::classic::{CartPole, Native, NativeVector, Pendulum};
use crate::env_config::{boolean, number};
use crate::error::EnvError;
use crate::registry::{EnvContext, EnvSpec};

pub(crate) fn builtin_envs() -> BTreeMap<String, EnvSpec> {
    let mut envs = BTreeMap::new();
    let mut add = |name: &str, spec: EnvSpec| envs.insert(name.to_owned(), spec);
    add("CartPole-v0", cart_pole("CartPole-v0").max_episode_steps(200).reward_threshold(195.0));
    add("CartPole-v1", cart_pole("CartPole-v1").max_episode_steps(500).reward_threshold(475.0));
    add("Pendulum-v1", pendulum("Pendulum-v1").max_episode_steps(200));
    envs
}

fn cart_pole(name: &'static str) -> EnvSpec {
    let physics = move |context: &EnvContext| {
        let sutton_barto_reward = boolean(name, context, "sutton_barto_reward", false)?;
        Ok::<_, EnvError>(CartPole { sutton_barto_reward })
    };
    EnvSpec::single(move |context| Ok(Native::new(physics(context)?)))
        .with_vector(move |context, num_envs, limit| {
            Ok(NativeVector::new(physics(context)?, num_envs, limit))
        })
        .config_keys(&["sutton_barto_reward"])
        .description("Balance a pole on a cart by pushing the cart left or right.")
}

fn pendulum(name: &'static str) -> EnvSpec {
    let physics =
        move |context: &EnvContext| Ok::<_, EnvError>(Pendulum { g: number(name, context, "g", 10.0)? });
    EnvSpec::single(move |context| Ok(Native::new(physics(context)?)))
        .with_vector(move |context, num_envs, limit| {
            Ok(NativeVector::new(physics(context)?, num_envs, limit))
        })
        .config_keys(&["g"])
        .description("Swing a pendulum up and hold it there with little torque.")
}
