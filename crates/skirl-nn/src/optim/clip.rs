//! Gradient clipping: by value, by each tensor's norm, by the norm of all (RLlib's `grad_clip_by`).
//!
//! A norm that is not finite scales nothing: the gradients are left as they are, for a finite guard to name
//! the culprit.

use std::ops::Range;

use crate::kernels::vmath;
use crate::simd::{Kernel, LANES, Simd, dispatch};

/// How gradients are clipped.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum GradClip {
    /// Every element into `[−limit, limit]`.
    Value(f32),
    /// Every tensor to this L2 norm at most.
    Norm(f32),
    /// All gradients together to this L2 norm at most.
    GlobalNorm(f32),
}

impl GradClip {
    /// Clips in place; `tensors` are the tensors' places in the flat array, read by [`GradClip::Norm`] only.
    /// Returns the norm of all gradients before clipping.
    pub fn apply(self, grads: &mut [f32], tensors: &[Range<usize>]) -> f32 {
        if let Self::GlobalNorm(limit) = self {
            return clip_by_global_norm(grads, limit);
        }
        let norm = global_norm(grads);
        match self {
            Self::Value(limit) => clip_by_value(grads, limit),
            Self::Norm(limit) => clip_by_norm(grads, tensors, limit),
            Self::GlobalNorm(_) => {}
        }
        norm
    }
}

/// L2 norm, summed in an order that depends on the length only.
pub fn global_norm(grads: &[f32]) -> f32 {
    vmath::sum_of_squares(grads).sqrt()
}

/// Scales so that the norm of all gradients is at most `max_norm`: by `max_norm / (norm + 1e-6)` where that
/// is below 1 (PyTorch's `clip_grad_norm_`). Returns the norm before.
pub fn clip_by_global_norm(grads: &mut [f32], max_norm: f32) -> f32 {
    let norm = global_norm(grads);
    let factor = max_norm / (norm + 1e-6);
    if norm.is_finite() && factor < 1.0 {
        vmath::scale(grads, factor);
    }
    norm
}

/// Scales every tensor by itself so that its norm is at most `max_norm`: by `max_norm / norm` where that is
/// below 1 (RLlib's `"norm"`).
///
/// # Panics
/// If a range reaches past the gradients, as slicing does.
pub fn clip_by_norm(grads: &mut [f32], tensors: &[Range<usize>], max_norm: f32) {
    for range in tensors {
        let tensor = &mut grads[range.clone()];
        let norm = global_norm(tensor);
        if norm.is_finite() && norm > max_norm {
            vmath::scale(tensor, max_norm / norm);
        }
    }
}

struct Clamp<'a>(&'a mut [f32], f32);

impl Kernel for Clamp<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let (low, high) = (s.splat(-self.1), s.splat(self.1));
        let (blocks, rest) = self.0.as_chunks_mut::<LANES>();
        for block in blocks {
            // In this order NaN stays NaN.
            s.store(s.max(low, s.min(high, s.load(block))), block);
        }
        s.store_partial(s.max(low, s.min(high, s.load_partial(rest))), rest);
    }
}

/// Clamps every element into `[−limit, limit]`; NaN stays NaN.
pub fn clip_by_value(grads: &mut [f32], limit: f32) {
    dispatch(Clamp(grads, limit));
}
