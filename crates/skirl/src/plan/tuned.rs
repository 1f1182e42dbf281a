//! The tuned configurations that ship with the library, so that they are at hand without the repository.

/// (algorithm folder, environment, file name, contents).
const TUNED: [(&str, &str, &str, &str); 8] = [
    (
        "ppo",
        "CartPole-v1",
        "configs/ppo/cartpole.toml",
        include_str!("../../../../configs/ppo/cartpole.toml"),
    ),
    (
        "ppo",
        "Pendulum-v1",
        "configs/ppo/pendulum.toml",
        include_str!("../../../../configs/ppo/pendulum.toml"),
    ),
    (
        "ppo",
        "MountainCar-v0",
        "configs/ppo/mountain_car.toml",
        include_str!("../../../../configs/ppo/mountain_car.toml"),
    ),
    (
        "ppo",
        "MountainCarContinuous-v0",
        "configs/ppo/mountain_car_continuous.toml",
        include_str!("../../../../configs/ppo/mountain_car_continuous.toml"),
    ),
    ("ppo", "Acrobot-v1", "configs/ppo/acrobot.toml", include_str!("../../../../configs/ppo/acrobot.toml")),
    (
        "a2c",
        "CartPole-v1",
        "configs/a2c/cartpole.toml",
        include_str!("../../../../configs/a2c/cartpole.toml"),
    ),
    (
        "a2c",
        "Pendulum-v1",
        "configs/a2c/pendulum.toml",
        include_str!("../../../../configs/a2c/pendulum.toml"),
    ),
    ("pg", "CartPole-v1", "configs/pg/cartpole.toml", include_str!("../../../../configs/pg/cartpole.toml")),
];

/// The tuned configuration file for an environment, if one ships.
pub fn tuned_config(algorithm: &str, env: &str) -> Option<String> {
    let fits = |(folder, name, _, _): &&(&str, &str, &str, &str)| {
        folder.eq_ignore_ascii_case(algorithm) && *name == env
    };
    TUNED.iter().find(fits).map(|(_, _, file, _)| (*file).to_owned())
}

/// All of them, as (file name, contents).
pub fn tuned_configs() -> impl Iterator<Item = (&'static str, &'static str)> {
    TUNED.iter().map(|(_, _, file, contents)| (*file, *contents))
}
