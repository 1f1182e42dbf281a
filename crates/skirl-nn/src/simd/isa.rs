//! Which instruction set this process uses, decided once.

use std::fmt;
use std::str::FromStr;
use std::sync::atomic::{AtomicU8, Ordering};

use crate::NnError;

/// An instruction set the kernels are compiled for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Isa {
    /// Plain Rust: any processor.
    Portable = 1,
    /// AVX2 with FMA (x86-64 since 2013).
    Avx2 = 2,
    /// AVX-512 F, DQ, BW, VL (and AVX2 with FMA).
    Avx512 = 3,
}

/// Environment variable that pins the instruction set by name.
const ENV: &str = "SKIRL_ISA";
const UNSET: u8 = 0;
static CURRENT: AtomicU8 = AtomicU8::new(UNSET);

impl Isa {
    /// Every instruction set, best last.
    pub const ALL: [Self; 3] = [Self::Portable, Self::Avx2, Self::Avx512];

    /// Name used in `SKIRL_ISA` and in manifests.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Portable => "portable",
            Self::Avx2 => "avx2",
            Self::Avx512 => "avx512",
        }
    }

    /// The best one that this processor has.
    pub fn best() -> Self {
        Self::ALL.into_iter().rev().find(|isa| isa.is_available()).unwrap_or(Self::Portable)
    }

    /// Whether this processor has it.
    pub fn is_available(self) -> bool {
        match self {
            Self::Portable => true,
            Self::Avx2 => has_avx2(),
            Self::Avx512 => has_avx512(),
        }
    }

    fn available(self) -> Result<Self, NnError> {
        if self.is_available() {
            Ok(self)
        } else {
            Err(NnError::IsaUnavailable { wanted: self.name(), best: Self::best().name() })
        }
    }
}

impl fmt::Display for Isa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Isa {
    type Err = NnError;

    fn from_str(name: &str) -> Result<Self, NnError> {
        Self::ALL
            .into_iter()
            .find(|isa| isa.name() == name)
            .ok_or_else(|| NnError::UnknownIsa { name: name.to_owned() })
    }
}

/// The instruction set of this process: the forced one, else the one named by `SKIRL_ISA`, else the best.
///
/// An unusable `SKIRL_ISA` is passed over here; [`check_isa_env`] reports it.
#[inline]
pub fn isa() -> Isa {
    match CURRENT.load(Ordering::Relaxed) {
        1 => Isa::Portable,
        2 => Isa::Avx2,
        3 => Isa::Avx512,
        _ => decide(),
    }
}

#[cold]
fn decide() -> Isa {
    let chosen = check_isa_env().unwrap_or_else(|_| Isa::best());
    CURRENT.store(chosen as u8, Ordering::Relaxed);
    chosen
}

/// What `SKIRL_ISA` asks for, or the best where it is not set. Errors on an unknown name or one not available here.
pub fn check_isa_env() -> Result<Isa, NnError> {
    match std::env::var(ENV) {
        Ok(name) => name.parse::<Isa>()?.available(),
        Err(_) => Ok(Isa::best()),
    }
}

/// Makes the whole process use `isa`. Call it before the first kernel runs: a change half way mixes the bytes of two
/// instruction sets (memory layouts are the same, so nothing worse).
pub fn force_isa(isa: Isa) -> Result<(), NnError> {
    CURRENT.store(isa.available()? as u8, Ordering::Relaxed);
    Ok(())
}

#[cfg(all(target_arch = "x86_64", not(miri)))]
fn has_avx2() -> bool {
    is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma")
}
#[cfg(all(target_arch = "x86_64", not(miri)))]
fn has_avx512() -> bool {
    has_avx2()
        && is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512dq")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512vl")
}
// Miri interprets the portable path only.
#[cfg(not(all(target_arch = "x86_64", not(miri))))]
fn has_avx2() -> bool {
    false
}
#[cfg(not(all(target_arch = "x86_64", not(miri))))]
fn has_avx512() -> bool {
    false
}
