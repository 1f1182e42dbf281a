//! The native modules.

mod actor_critic;
mod mlp;
mod stack;

pub use actor_critic::{ActorCritic, ActorCriticSpec};
pub use mlp::{Mlp, MlpSpec};
pub(crate) use stack::StackTape;

/// Rows of a gradient chunk: the unit in which parameter gradients are summed.
pub const CHUNK: usize = 64;

/// The chunks of `rows` rows.
pub(crate) fn chunks(rows: usize) -> impl Iterator<Item = std::ops::Range<usize>> {
    (0..rows).step_by(CHUNK).map(move |start| start..rows.min(start + CHUNK))
}
