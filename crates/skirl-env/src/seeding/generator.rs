//! `numpy.random.Generator` over PCG64: the draws that environments and spaces need.

use super::SeedSequence;
use crate::error::EnvError;

const MULTIPLIER: u128 = 0x2360_ED05_1FC6_5DA4_4385_DF64_9FCC_F645;
const TO_UNIT: f64 = 1.0 / 9_007_199_254_740_992.0;

/// Words of a saved generator.
pub const STATE_WORDS: usize = 6;

/// Random numbers equal to `numpy.random.default_rng(seed)`'s.
///
/// ```
/// use skirl_env::seeding::Generator;
/// let mut generator = Generator::seeded(42);
/// assert_eq!(generator.random(), 0.7739560485559633);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Generator {
    state: u128,
    increment: u128,
    /// Upper half of a 64-bit draw whose lower half was handed out as 32 bits.
    spare: Option<u32>,
}

impl Generator {
    /// The generator of `numpy.random.default_rng(seed)`.
    pub fn seeded(seed: u64) -> Generator {
        Generator::from_sequence(&SeedSequence::new(seed))
    }

    /// The generator of `numpy.random.Generator(numpy.random.PCG64(sequence))`.
    pub fn from_sequence(sequence: &SeedSequence) -> Generator {
        let mut words = [0_u64; 4];
        sequence.generate(&mut words);
        let seed = join(words[0], words[1]);
        let stream = join(words[2], words[3]);
        let increment = (stream << 1) | 1;
        // PCG's seeding: step from zero, add the seed, step.
        let state = increment.wrapping_add(seed).wrapping_mul(MULTIPLIER).wrapping_add(increment);
        Generator { state, increment, spare: None }
    }

    /// The next 64 random bits.
    #[inline]
    pub fn next_u64(&mut self) -> u64 {
        self.state = self.state.wrapping_mul(MULTIPLIER).wrapping_add(self.increment);
        let folded = ((self.state >> 64) as u64) ^ (self.state as u64);
        folded.rotate_right((self.state >> 122) as u32)
    }

    /// The next 32 random bits; two calls use up one 64-bit draw, lower half first.
    #[inline]
    pub fn next_u32(&mut self) -> u32 {
        if let Some(spare) = self.spare.take() {
            return spare;
        }
        let both = self.next_u64();
        self.spare = Some((both >> 32) as u32);
        both as u32
    }

    /// Uniform in `[0, 1)`, with 53 random bits.
    #[inline]
    pub fn random(&mut self) -> f64 {
        (self.next_u64() >> 11) as f64 * TO_UNIT
    }

    /// Uniform in `[low, high)`, as `Generator.uniform(low, high)`. For arrays NumPy draws element after element, in C
    /// order: call it once for each.
    #[inline]
    pub fn uniform(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.random()
    }

    /// Uniform integer in `[low, high)`, as `Generator.integers(low, high)`: Lemire's method, on 32 bits where the range
    /// allows it. An empty range gives `low`.
    pub fn integers(&mut self, low: i64, high: i64) -> i64 {
        let range = high.wrapping_sub(low).wrapping_sub(1) as u64;
        let offset = match range {
            _ if high <= low => 0,
            0 => 0,
            0xffff_ffff => u64::from(self.next_u32()),
            1..0xffff_ffff => u64::from(self.bounded_u32(range as u32)),
            u64::MAX => self.next_u64(),
            _ => self.bounded_u64(range),
        };
        low.wrapping_add(offset as i64)
    }

    /// Standard normal, by Box and Muller's transform (not NumPy's stream).
    pub fn standard_normal(&mut self) -> f64 {
        // 1 - u lies in (0, 1], so the logarithm is finite.
        let radius = (-2.0 * (1.0 - self.random()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.random()).cos()
    }

    /// Exponential with mean 1, by inversion (not NumPy's stream).
    pub fn standard_exponential(&mut self) -> f64 {
        -(1.0 - self.random()).ln()
    }

    /// The whole state, for exact resume.
    pub fn save(&self) -> [u64; STATE_WORDS] {
        [
            (self.state >> 64) as u64,
            self.state as u64,
            (self.increment >> 64) as u64,
            self.increment as u64,
            u64::from(self.spare.is_some()),
            u64::from(self.spare.unwrap_or(0)),
        ]
    }

    /// Restores what [`Generator::save`] gave.
    pub fn restore(words: &[u64]) -> Result<Generator, EnvError> {
        let &[state_high, state_low, increment_high, increment_low, has_spare, spare] = words else {
            return Err(EnvError::BadState {
                field: "generator".to_owned(),
                expected: format!("{STATE_WORDS} words"),
                found: format!("{} words", words.len()),
            });
        };
        Ok(Generator {
            state: join(state_high, state_low),
            increment: join(increment_high, increment_low) | 1,
            spare: (has_spare != 0).then_some(spare as u32),
        })
    }

    fn bounded_u32(&mut self, range: u32) -> u32 {
        let bound = u64::from(range) + 1;
        let mut product = u64::from(self.next_u32()) * bound;
        if u64::from(product as u32) < bound {
            let threshold = u64::from(u32::MAX - range) % bound;
            while u64::from(product as u32) < threshold {
                product = u64::from(self.next_u32()) * bound;
            }
        }
        (product >> 32) as u32
    }

    fn bounded_u64(&mut self, range: u64) -> u64 {
        let bound = u128::from(range) + 1;
        let mut product = u128::from(self.next_u64()) * bound;
        if u128::from(product as u64) < bound {
            let threshold = u128::from(u64::MAX - range) % bound;
            while u128::from(product as u64) < threshold {
                product = u128::from(self.next_u64()) * bound;
            }
        }
        (product >> 64) as u64
    }
}

fn join(high: u64, low: u64) -> u128 {
    (u128::from(high) << 64) | u128::from(low)
}
