//! Scenes in time as an animated GIF.

use std::io::Write;

use gif::{DisposalMethod, Encoder, Frame, Repeat};
use skirl_env::Scene;

use crate::error::DrawError;
use crate::palette::Palette;
use crate::raster::Image;

/// Most frames per second of a GIF: viewers play frames shorter than 0.02 s much more slowly.
pub const MAX_GIF_FPS: f64 = 50.0;

/// Scenes that follow each other, with how long each is seen.
#[derive(Debug, Clone, Default)]
pub struct Animation {
    /// Pictures in order, each with its time in seconds.
    pub frames: Vec<(Scene, f64)>,
    /// Size in pixels; `None` is the usual size of the first scene.
    pub size: Option<[u32; 2]>,
}

/// A rectangle of changed pixels.
struct Patch {
    left: u32,
    top: u32,
    width: u32,
    height: u32,
}

impl Animation {
    /// Adds an episode, played at `fps` frames per second; its last picture stands for `hold` seconds.
    pub fn push_episode(&mut self, scenes: &[Scene], fps: f64, hold: f64) {
        let last = scenes.len().saturating_sub(1);
        let timed = |(index, scene): (usize, &Scene)| {
            (scene.clone(), if index == last { hold.max(1.0 / fps) } else { 1.0 / fps })
        };
        self.frames.extend(scenes.iter().enumerate().map(timed));
    }

    /// Writes the animation, which repeats for ever. One palette for all frames; a frame holds what changed only.
    ///
    /// Times are multiples of 0.01 s in a GIF; they are rounded so that the end of every frame is right to 0.005 s.
    ///
    /// # Errors
    /// No frames, sizes that no picture can have, frames faster than [`MAX_GIF_FPS`], a failing `out`.
    pub fn write_gif(&self, out: impl Write) -> Result<(), DrawError> {
        self.check_times()?;
        let palette = &mut self.palette()?;
        let [width, height] = self.size().unwrap_or_default();
        let screen = |side: u32| u16::try_from(side).map_err(|_| DrawError::BadSize { width, height });
        let mut encoder =
            Encoder::new(out, screen(width)?, screen(height)?, &palette.to_bytes()).map_err(refused)?;
        encoder.set_repeat(Repeat::Infinite).map_err(refused)?;
        let (mut before, mut shown, mut time): (Option<Image>, u64, f64) = (None, 0, 0.0);
        for (scene, seconds) in &self.frames {
            let image = Image::of_scene(scene, Some([width, height]))?;
            time += seconds;
            let end = (time * 100.0).round() as u64;
            let delay = u16::try_from(end - shown).unwrap_or(u16::MAX);
            shown = end;
            encoder.write_frame(&frame(&image, before.as_ref(), palette, delay)).map_err(refused)?;
            before = Some(image);
        }
        Ok(())
    }

    fn size(&self) -> Option<[u32; 2]> {
        self.size.or_else(|| self.frames.first().map(|(scene, _)| scene.size))
    }

    fn check_times(&self) -> Result<(), DrawError> {
        let shortest = self.frames.iter().map(|(_, seconds)| *seconds).fold(f64::INFINITY, f64::min);
        // A hair of tolerance: 1 / 50 is not exact.
        if shortest.is_finite() && shortest * MAX_GIF_FPS >= 1.0 - 1e-9 {
            return Ok(());
        }
        Err(DrawError::BadFps { found: 1.0 / shortest, max: MAX_GIF_FPS })
    }

    /// The colours of all frames. Frames are drawn twice, so that only one has to be in memory.
    fn palette(&self) -> Result<Palette, DrawError> {
        let mut palette = Palette::default();
        for (scene, _) in &self.frames {
            palette.count(&Image::of_scene(scene, self.size())?);
        }
        palette.choose();
        Ok(palette)
    }
}

fn refused(error: gif::EncodingError) -> DrawError {
    DrawError::Encoding { format: "GIF", message: error.to_string() }
}

fn frame(image: &Image, before: Option<&Image>, palette: &mut Palette, delay: u16) -> Frame<'static> {
    let whole = Patch { left: 0, top: 0, width: image.width, height: image.height };
    let patch = before.map_or(whole, |before| changed(image, before));
    let mut indices = Vec::with_capacity((patch.width * patch.height) as usize);
    for y in patch.top..patch.top + patch.height {
        let start = (y * image.width + patch.left) as usize;
        let row = start..start + patch.width as usize;
        let was = before.map(|before| &before.pixels[row.clone()]);
        indices.extend(image.pixels[row].iter().enumerate().map(|(x, color)| {
            if was.is_some_and(|was| was[x] == *color) {
                Palette::UNCHANGED
            } else {
                palette.index_of(*color)
            }
        }));
    }
    Frame {
        delay,
        dispose: DisposalMethod::Keep,
        transparent: Some(Palette::UNCHANGED),
        left: patch.left as u16,
        top: patch.top as u16,
        width: patch.width as u16,
        height: patch.height as u16,
        buffer: indices.into(),
        ..Frame::default()
    }
}

/// The smallest rectangle around all differences; one pixel where there are none, as a frame cannot be empty.
fn changed(image: &Image, before: &Image) -> Patch {
    let width = image.width as usize;
    let rows = image.pixels.chunks(width).zip(before.pixels.chunks(width));
    let (mut left, mut right, mut top, mut bottom) = (width, 0, None, 0);
    for (y, (now, was)) in rows.enumerate() {
        let differs = |x: &usize| now[*x] != was[*x];
        let Some(first) = (0..width).find(differs) else { continue };
        let last = (0..width).rev().find(differs).unwrap_or(first);
        (left, right) = (left.min(first), right.max(last));
        top = top.or(Some(y));
        bottom = y;
    }
    match top {
        Some(top) => Patch {
            left: left as u32,
            top: top as u32,
            width: (right - left + 1) as u32,
            height: (bottom - top + 1) as u32,
        },
        None => Patch { left: 0, top: 0, width: 1, height: 1 },
    }
}
