//! The random state that probes share: a generator and what it last drew.

use crate::column::Column;
use crate::env::EnvState;
use crate::error::EnvError;
use crate::seeding::Generator;
use crate::state::{entry, restore_generators, save_generators};

/// Draws small integers and remembers the last draw of each kind.
#[derive(Debug, Clone)]
pub(crate) struct Coin<const N: usize> {
    generator: Generator,
    /// The last draws.
    pub(crate) drawn: [i64; N],
    /// Steps taken in this episode.
    pub(crate) steps: u32,
}

impl<const N: usize> Default for Coin<N> {
    fn default() -> Coin<N> {
        Coin { generator: Generator::seeded(0), drawn: [0; N], steps: 0 }
    }
}

impl<const N: usize> Coin<N> {
    /// Begins an episode: seeds if asked to, draws number `i` from `0..sides[i]`.
    pub(crate) fn toss(&mut self, seed: Option<u64>, sides: [i64; N]) -> [i64; N] {
        if let Some(seed) = seed {
            self.generator = Generator::seeded(seed);
        }
        self.steps = 0;
        self.drawn = sides.map(|sides| self.generator.integers(0, sides));
        self.drawn
    }

    pub(crate) fn save(&self) -> EnvState {
        EnvState::from([
            ("generator".to_owned(), save_generators([&self.generator])),
            ("drawn".to_owned(), Column::I64(self.drawn.to_vec())),
            ("steps".to_owned(), Column::U32(vec![self.steps])),
        ])
    }

    pub(crate) fn restore(&mut self, state: &EnvState) -> Result<(), EnvError> {
        if let Some(generator) = restore_generators(state, "generator", 1)?.pop() {
            self.generator = generator;
        }
        self.drawn.copy_from_slice(entry(state, "drawn", N)?);
        self.steps = entry::<u32>(state, "steps", 1)?[0];
        Ok(())
    }
}

/// 0 as -1, 1 as 1.
pub(crate) fn sign(coin: i64) -> f32 {
    if coin == 0 { -1.0 } else { 1.0 }
}
