//! What may be typed.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::builder::styling::{AnsiColor, Styles};
use clap::{Args, Parser, Subcommand, ValueEnum, ValueHint};
use clap_complete::Shell;

#[cfg(feature = "plot")]
mod pictures;

#[cfg(feature = "plot")]
pub use pictures::{AfterEnd, GroupBy, LogAxes, PlotArgs, RenderArgs, Spread, XAxis};

const EXIT_CODES: &str = "\
Exit codes:
  0    done
  1    the run failed (environment, divergence, disk)
  2    wrong usage or configuration; nothing was started (a stop criterion on a metric that no
       result has is found at the first result)
  3    a checkpoint could not be read or written
  130  interrupted (Ctrl-C, SIGTERM, or nobody reads the pipe any more); the state was saved,
       unless a second Ctrl-C ended the command at once";

const WATCHING: &str = "\
A run that has not started yet is waited for; one that runs is followed until it ends. Without RUN: the newest run under
runs/. Nothing is locked and nothing is written: watch from as many places as you like.";

const INSTALLING_COMPLETIONS: &str = "\
In your shell's start-up file:
  bash        source <(skirl completions bash)
  zsh         source <(skirl completions zsh)      # after compinit
  fish        skirl completions fish | source
  powershell  skirl completions powershell | Out-String | Invoke-Expression
  elvish      eval (skirl completions elvish | slurp)";

/// Colours that can be read on a dark and on a light background; clap's own yellow cannot.
const STYLES: Styles = Styles::styled().invalid(AnsiColor::Red.on_default());

/// Reinforcement learning from one command.
#[derive(Debug, Parser)]
#[command(name = "skirl", version, about, after_help = EXIT_CODES, propagate_version = true, styles = STYLES)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Train until a stop criterion is met; write results and checkpoints into a directory
    #[command(after_help = EXIT_CODES)]
    Train(TrainArgs),
    /// Play episodes with a trained policy and report its returns
    #[command(after_help = EXIT_CODES)]
    Evaluate(EvaluateArgs),
    /// Show how runs go, from their files
    #[command(after_help = WATCHING)]
    Watch(WatchArgs),
    /// List, show or run what ships: tuned configurations, and programs in Rust
    #[command(subcommand)]
    Example(ExampleCommand),
    /// Draw learning curves of runs: PNG and SVG, several runs with median and spread
    #[cfg(feature = "plot")]
    Plot(PlotArgs),
    /// Show what would run: spaces, networks, batch arithmetic, memory, stages
    Explain(ExplainArgs),
    /// List the environments
    Envs(EnvsArgs),
    /// List the algorithms
    Algos(ListArgs),
    /// Print the JSON schema or the reference of configuration files
    Config(ConfigArgs),
    /// Print the completion script of a shell
    #[command(after_help = INSTALLING_COMPLETIONS)]
    Completions(CompletionsArgs),
    /// Print the manual page of the command or of one of its commands, or write all of them into a directory
    Man(ManArgs),
}

/// A seed; the message says what is expected, which that of the standard library does not.
fn whole_number(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| format!("expected an integer, at least 0 and at most {}", u64::MAX))
}

/// What to run: a file, flags, or both; flags win, later ones over earlier ones.
#[derive(Debug, Default, Args)]
pub struct Source {
    /// Configuration file (.toml, .yaml, .json), or the name of one that ships, for example `cartpole`
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub file: Option<PathBuf>,
    /// Algorithm, for example PPO; `skirl algos` lists them
    #[arg(long, value_name = "NAME")]
    pub run: Option<String>,
    /// Environment, for example CartPole-v1; `skirl envs` lists them
    #[arg(long, value_name = "NAME")]
    pub env: Option<String>,
    /// Start from the tuned configuration that ships for the environment, not from RLlib's defaults
    #[arg(long, requires = "env", conflicts_with = "file")]
    pub tuned: bool,
    /// Options as a JSON map, flat or by section: '{"train_batch_size": 4000}'
    #[arg(long, value_name = "JSON")]
    pub config: Vec<String>,
    /// One option: training.lr=1e-3; may be repeated
    #[arg(long, value_name = "PATH=VALUE")]
    pub set: Vec<String>,
    /// Stop criteria as a JSON map from metric to minimum: '{"env_runners/episode_return_mean": 475}'
    #[arg(long, value_name = "JSON")]
    pub stop: Option<String>,
    /// Seed of the run
    #[arg(long, allow_negative_numbers = true, value_parser = whole_number)]
    pub seed: Option<u64>,
    /// Threads; the result is the same for every number
    #[arg(long, value_name = "N")]
    pub num_threads: Option<usize>,
}

/// Flags of `skirl train`.
#[derive(Debug, Args)]
pub struct TrainArgs {
    /// What to run.
    #[command(flatten)]
    pub source: Source,
    /// Go on with the run in this directory, from its newest good checkpoint
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath, conflicts_with_all = ["file", "run", "env", "tuned", "seed", "output"])]
    pub resume: Option<PathBuf>,
    /// Directory for results and checkpoints [default: a new one under runs/]
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub output: Option<PathBuf>,
    /// Save a checkpoint every N iterations (0: only at the end)
    #[arg(long, value_name = "N")]
    pub checkpoint_freq: Option<usize>,
    /// Save a checkpoint at the end
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    pub checkpoint_at_end: Option<bool>,
    /// Print one JSON object per line: start, results, end
    #[arg(long)]
    pub json: bool,
    /// List the options of a section, or of all, and exit
    #[arg(long, value_name = "SECTION", num_args = 0..=1, default_missing_value = "")]
    pub help_options: Option<String>,
}

/// Flags of `skirl evaluate`.
#[derive(Debug, Args)]
pub struct EvaluateArgs {
    /// A checkpoint, or the directory of a run (its newest good checkpoint)
    #[arg(value_name = "CKPT", value_hint = ValueHint::DirPath)]
    pub checkpoint: PathBuf,
    /// Of a run, the best checkpoint by its checkpoint_score_attribute, not the newest
    #[arg(long)]
    pub best: bool,
    /// Episodes to play [default: evaluation.evaluation_duration of the run]
    #[arg(long, value_name = "N")]
    pub episodes: Option<usize>,
    /// Seed of the environments [default: follows from the run's seed]
    #[arg(long, allow_negative_numbers = true, value_parser = whole_number)]
    pub seed: Option<u64>,
    /// Draw actions from the policy's distribution instead of taking the most likely ones
    #[arg(long)]
    pub explore: bool,
    /// One option of evaluation: evaluation.evaluation_num_envs=8; may be repeated
    #[arg(long, value_name = "PATH=VALUE")]
    pub set: Vec<String>,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
    /// Pictures of the episodes.
    #[cfg(feature = "plot")]
    #[command(flatten)]
    pub pictures: RenderArgs,
}

/// Flags of `skirl watch`.
#[derive(Debug, Args)]
pub struct WatchArgs {
    /// Runs, or directories that hold runs; several are shown as one table [default: the newest run under runs/]
    #[arg(value_name = "RUN", value_hint = ValueHint::DirPath)]
    pub runs: Vec<PathBuf>,
    /// Show the runs as they are now, and exit
    #[arg(long)]
    pub once: bool,
    /// Go on when the runs have ended, for one that will be resumed or started anew
    #[arg(long, conflicts_with = "once")]
    pub follow: bool,
    /// Print one JSON object per line for each change
    #[arg(long)]
    pub json: bool,
}

/// What `skirl example` does.
#[derive(Debug, Subcommand)]
pub enum ExampleCommand {
    /// List the examples with a line on each
    List(ListArgs),
    /// Print a tuned configuration, to start your own from: skirl example show cartpole > my.toml
    Show {
        /// Its name
        #[arg(value_name = "NAME")]
        name: String,
    },
    /// Train with a tuned configuration, as `skirl train NAME` does
    Run {
        /// Its name
        #[arg(value_name = "NAME", index = 1)]
        name: String,
        /// Flags of `skirl train`, for example --seed 1 --output runs/mine
        #[arg(value_name = "FLAGS", index = 2, trailing_var_arg = true, allow_hyphen_values = true)]
        flags: Vec<OsString>,
    },
}

/// Flags of `skirl explain`.
#[derive(Debug, Args)]
pub struct ExplainArgs {
    /// What would run.
    #[command(flatten)]
    pub source: Source,
    /// Print the plan as JSON
    #[arg(long)]
    pub json: bool,
    /// List the options of a section, or of all, instead of a plan
    #[arg(long, value_name = "SECTION", num_args = 0..=1, default_missing_value = "")]
    pub options: Option<String>,
}

/// Flags of `skirl envs`.
#[derive(Debug, Args)]
pub struct EnvsArgs {
    /// Show the probe environments, too
    #[arg(long)]
    pub all: bool,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// Flags of a listing.
#[derive(Debug, Args)]
pub struct ListArgs {
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// Flags of `skirl config`.
#[derive(Debug, Args)]
pub struct ConfigArgs {
    /// What to print
    #[arg(value_enum)]
    pub what: ConfigText,
    /// The algorithm
    #[arg(long, value_name = "NAME", default_value = "PPO")]
    pub run: String,
}

/// What `skirl config` prints.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum ConfigText {
    /// JSON schema of configuration files
    Schema,
    /// Reference of all options, in Markdown
    Docs,
}

/// Flags of `skirl completions`.
#[derive(Debug, Args)]
pub struct CompletionsArgs {
    /// The shell
    #[arg(value_enum)]
    pub shell: Shell,
}

/// Flags of `skirl man`.
#[derive(Debug, Args)]
pub struct ManArgs {
    /// One of the commands, for example `train`; without it the page of the whole
    #[arg(value_name = "COMMAND", conflicts_with = "output")]
    pub command: Option<String>,
    /// Write all pages into this directory, which is made if need be
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub output: Option<PathBuf>,
}
