//! Safe functions on slices and matrices, each compiled for every instruction set.
//!
//! The crate's `unsafe` is here, in [`crate::simd`] and in `flush`; every function checks its sizes, in
//! release builds too.

pub mod activation;
mod epilogue;
pub mod layer_norm;
pub mod linear;
pub mod narrow;
pub mod peak;
pub mod through;
mod tile;
pub mod vmath;
