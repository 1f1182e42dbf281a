//! The randomness tree: every stream of a run derives from the run's seed by name and index, never by worker
//! or thread.
//!
//! ```
//! use skirl_math::rng::StreamKey;
//! let run = StreamKey::root(42);
//! let env_3 = run.child("env").index(3); // the same key wherever and whenever environment 3 is stepped
//! let mut shuffle = run.child("minibatch").index(7).stream();
//! assert!(shuffle.below(10) < 10);
//! assert_ne!(env_3, run.child("env").index(4));
//! ```
//!
//! A [`StreamKey`] is 64 bits. The word of a stream at a counter is a pure function of `(key, counter)`:
//! `mix(key ^ mix(key + counter·φ))`, where `mix` is the SplitMix64 finaliser (Steele, Lea, Flood 2014, with
//! Stafford's "variant 13" constants) and `φ` the odd integer nearest 2⁶⁴ divided by the golden ratio. The
//! inner half alone is SplitMix64, in which all keys walk one common cycle and two of them may overlap;
//! xoring the key in again between two full mixes parts them: streams share no run of words.
//! It costs four multiplications, vectorises, and any word can be had without the ones before it, which is
//! what makes results independent of batch size, thread count and resumption.

/// The odd integer nearest 2⁶⁴/golden ratio: the step of the counter (a Weyl sequence), as in SplitMix64.
const PHI: u64 = 0x9E37_79B9_7F4A_7C15;
const ROOT: u64 = 0x736B_6972_6C2D_726F;
const NAME: u64 = 0x736B_6972_6C2D_6E61;
const INDEX: u64 = 0x736B_6972_6C2D_6978;

/// SplitMix64's finaliser (Stafford's variant 13): a bijection of 64 bits in which every input bit changes
/// every output bit with probability near one half.
#[inline(always)]
const fn mix(mut x: u64) -> u64 {
    x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^ (x >> 31)
}

/// Absorbs one word into a key. `kind` parts names from indices, so `child("3")` and `index(3)` differ.
const fn absorb(key: u64, kind: u64, word: u64) -> u64 {
    mix(mix(key ^ kind).wrapping_add(mix(word.wrapping_add(PHI))))
}

/// Uniform in [0, 1) from the top 24 bits of a word; a multiple of 2⁻²⁴.
#[inline(always)]
pub const fn unit_f32(word: u64) -> f32 {
    (word >> 40) as u32 as f32 * (1.0 / 16_777_216.0)
}

/// Uniform in the open interval (0, 1) from the top 23 bits of a word: an odd multiple of 2⁻²⁴, symmetric
/// about one half. For inverse distribution functions, which are infinite at 0 and 1.
#[inline(always)]
pub const fn open_unit_f32(word: u64) -> f32 {
    (((word >> 41) as u32) * 2 + 1) as f32 * (1.0 / 16_777_216.0)
}

/// Uniform in [0, 1) from the top 53 bits of a word; a multiple of 2⁻⁵³.
#[inline(always)]
pub const fn unit_f64(word: u64) -> f64 {
    (word >> 11) as f64 * (1.0 / 9_007_199_254_740_992.0)
}

/// The `k`-th word that follows from the first word of a counter:
/// `key.word_at(c, k) == kth_word(key.word(c), k)`.
#[inline(always)]
pub const fn kth_word(first: u64, k: u64) -> u64 {
    if k == 0 { first } else { mix(first.wrapping_add(k.wrapping_mul(PHI))) }
}

/// The name of a stream: a node of the randomness tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StreamKey(pub u64);

impl StreamKey {
    /// The root of a run's tree.
    pub const fn root(seed: u64) -> Self {
        Self(absorb(ROOT, ROOT, seed))
    }

    /// The child of this name. Names are absorbed eight bytes at a time and closed with their length, so
    /// `"a"`, `"a\0"` and `""` all differ, and `child("ab")` is not `child("a").child("b")`.
    pub fn child(self, name: &str) -> Self {
        let mut key = self.0;
        for chunk in name.as_bytes().chunks(8) {
            let mut word = [0u8; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            key = absorb(key, NAME, u64::from_le_bytes(word));
        }
        Self(absorb(key, NAME ^ PHI, name.len() as u64))
    }

    /// The child of this index (environment 3, epoch 17).
    pub const fn index(self, i: u64) -> Self {
        Self(absorb(self.0, INDEX, i))
    }

    /// The word at `counter`: a pure function, in any order, any number of times.
    #[inline(always)]
    pub const fn word(self, counter: u64) -> u64 {
        mix(self.0 ^ mix(self.0.wrapping_add(counter.wrapping_mul(PHI))))
    }

    /// The `k`-th word at `counter`, for draws that need several (one per action dimension).
    /// `word_at(c, 0) == word(c)`.
    #[inline(always)]
    pub const fn word_at(self, counter: u64, k: u64) -> u64 {
        kth_word(self.word(counter), k)
    }

    /// A sequential reader of this stream, starting at counter 0.
    pub const fn stream(self) -> Stream {
        Stream { key: self, counter: 0 }
    }
}

/// A sequential reader of one stream. Its whole state is two `u64`, so saving and restoring it is exact.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stream {
    /// Which stream.
    pub key: StreamKey,
    /// The next word's counter.
    pub counter: u64,
}

impl Stream {
    /// The next 64 uniform bits.
    #[inline]
    pub const fn next_u64(&mut self) -> u64 {
        let word = self.key.word(self.counter);
        self.counter = self.counter.wrapping_add(1);
        word
    }

    /// Uniform in [0, 1), a multiple of 2⁻²⁴.
    #[inline]
    pub const fn next_f32(&mut self) -> f32 {
        unit_f32(self.next_u64())
    }

    /// Uniform in [0, 1), a multiple of 2⁻⁵³.
    #[inline]
    pub const fn next_f64(&mut self) -> f64 {
        unit_f64(self.next_u64())
    }

    /// Uniform integer in [0, n), exactly unbiased (Lemire 2019, "Fast random integer generation in an
    /// interval"). Takes one word except with probability under n/2⁶⁴. `n == 0` yields 0.
    #[inline]
    pub const fn below(&mut self, n: u64) -> u64 {
        let mut product = (self.next_u64() as u128) * (n as u128);
        if (product as u64) < n {
            let threshold = if n == 0 { 0 } else { n.wrapping_neg() % n };
            while (product as u64) < threshold {
                product = (self.next_u64() as u128) * (n as u128);
            }
        }
        (product >> 64) as u64
    }

    /// Standard normal (Box–Muller, the cosine half; two words). Uses the platform's `ln` and `cos`.
    pub fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.next_f64()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.next_f64()).cos()
    }

    /// Shuffles in place, every order equally likely (Fisher–Yates from the back).
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            let other = self.below(last as u64 + 1) as usize;
            items.swap(last, other);
        }
    }

    /// Fills `out` with a random permutation of `0..n`, reusing its memory.
    pub fn permutation(&mut self, n: u32, out: &mut Vec<u32>) {
        out.clear();
        out.extend(0..n);
        self.shuffle(out);
    }
}

/// One uniform in [0, 1) per stream, all at the same counter: `out[i] = unit_f32(keys[i].word(counter))`.
/// Extra elements of the longer slice are left alone.
pub fn uniforms(keys: &[StreamKey], counter: u64, out: &mut [f32]) {
    let step = counter.wrapping_mul(PHI);
    for (x, key) in out.iter_mut().zip(keys) {
        *x = unit_f32(mix(key.0 ^ mix(key.0.wrapping_add(step))));
    }
}
