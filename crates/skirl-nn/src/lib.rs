//! Native neural networks for skirl.
//!
//! From the ground up:
//! - [`simd`]: 16 virtual lanes on AVX-512, AVX2 or plain Rust, chosen at run time;
//! - [`kernels`]: products, activations, layer normalisation and their reverses on slices and matrices;
//! - [`ParamStore`], [`Grads`]: one flat array each, addressed by stable names;
//! - [`Tape`], [`Module`]: a function with a reverse, and the memory of one call;
//! - [`Mlp`], [`ActorCritic`]: the native modules.

pub mod distributions;
mod error;
pub mod kernels;
mod matrix;
mod module;
mod modules;
mod params;
pub mod simd;
mod tape;

pub use error::NnError;
pub use kernels::activation::Activation;
pub use matrix::{AlignedVec, Block, Mat, MatMut};
pub use module::Module;
pub use modules::{ActorCritic, ActorCriticSpec, CHUNK, Mlp, MlpSpec};
pub use params::{Grads, NamedTensor, ParamLayout, ParamStore, TensorInfo};
pub use simd::{Isa, check_isa_env, force_isa, isa};
pub use tape::{Tape, TapeParts, TapeSpec};
