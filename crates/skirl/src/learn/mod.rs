//! Learning: `gradients → combine → apply`.
//!
//! Flows in: a [`Batch`] (rows with estimates) and a [`Loss`]. Flows out: better weights and the statistics of the update.
//! A minibatch is cut into chunks of 64 rows and at most [`RUNS`] runs of chunks; each run's gradient is summed by
//! itself and the runs are added in order, so the bytes do not depend on the number of threads. Where policy and value
//! function share nothing, each is learned by itself.

pub mod action_terms;
pub mod gradient;
pub mod learner;
pub mod loss;

pub use crate::contract::Batch;
pub use action_terms::ActionTerms;
pub use gradient::{CHUNK_ROWS, RUNS};
pub use learner::{Learner, LearnerOptions};
pub use loss::{Loss, LossContext};
