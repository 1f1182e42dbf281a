//! NumPy's seeding and generator, reproduced bit for bit: `SeedSequence` and PCG64 (XSL-RR 128/64).
//!
//! Gymnasium environments draw their initial states from `np.random.Generator(np.random.PCG64(SeedSequence(seed)))`,
//! so the same seed gives the same initial state here.

mod generator;
mod seed_sequence;

pub use generator::{Generator, STATE_WORDS};
pub use seed_sequence::SeedSequence;
