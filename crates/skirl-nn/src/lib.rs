//! Native neural networks for skirl.

mod error;
pub mod kernels;
pub mod simd;

pub use error::NnError;
pub use simd::{Isa, check_isa_env, force_isa, isa};
