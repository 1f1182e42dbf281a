//! The shared update against PyTorch (goldens) and against laws that need no reference.
#![allow(clippy::unwrap_used, clippy::panic)]

mod gradients;
mod support;
mod update;

pub(in crate::algo) use support::{Goldens, action_spaces, learner, relative_distance, weights};
