//! Initial weights. Every parameter draws from its own stream, named after it, so adding a layer changes no
//! other.
//!
//! ```
//! use skirl_math::rng::StreamKey;
//! use skirl_nn::init::Init;
//!
//! let init = StreamKey::root(7).child("init");
//! let mut weight = vec![0.0; 64 * 4]; // [out, in], row-major
//! Init::Orthogonal { gain: 2f32.sqrt() }.fill(init.child("pi.0.weight"), &[64, 4], 4, &mut weight);
//! ```

use skirl_math::rng::{Stream, StreamKey};

/// How the elements of one parameter are drawn. `fan_in` is the number of inputs of a unit, `fan_out` the
/// number of units.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Init {
    /// All zero.
    Zeros,
    /// All equal.
    Constant(f32),
    /// What PyTorch's `nn.Linear` does to weight and bias: uniform within ±1/√fan_in (for a bias: of its
    /// weight).
    LinearDefault,
    /// Uniform within ±gain·√(6/(fan_in + fan_out)) (Glorot and Bengio 2010).
    XavierUniform {
        /// Factor.
        gain: f32,
    },
    /// Normal with deviation gain·√(2/(fan_in + fan_out)) (Glorot and Bengio 2010).
    XavierNormal {
        /// Factor.
        gain: f32,
    },
    /// Uniform within ±gain·√(3/fan_in) (He et al. 2015; gain √2 for relu).
    KaimingUniform {
        /// Factor.
        gain: f32,
    },
    /// Normal with deviation gain/√fan_in (He et al. 2015; gain √2 for relu).
    KaimingNormal {
        /// Factor.
        gain: f32,
    },
    /// A uniformly (Haar) distributed matrix whose rows, or columns if there are more rows than columns, are
    /// orthogonal and of length `gain` (Saxe et al. 2014).
    Orthogonal {
        /// Factor.
        gain: f32,
    },
    /// Normal numbers, each unit's weights scaled to length `std` (RLlib's `normc_initializer`).
    Normc {
        /// Length of each unit's weights.
        std: f32,
    },
}

impl Init {
    /// Fills a parameter of this shape: `[fan_out, fan_in]` row-major for a weight, `[fan_out]` for a bias,
    /// whose `fan_in` is its weight's. Orthogonal and normc are for weights; a bias they fill with zeros, as
    /// is usual.
    pub fn fill(self, key: StreamKey, shape: &[usize], fan_in: usize, out: &mut [f32]) {
        let mut stream = key.stream();
        let fan_out = shape.first().copied().unwrap_or(1);
        let (inputs, units) = (fan_in.max(1) as f64, fan_out as f64);
        let is_weight = shape.len() > 1;
        match self {
            Self::Constant(value) => out.fill(value),
            Self::LinearDefault => uniform(&mut stream, inputs.sqrt().recip(), out),
            Self::XavierUniform { gain } => {
                uniform(&mut stream, f64::from(gain) * (6.0 / (inputs + units)).sqrt(), out);
            }
            Self::XavierNormal { gain } => {
                normal(&mut stream, f64::from(gain) * (2.0 / (inputs + units)).sqrt(), out);
            }
            Self::KaimingUniform { gain } => {
                uniform(&mut stream, f64::from(gain) * (3.0 / inputs).sqrt(), out);
            }
            Self::KaimingNormal { gain } => normal(&mut stream, f64::from(gain) / inputs.sqrt(), out),
            Self::Orthogonal { gain } if is_weight => orthogonal(&mut stream, gain, fan_out, fan_in, out),
            Self::Normc { std } if is_weight => normc(&mut stream, std, fan_in, out),
            Self::Zeros | Self::Orthogonal { .. } | Self::Normc { .. } => out.fill(0.0),
        }
    }
}

fn uniform(stream: &mut Stream, bound: f64, out: &mut [f32]) {
    for x in out {
        *x = ((2.0 * stream.next_f64() - 1.0) * bound) as f32;
    }
}

fn normal(stream: &mut Stream, std: f64, out: &mut [f32]) {
    for x in out {
        *x = (stream.normal() * std) as f32;
    }
}

fn normc(stream: &mut Stream, std: f32, fan_in: usize, out: &mut [f32]) {
    for unit in out.chunks_mut(fan_in.max(1)) {
        let draws: Vec<f64> = unit.iter().map(|_| stream.normal()).collect();
        let scale = f64::from(std) / dot(&draws, &draws).sqrt();
        for (x, draw) in unit.iter_mut().zip(draws) {
            *x = (draw * scale) as f32;
        }
    }
}

/// In eight partial sums, so that it vectorises; the order is fixed.
fn dot(a: &[f64], b: &[f64]) -> f64 {
    let mut sums = [0.0; 8];
    for (a, b) in a.chunks(8).zip(b.chunks(8)) {
        for ((sum, a), b) in sums.iter_mut().zip(a).zip(b) {
            *sum += a * b;
        }
    }
    sums.iter().sum()
}

/// The shorter side's vectors of a normal matrix, orthonormalised in f64 by modified Gram–Schmidt: the Q of
/// its QR factorisation with a positive diagonal of R, which is what makes Q uniformly distributed (Mezzadri
/// 2007).
fn orthogonal(stream: &mut Stream, gain: f32, rows: usize, cols: usize, out: &mut [f32]) {
    let (count, len) = (rows.min(cols), rows.max(cols));
    let mut vectors: Vec<f64> = (0..count * len).map(|_| stream.normal()).collect();
    let mut rest = &mut vectors[..];
    while !rest.is_empty() {
        let (head, tail) = rest.split_at_mut(len);
        let scale = dot(head, head).sqrt().recip();
        for x in &mut *head {
            *x *= scale;
        }
        for other in tail.chunks_mut(len) {
            let projection = dot(head, other);
            for (x, h) in other.iter_mut().zip(&*head) {
                *x -= projection * h;
            }
        }
        rest = tail;
    }
    for (i, x) in out.iter_mut().enumerate() {
        let (row, col) = (i / cols, i % cols);
        let source = if rows <= cols { row * len + col } else { col * len + row };
        *x = (vectors[source] * f64::from(gain)) as f32;
    }
}
