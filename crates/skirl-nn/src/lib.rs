//! Native neural networks for skirl.
//!
//! From the ground up:
//! - [`simd`]: 16 virtual lanes on AVX-512, AVX2 or plain Rust, chosen at run time;
//! - [`kernels`]: products, activations, layer normalisation and their reverses on slices and matrices;
//! - [`ParamStore`], [`Grads`]: one flat array each, addressed by stable names;
//! - [`Tape`], [`Module`]: a function with a reverse, and the memory of one call;
//! - [`Mlp`], [`ActorCritic`]: the native modules;
//! - [`distributions`]: actions drawn from a module's output, their log-probabilities and gradients;
//! - [`optim`]: optimizers and gradient clipping; [`init`](mod@init): initial weights.
//! - [`to_safetensors`], [`from_safetensors`]: parameters as bytes; [`FlushDenormals`]: for every worker thread.

pub mod distributions;
mod error;
mod flush;
pub mod init;
pub mod kernels;
mod matrix;
mod module;
mod modules;
pub mod optim;
mod params;
pub mod simd;
mod state;
mod tape;

pub use error::NnError;
pub use flush::FlushDenormals;
pub use kernels::activation::Activation;
pub use matrix::{AlignedVec, Block, Mat, MatMut};
pub use module::{Module, OutputUpdate, Refresh, SeparateOutputs};
pub use modules::{ActorCritic, ActorCriticSpec, CHUNK, Mlp, MlpSpec};
pub use params::{Grads, NamedTensor, ParamLayout, ParamStore, TensorInfo};
pub use simd::{Isa, check_isa_env, force_isa, isa};
pub use state::{MAX_STATE_BYTES, from_safetensors, to_safetensors};
pub use tape::{Tape, TapeParts, TapeSpec};
