//! Native neural networks for skirl.

pub mod distributions;
mod error;
pub mod init;
pub mod kernels;
pub mod matrix;
pub mod optim;
pub mod simd;

pub use error::NnError;
pub use simd::{Isa, check_isa_env, force_isa, isa};
