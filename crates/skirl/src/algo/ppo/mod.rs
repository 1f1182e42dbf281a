//! Proximal policy optimization (Schulman et al. 2017): `collect → gae → ppo_update → publish`.
//!
//! What each option does, and how this PPO differs from others: `README.md` beside this file.

pub mod loss;
pub mod pipeline;
mod plan;
pub mod stage;
pub mod update;

#[cfg(test)]
mod tests;

pub use pipeline::build;
pub use plan::plan;
