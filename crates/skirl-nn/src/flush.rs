//! Subnormal numbers as zero.
//!
//! Arithmetic on subnormal numbers (below 1.2e-38) is up to a hundred times slower on many processors, and dying
//! activations produce them. Every worker thread therefore runs with a [`FlushDenormals`] guard.

use std::marker::PhantomData;

/// While it lives, this thread reads and writes subnormal numbers as zero (FTZ and DAZ of x86 MXCSR, FZ of aarch64
/// FPCR). Dropping it restores what was before. On other processors it does nothing.
#[derive(Debug)]
#[must_use = "subnormal numbers are flushed only while the guard lives"]
pub struct FlushDenormals {
    before: control::Word,
    /// The control word belongs to the thread, so the guard must stay on it.
    not_send: PhantomData<*const ()>,
}

impl FlushDenormals {
    /// Starts flushing on this thread.
    pub fn enable() -> Self {
        let before = control::read();
        control::write(before | control::FLUSH);
        Self { before, not_send: PhantomData }
    }

    /// Stops flushing on this thread while the guard lives: around code that expects subnormal numbers as they are, such as
    /// another language's.
    pub fn suspend() -> Self {
        let before = control::read();
        control::write(before & !control::FLUSH);
        Self { before, not_send: PhantomData }
    }

    /// Whether this thread flushes subnormal numbers now.
    pub fn is_enabled() -> bool {
        control::FLUSH != 0 && control::read() & control::FLUSH == control::FLUSH
    }
}

impl Drop for FlushDenormals {
    fn drop(&mut self) {
        // Only the flush bits: the exception flags are sticky, and what was raised meanwhile stays raised.
        control::write(control::read() & !control::FLUSH | self.before & control::FLUSH);
    }
}

#[cfg(all(target_arch = "x86_64", not(miri)))]
mod control {
    use std::arch::asm;

    pub(super) type Word = u32;
    /// Flush to zero (bit 15) and denormals are zero (bit 6).
    pub(super) const FLUSH: Word = 1 << 15 | 1 << 6;

    pub(super) fn read() -> Word {
        let mut word: Word = 0;
        // SAFETY: stmxcsr stores 32 bits to the address of `word`; every x86-64 has it.
        unsafe { asm!("stmxcsr [{}]", in(reg) &raw mut word, options(nostack, preserves_flags)) };
        word
    }

    pub(super) fn write(word: Word) {
        // SAFETY: ldmxcsr loads 32 bits from the address of `word`. The word was read from the register and differs in
        // the two flush bits only, so no reserved bit is set and exceptions stay masked. Rust assumes the default
        // floating-point environment; what the bits change is the treatment of subnormal numbers, which is the purpose,
        // and no code of this crate relies on subnormal results.
        unsafe { asm!("ldmxcsr [{}]", in(reg) &raw const word, options(nostack, preserves_flags, readonly)) };
    }
}

#[cfg(all(target_arch = "aarch64", not(miri)))]
mod control {
    use std::arch::asm;

    pub(super) type Word = u64;
    /// Flush to zero.
    pub(super) const FLUSH: Word = 1 << 24;

    pub(super) fn read() -> Word {
        let word: Word;
        // SAFETY: reads the floating-point control register.
        unsafe { asm!("mrs {}, fpcr", out(reg) word, options(nomem, nostack, preserves_flags)) };
        word
    }

    pub(super) fn write(word: Word) {
        // SAFETY: writes the floating-point control register with the flush bit changed; see x86-64.
        unsafe { asm!("msr fpcr, {}", in(reg) word, options(nomem, nostack, preserves_flags)) };
    }
}

#[cfg(not(all(any(target_arch = "x86_64", target_arch = "aarch64"), not(miri))))]
mod control {
    pub(super) type Word = u32;
    pub(super) const FLUSH: Word = 0;
    pub(super) fn read() -> Word {
        0
    }
    pub(super) fn write(_: Word) {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::hint::black_box;

    /// A subnormal result where nothing flushes.
    fn half_of_the_smallest_normal() -> f32 {
        black_box(f32::MIN_POSITIVE) * black_box(0.5)
    }

    /// A normal result, of a subnormal operand.
    fn scaled_subnormal() -> f32 {
        black_box(f32::from_bits(1 << 20)) * black_box(1e10)
    }

    #[test]
    #[cfg_attr(
        not(all(any(target_arch = "x86_64", target_arch = "aarch64"), not(miri))),
        ignore = "no control word"
    )]
    fn subnormal_results_and_operands_are_zero_while_the_guard_lives() {
        assert!(!FlushDenormals::is_enabled());
        assert!(half_of_the_smallest_normal() > 0.0);
        assert!(scaled_subnormal() > 0.0);
        {
            let _guard = FlushDenormals::enable();
            assert!(FlushDenormals::is_enabled());
            assert_eq!(half_of_the_smallest_normal().to_bits(), 0);
            assert_eq!(scaled_subnormal().to_bits(), 0);
            {
                let _inner = FlushDenormals::enable();
            }
            assert!(FlushDenormals::is_enabled(), "an inner guard must restore the outer one's state");
            {
                let _lifted = FlushDenormals::suspend();
                assert!(half_of_the_smallest_normal() > 0.0);
            }
            assert!(FlushDenormals::is_enabled(), "what was lifted must come back");
        }
        assert!(!FlushDenormals::is_enabled());
        assert!(half_of_the_smallest_normal() > 0.0);
    }

    #[test]
    fn a_guard_is_of_its_thread() {
        let _guard = FlushDenormals::enable();
        let other = std::thread::spawn(FlushDenormals::is_enabled).join().unwrap();
        // Linux gives a new thread a fresh control word; elsewhere it may inherit ours. Either way ours stays.
        let _ = other;
        assert_eq!(FlushDenormals::is_enabled(), control::FLUSH != 0);
    }
}
