//! What may be typed about pictures.

use std::path::PathBuf;

use clap::Args;

/// Flags of `skirl evaluate` that film episodes.
#[derive(Debug, Default, Args)]
pub struct RenderArgs {
    /// Film episodes: an animation (NAME.gif), or one PNG per step in a directory
    #[arg(long, value_name = "FILE.gif|DIR")]
    pub render: Option<PathBuf>,
    /// Film the first N episodes [default: 1]
    #[arg(long, value_name = "N", requires = "render")]
    pub render_episodes: Option<usize>,
    /// Steps shown per second [default: the environment's own speed]
    #[arg(long, value_name = "FPS", requires = "render")]
    pub render_fps: Option<f64>,
    /// Size of the pictures in pixels [default: the environment's own, for example 600x400]
    #[arg(long, value_name = "WxH", value_parser = size, requires = "render")]
    pub render_size: Option<[u32; 2]>,
}

/// `600x400`
fn size(text: &str) -> Result<[u32; 2], String> {
    let wrong =
        || format!("expected width x height in pixels, each from 16 to {MAX_SIDE}, for example 600x400");
    let (width, height) = text.split_once(['x', '×']).ok_or_else(wrong)?;
    let side = |text: &str| text.parse().ok().filter(|side| (16..=MAX_SIDE).contains(side)).ok_or_else(wrong);
    Ok([side(width)?, side(height)?])
}

/// Most pixels of a side.
const MAX_SIDE: u32 = 4096;
