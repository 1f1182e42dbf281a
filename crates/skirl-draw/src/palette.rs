//! The colours of an animation: a GIF holds at most 256.

use std::collections::BTreeMap;

use skirl_env::scene::Rgb;

use crate::raster::Image;

/// Colours of a palette; the last of a GIF's 256 entries says "as before".
const MAX_COLORS: usize = 255;

/// Counts colours, then gives each the index of itself or of the nearest one.
#[derive(Debug, Default)]
pub(crate) struct Palette {
    counts: BTreeMap<Rgb, u64>,
    colors: Vec<Rgb>,
    index: BTreeMap<Rgb, u8>,
}

impl Palette {
    /// Takes the colours of an image into account.
    pub(crate) fn count(&mut self, image: &Image) {
        // Neighbours are mostly equal: a run costs one look-up.
        for run in image.pixels.chunk_by(|left, right| left == right) {
            *self.counts.entry(run[0]).or_default() += run.len() as u64;
        }
    }

    /// Chooses the colours: the most frequent ones, which in drawings are the areas; what falls out are shades of edges.
    pub(crate) fn choose(&mut self) {
        let mut by_count: Vec<(Rgb, u64)> = std::mem::take(&mut self.counts).into_iter().collect();
        by_count.sort_by_key(|(color, count)| (std::cmp::Reverse(*count), *color));
        self.colors = by_count.into_iter().take(MAX_COLORS).map(|(color, _)| color).collect();
        self.index = self.colors.iter().zip(0..).map(|(color, index)| (*color, index)).collect();
    }

    /// The index that says "as before".
    pub(crate) const UNCHANGED: u8 = 255;

    /// Index of a colour, or of the nearest that there is.
    pub(crate) fn index_of(&mut self, color: Rgb) -> u8 {
        if let Some(index) = self.index.get(&color) {
            return *index;
        }
        let nearest = self.colors.iter().zip(0..).min_by_key(|(known, _)| distance(**known, color));
        let index = nearest.map_or(0, |(_, index)| index);
        self.index.insert(color, index);
        index
    }

    /// Red, green, blue of all 256 entries, one after another.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = self.colors.concat();
        bytes.resize(3 * 256, 0);
        bytes
    }
}

fn distance(left: Rgb, right: Rgb) -> u32 {
    left.iter().zip(right).map(|(left, right)| u32::from(left.abs_diff(right)).pow(2)).sum()
}
