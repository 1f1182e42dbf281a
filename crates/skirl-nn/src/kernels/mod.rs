//! Safe functions on slices and matrices, each compiled for every instruction set.
//!
//! All `unsafe` of the crate is here and in [`crate::simd`]; every function checks its sizes, in release builds too.

pub mod vmath;
