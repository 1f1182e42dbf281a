//! `skirl man`: manual pages, from the definition of the command line.

use std::path::Path;

use clap::CommandFactory;
use clap_mangen::Man;

use crate::args::{Cli, ManArgs};
use crate::exit::{ExitStatus, Failure};
use crate::output;

pub(crate) fn run(args: &ManArgs) -> Result<ExitStatus, Failure> {
    match &args.output {
        Some(directory) => write_all(directory)?,
        None => output::line(page(args.command.as_deref())?.trim_end()),
    }
    Ok(ExitStatus::Success)
}

/// The page of the whole, or of one command.
fn page(name: Option<&str>) -> Result<String, Failure> {
    let mut whole = Cli::command();
    whole.build();
    let command = match name {
        None => whole,
        Some(name) => match whole.find_subcommand(name) {
            Some(command) => command.clone(),
            None => return Err(unknown(name, &whole)),
        },
    };
    let mut text = Vec::new();
    // Writing into memory cannot fail.
    let _ = Man::new(command).render(&mut text);
    Ok(String::from_utf8_lossy(&text).into_owned())
}

fn unknown(name: &str, whole: &clap::Command) -> Failure {
    let names: Vec<&str> = whole.get_subcommands().map(clap::Command::get_name).collect();
    Failure::usage(format!("there is no command `{name}`\n  help: there are {}", names.join(", ")))
}

fn write_all(directory: &Path) -> Result<(), Failure> {
    let written =
        std::fs::create_dir_all(directory).and_then(|()| clap_mangen::generate_to(Cli::command(), directory));
    written.map_err(|error| Failure {
        status: ExitStatus::Failed,
        message: format!("could not write manual pages into `{}`: {error}", directory.display()),
    })
}
