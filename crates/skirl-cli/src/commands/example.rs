//! `skirl example`: what ships, by name.

use std::ffi::OsString;

use clap::Parser;
use serde_json::{Value, json};

use crate::args::{Cli, Command, ExampleCommand};
use crate::examples::{PROGRAMS, Tuned, all, find};
use crate::exit::{ExitStatus, Failure};
use crate::flow::wrap;
use crate::output::{self, line_width};

pub(crate) fn run(command: ExampleCommand) -> Result<ExitStatus, Failure> {
    match command {
        ExampleCommand::List(args) => {
            match args.json {
                true => list_as_json(),
                false => list(),
            }
            Ok(ExitStatus::Success)
        }
        ExampleCommand::Show { name } => {
            output::line(configuration(&name)?.text.trim_end());
            Ok(ExitStatus::Success)
        }
        ExampleCommand::Run { name, flags } => train(configuration(&name)?, flags),
    }
}

fn list() {
    let say = |indent: usize, text: &str| {
        let line = format!("{:indent$}{text}", "");
        wrap(&line, indent, line_width()).iter().for_each(|line| output::line(line));
    };
    say(0, "Tuned configurations, in the command: skirl example run NAME [flags of skirl train]");
    for tuned in all() {
        say(2, &tuned.name);
        say(6, tuned.summary());
    }
    say(0, "");
    say(0, "Programs in Rust, in the repository:");
    for program in &PROGRAMS {
        say(2, program.name);
        say(6, program.summary);
        // Whole, to be copied.
        output::line(&format!("      {}", program.command));
    }
}

fn list_as_json() {
    let tuned = all().map(|tuned| {
        json!({
            "name": tuned.name,
            "kind": "configuration",
            "summary": tuned.summary(),
            "file": tuned.file,
            "command": format!("skirl example run {}", tuned.name),
        })
    });
    let programs = PROGRAMS.iter().map(|program| {
        json!({
            "name": program.name,
            "kind": "program",
            "summary": program.summary,
            "file": format!("examples/rust/{}.rs", program.name),
            "command": program.command,
        })
    });
    output::line(&format!("{:#}", tuned.chain(programs).collect::<Value>()));
}

/// The configuration of this name; a program is run by cargo, not by this command.
fn configuration(name: &str) -> Result<Tuned, Failure> {
    if let Some(tuned) = find(name) {
        return Ok(tuned);
    }
    let program = PROGRAMS.iter().find(|program| program.name == name);
    Err(Failure::usage(match program {
        Some(program) => {
            format!("`{name}` is a program in Rust\n  help: run it in the repository: {}", program.command)
        }
        None => {
            let names: Vec<String> = all().map(|tuned| tuned.name).collect();
            format!("there is no example `{name}`\n  help: there are {}", names.join(", "))
        }
    }))
}

/// The same as `skirl train NAME FLAGS`, whose definition reads the flags.
fn train(tuned: Tuned, flags: Vec<OsString>) -> Result<ExitStatus, Failure> {
    let words = ["skirl", "train", tuned.file].map(OsString::from);
    match Cli::try_parse_from(words.into_iter().chain(flags)) {
        Ok(Cli { command: Command::Train(args) }) => super::train::run(&args),
        Ok(_) => Err(Failure::usage("expected flags of skirl train")),
        Err(error) => {
            let _ = error.print();
            Ok(if error.use_stderr() { ExitStatus::Usage } else { ExitStatus::Success })
        }
    }
}
