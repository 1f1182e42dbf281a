//! Pure functions of reinforcement learning on slices.
//!
//! Everything here is a plain function of its arguments: no allocation on the hot paths, no threads, no
//! global state, and the same bytes for the same input on every machine (only IEEE operations in a fixed
//! order; transcendental functions only where documented).
//!
//! | module | what |
//! |---|---|
//! | [`rng`] | the randomness tree: named streams, counter-based words, bulk draws |
//! | [`chain`] | rows of experience chained to each agent's next row, and what follows the last one |
//! | [`gae`](mod@gae) | generalised advantage estimation, rectangular and chained |
//! | [`returns`] | discounted and n-step returns |
//! | [`vtrace`](mod@vtrace) | V-trace off-policy targets |
//! | [`schedule`] | constants and piecewise-linear schedules over environment steps |
//! | [`stats`] | running moments, mean and deviation in a fixed order, explained variance, standardisation |

pub mod chain;
pub mod gae;
pub mod returns;
pub mod rng;
pub mod schedule;
pub mod stats;
pub mod vtrace;
