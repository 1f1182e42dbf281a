//! Tests of PPO.
