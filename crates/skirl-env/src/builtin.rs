//! The environments that come with this crate.

use std::collections::BTreeMap;

use crate::classic::{
    Acrobot, CartPole, MountainCar, MountainCarContinuous, Native, NativeVector, Pendulum, Physics,
};
use crate::env_config::{boolean, number};
use crate::error::EnvError;
use crate::probe::probes;
use crate::registry::{EnvContext, EnvSpec};
use crate::testing::FaultyEnv;
use crate::two_cart_poles::TwoCartPoles;

pub(crate) fn builtin_envs() -> BTreeMap<String, EnvSpec> {
    let mut envs = BTreeMap::new();
    let mut add = |name: &str, spec: EnvSpec| envs.insert(name.to_owned(), spec);
    add("CartPole-v0", cart_pole("CartPole-v0").max_episode_steps(200).reward_threshold(195.0));
    add("CartPole-v1", cart_pole("CartPole-v1").max_episode_steps(500).reward_threshold(475.0));
    add("Pendulum-v1", pendulum());
    add("MountainCar-v0", mountain_car());
    add("MountainCarContinuous-v0", mountain_car_continuous());
    add("Acrobot-v1", acrobot());
    add("TwoCartPole-v0", two_cart_poles());
    add("testing/Faulty-v0", faulty("testing/Faulty-v0"));
    for (name, spec) in probes() {
        add(name, spec);
    }
    envs
}

/// One and many environments from one way to configure the physics.
fn native<P: Physics + 'static>(
    keys: &[&str],
    physics: impl Fn(&EnvContext) -> Result<P, EnvError> + Clone + Send + Sync + 'static,
) -> EnvSpec {
    let same = physics.clone();
    EnvSpec::single(move |context| Ok(Native::new(physics(context)?)))
        .with_vector(move |context, num_envs, limit| Ok(NativeVector::new(same(context)?, num_envs, limit)))
        .config_keys(keys)
}

fn cart_pole(name: &'static str) -> EnvSpec {
    native(&["sutton_barto_reward"], move |context| {
        Ok(CartPole { sutton_barto_reward: boolean(name, context, "sutton_barto_reward", false)? })
    })
    .description("Balance a pole on a cart by pushing the cart left or right.")
}

fn pendulum() -> EnvSpec {
    native(&["g"], |context| Ok(Pendulum { g: number("Pendulum-v1", context, "g", 10.0)? }))
        .description("Swing a pendulum up and hold it there with little torque.")
        .max_episode_steps(200)
}

fn mountain_car() -> EnvSpec {
    native(&["goal_velocity"], |context| {
        Ok(MountainCar { goal_velocity: number("MountainCar-v0", context, "goal_velocity", 0.0)? })
    })
    .description("Drive out of a valley with an engine too weak to climb.")
    .max_episode_steps(200)
    .reward_threshold(-110.0)
}

fn mountain_car_continuous() -> EnvSpec {
    native(&["goal_velocity"], |context| {
        let goal_velocity = number("MountainCarContinuous-v0", context, "goal_velocity", 0.0)?;
        Ok(MountainCarContinuous { goal_velocity })
    })
    .description("Drive out of a valley with a throttle, sparing fuel.")
    .max_episode_steps(999)
    .reward_threshold(90.0)
}

fn acrobot() -> EnvSpec {
    native(&[], |_| Ok(Acrobot))
        .description("Swing two links above a bar by torque on the joint between them.")
        .max_episode_steps(500)
        .reward_threshold(-100.0)
}

fn two_cart_poles() -> EnvSpec {
    EnvSpec::multi(|_| Ok(TwoCartPoles::default()))
        .config_keys(&[])
        .description("Two cart-poles side by side, one agent each.")
        .max_episode_steps(500)
}

/// A registered environment made faulty: for tests of whole runs.
fn faulty(name: &'static str) -> EnvSpec {
    EnvSpec::single(move |context| FaultyEnv::from_context(name, context))
        .config_keys(&FaultyEnv::CONFIG_KEYS)
        .description("Another environment with a planted fault.")
        .hidden()
}
