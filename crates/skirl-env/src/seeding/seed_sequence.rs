//! NumPy's `SeedSequence` (after M. O'Neill's `seed_seq_fe128`): spreads a seed of any size over a pool of four words.

const INIT_A: u32 = 0x43b0_d7e5;
const MULT_A: u32 = 0x931e_8875;
const INIT_B: u32 = 0x8b51_f9dd;
const MULT_B: u32 = 0x58f3_8ded;
const MIX_MULT_L: u32 = 0xca01_f9dd;
const MIX_MULT_R: u32 = 0x4973_f715;
const XSHIFT: u32 = 16;
const POOL_SIZE: usize = 4;

/// Entropy mixed into a pool of 128 bits, from which generators are seeded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeedSequence {
    pool: [u32; POOL_SIZE],
}

impl SeedSequence {
    /// The pool of `numpy.random.SeedSequence(seed)`.
    pub fn new(seed: u64) -> SeedSequence {
        SeedSequence::from_words(&words_of(seed))
    }

    /// The pool of `numpy.random.SeedSequence(seed, spawn_key=key)`: an independent stream for every key.
    pub fn with_spawn_key(seed: u64, key: &[u32]) -> SeedSequence {
        let mut words = words_of(seed);
        // NumPy pads the entropy to the pool size, so that a spawn key never stands where entropy could.
        words.resize(POOL_SIZE.max(words.len()), 0);
        words.extend_from_slice(key);
        SeedSequence::from_words(&words)
    }

    /// Mixes entropy words, the least significant first.
    pub fn from_words(entropy: &[u32]) -> SeedSequence {
        let mut pool = [0; POOL_SIZE];
        let mut hash_const = INIT_A;
        for (index, word) in pool.iter_mut().enumerate() {
            *word = hash_mix(entropy.get(index).copied().unwrap_or(0), &mut hash_const);
        }
        for source in 0..POOL_SIZE {
            for target in 0..POOL_SIZE {
                if source != target {
                    pool[target] = mix(pool[target], hash_mix(pool[source], &mut hash_const));
                }
            }
        }
        for &word in entropy.iter().skip(POOL_SIZE) {
            for target in &mut pool {
                *target = mix(*target, hash_mix(word, &mut hash_const));
            }
        }
        SeedSequence { pool }
    }

    /// Fills `state` as `generate_state(len, numpy.uint64)` does.
    pub fn generate(&self, state: &mut [u64]) {
        let mut hash_const = INIT_B;
        let mut words = self.pool.iter().cycle().map(|&word| {
            let mut value = word ^ hash_const;
            hash_const = hash_const.wrapping_mul(MULT_B);
            value = value.wrapping_mul(hash_const);
            value ^ (value >> XSHIFT)
        });
        for value in state {
            let low = words.next().unwrap_or(0);
            let high = words.next().unwrap_or(0);
            *value = u64::from(low) | (u64::from(high) << 32);
        }
    }
}

fn words_of(seed: u64) -> Vec<u32> {
    let low = (seed & 0xffff_ffff) as u32;
    let high = (seed >> 32) as u32;
    if high == 0 { vec![low] } else { vec![low, high] }
}

fn hash_mix(value: u32, hash_const: &mut u32) -> u32 {
    let mut value = value ^ *hash_const;
    *hash_const = hash_const.wrapping_mul(MULT_A);
    value = value.wrapping_mul(*hash_const);
    value ^ (value >> XSHIFT)
}

fn mix(left: u32, right: u32) -> u32 {
    let value = MIX_MULT_L.wrapping_mul(left).wrapping_sub(MIX_MULT_R.wrapping_mul(right));
    value ^ (value >> XSHIFT)
}
