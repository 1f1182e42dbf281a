//! `skirl completions`: what a shell offers while one types.

use clap::builder::{PossibleValuesParser, ValueParser};
use clap::{Command, CommandFactory};
use clap_complete::Shell;
use skirl::config::{AlgorithmConfig, algorithms, for_algorithm};
use skirl_env::registry;

use crate::args::{Cli, CompletionsArgs};
use crate::examples;
use crate::exit::ExitStatus;
use crate::output;

pub(crate) fn run(args: &CompletionsArgs) -> ExitStatus {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut offering(args.shell), program_name(), &mut script);
    output::line(String::from_utf8_lossy(&script).trim_end());
    ExitStatus::Success
}

/// The name under which this program was started: one with environments of its own has a name of its own.
fn program_name() -> String {
    let program = std::env::args_os().next().map(std::path::PathBuf::from);
    let name = program.as_deref().and_then(std::path::Path::file_stem).and_then(|name| name.to_str());
    name.unwrap_or("skirl").to_owned()
}

/// The command with the names that there are as possible values. Only scripts get them: what is typed is checked later,
/// where the message can suggest something.
fn offering(shell: Shell) -> Command {
    let command = Cli::command();
    let commands: Vec<String> = command.get_subcommands().map(|sub| sub.get_name().to_owned()).collect();
    let sections = sections();
    let environments = registry::names(true);
    let names: Vec<String> = examples::all().map(|example| example.name).collect();
    let algorithms: Vec<&str> = algorithms().iter().map(|algorithm| algorithm.name).collect();
    let source = |sub: Command| {
        let sub = sub.mut_arg("env", |arg| arg.value_parser(one_of(&environments)));
        let sub = sub.mut_arg("run", |arg| arg.value_parser(one_of(&algorithms)));
        match shell {
            // Bash offers files beside the names, the others would offer the names alone.
            Shell::Bash => sub.mut_arg("file", |arg| arg.value_parser(one_of(&names))),
            _ => sub,
        }
    };
    command
        .mut_subcommand("train", |sub| {
            source(sub).mut_arg("help_options", |arg| arg.value_parser(one_of(&sections)))
        })
        .mut_subcommand("explain", |sub| {
            source(sub).mut_arg("options", |arg| arg.value_parser(one_of(&sections)))
        })
        .mut_subcommand("config", |sub| sub.mut_arg("run", |arg| arg.value_parser(one_of(&algorithms))))
        .mut_subcommand("man", |sub| sub.mut_arg("command", |arg| arg.value_parser(one_of(&commands))))
        .mut_subcommand("example", |sub| {
            let named = |sub: Command| sub.mut_arg("name", |arg| arg.value_parser(one_of(&names)));
            sub.mut_subcommand("run", named).mut_subcommand("show", named)
        })
}

fn one_of<S: AsRef<str>>(names: &[S]) -> ValueParser {
    PossibleValuesParser::new(names.iter().map(|name| name.as_ref().to_owned())).into()
}

/// Sections of options.
fn sections() -> Vec<String> {
    let sections = |config: Box<dyn AlgorithmConfig>| {
        config.sections().iter().map(|section| section.path().to_owned()).collect::<Vec<_>>()
    };
    for_algorithm("PPO").map(sections).unwrap_or_default()
}
