//! The `skirl` command as a library: flags to a configuration, results to the terminal.
//!
//! A program that registers an environment of its own becomes the same command with one call:
//!
//! ```no_run
//! # fn register_my_environments() {}
//! fn main() -> std::process::ExitCode {
//!     register_my_environments();
//!     skirl_cli::main_from_args()
//! }
//! ```
//!
//! The way of a command: [`args`] (what was typed) → `config_source` (one configuration, all errors at once) → the library →
//! `progress` (what is shown). Exit codes are a contract: see [`exit::ExitStatus`].

pub mod args;
mod commands;
mod config_source;
mod examples;
pub mod exit;
mod flow;
mod interrupt;
mod number;
mod output;
mod progress;
mod rllib_flags;
mod run_path;
mod shell;
mod stop_check;
mod watch;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::Parser;

use args::{Cli, Command};
use exit::{ExitStatus, Failure};

/// Runs the command given by the process's arguments.
pub fn main_from_args() -> ExitCode {
    main_from(std::env::args_os())
}

/// Runs the command given by `args`, the program's name first.
pub fn main_from(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    status_from(args).into()
}

/// As [`main_from`], for a program whose exit code is somebody else's business, such as Python's.
pub fn status_from(args: impl IntoIterator<Item = OsString>) -> ExitStatus {
    let args: Vec<OsString> = args.into_iter().collect();
    let command = args.get(1).and_then(|command| command.to_str()).map(str::to_owned);
    let cli = match Cli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(error) => {
            if let Some(hint) = rllib_flags::hint(&error, command.as_deref()) {
                output::error(&hint);
                return ExitStatus::Usage;
            }
            // Help and version are asked for, so they go to stdout and are no failure.
            let status = if error.use_stderr() { ExitStatus::Usage } else { ExitStatus::Success };
            let _ = error.print();
            return status;
        }
    };
    match run(cli.command) {
        Ok(status) => status,
        Err(failure) => {
            output::error(&failure.message);
            failure.status
        }
    }
}

fn run(command: Command) -> Result<ExitStatus, Failure> {
    match command {
        Command::Train(args) => commands::train::run(&args),
        Command::Evaluate(args) => commands::evaluate::run(&args),
        #[cfg(feature = "plot")]
        Command::Plot(args) => commands::plot::run(&args),
        Command::Explain(args) => commands::explain::run(&args),
        Command::Watch(args) => commands::watch::run(&args),
        Command::Example(command) => commands::example::run(command),
        Command::Envs(args) => Ok(commands::listings::envs(&args)),
        Command::Algos(args) => Ok(commands::listings::algos(&args)),
        Command::Config(args) => commands::config::run(&args),
        Command::Completions(args) => Ok(commands::completions::run(&args)),
        Command::Man(args) => commands::man::run(&args),
    }
}
