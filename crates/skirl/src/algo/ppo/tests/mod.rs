//! PPO's loss and update against PyTorch (goldens), and against laws that need no reference.
#![allow(clippy::unwrap_used, clippy::panic)]

mod gradients;
mod laws;
mod update;

use super::PpoRule;
use crate::algo::on_policy::BatchLearner;
use crate::algo::on_policy::tests::{Goldens, action_spaces, learner, relative_distance, weights};

type PpoLearner = BatchLearner<PpoRule>;

/// File of the goldens.
const GOLDENS: &str = "ppo.safetensors";
