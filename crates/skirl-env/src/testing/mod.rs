//! Environments that misbehave on purpose, to test that a learner, a checker or a runner notices.

mod faulty;

pub use faulty::{Fault, FaultyEnv};
