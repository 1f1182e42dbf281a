//! What may be typed about pictures.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

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

/// Flags of `skirl plot`.
#[derive(Debug, Args)]
pub struct PlotArgs {
    /// Directories of runs, or of several runs; NAME=DIR gives all runs in it one curve with that name
    #[arg(required = true, value_name = "[NAME=]RUN")]
    pub runs: Vec<String>,
    /// Metric, its keys joined by slashes; several make several panels [default: env_runners/episode_return_mean]
    #[arg(long, value_name = "METRIC")]
    pub metric: Vec<String>,
    /// What the x axis shows
    #[arg(long, value_enum, default_value_t)]
    pub x: XAxis,
    /// Picture: NAME.png, NAME.svg, or NAME for both
    #[arg(long, value_name = "FILE", default_value = "curves")]
    pub output: PathBuf,
    /// Which runs share a curve
    #[arg(long, value_enum, default_value_t)]
    pub group_by: GroupBy,
    /// What the band around the median of several runs shows
    #[arg(long, value_enum, default_value_t)]
    pub spread: Spread,
    /// Mean over N results (centred) before runs are put together
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub smooth: usize,
    /// Where runs of a group differ in length: end the curve with the shortest, or carry last values on
    #[arg(long, value_enum, default_value_t)]
    pub after_end: AfterEnd,
    /// Logarithmic axes
    #[arg(long, value_enum)]
    pub log: Option<LogAxes>,
    /// Size of a panel in pixels of 1/96 inch
    #[arg(long, value_name = "WxH", value_parser = size, default_value = "480x320")]
    pub size: [u32; 2],
    /// List the metrics of the runs instead
    #[arg(long)]
    pub list: bool,
}

/// What the x axis shows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum XAxis {
    /// Environment steps since the run began
    #[default]
    Steps,
    /// Training time
    Seconds,
    /// Training iterations
    Iterations,
}

/// Which runs share a curve.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum GroupBy {
    /// Runs of one configuration, whatever their seed
    #[default]
    Config,
    /// Runs of one algorithm in one environment
    Environment,
    /// No two: a curve for every run
    Run,
}

/// What a band shows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Spread {
    /// From the worst to the best run
    #[default]
    MinMax,
    /// The middle half of the runs
    Quartiles,
    /// No band
    None,
}

/// What becomes of a curve where some of its runs have ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum AfterEnd {
    /// It ends
    #[default]
    Cut,
    /// Runs that have ended keep their last value
    Hold,
}

/// Logarithmic axes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogAxes {
    /// The x axis
    X,
    /// The y axes
    Y,
    /// Both
    Xy,
}
