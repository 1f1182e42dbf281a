//! Gymnasium's classic control environments, equal to Gymnasium 1.x bit for bit.
//!
//! Each file holds the physics of one environment over *lanes* (structure of arrays: one array for each state variable).
//! `native.rs` turns any of them into an [`crate::Env`] (one lane) or a [`crate::VectorEnv`] (many): the same code, hence
//! the same bytes.

mod acrobot;
mod cartpole;
mod mountain_car;
mod mountain_car_continuous;
mod mountain_picture;
mod native;
mod numpy;
mod pendulum;

pub use acrobot::Acrobot;
pub use cartpole::CartPole;
pub use mountain_car::MountainCar;
pub use mountain_car_continuous::MountainCarContinuous;
pub use native::{Lanes, Native, NativeVector, Physics, Results};
pub use pendulum::Pendulum;
