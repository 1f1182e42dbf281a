//! The command as a process: what tests of it share.
#![allow(dead_code, reason = "each test file uses its own part")]
#![allow(clippy::expect_used, reason = "a test helper may fail the test")]

use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

/// The shipped CartPole configuration, seeded, with a batch that does not change when it is tuned anew; what follows comes
/// after it.
pub(crate) const CARTPOLE: [&str; 6] =
    ["train", "cartpole", "--seed", "1", "--set", "training.train_batch_size=1024"];

pub(crate) fn dir() -> TempDir {
    tempfile::tempdir().expect("directory")
}

pub(crate) fn skirl(cwd: &Path, args: &[&str]) -> Output {
    command(cwd, args).output().expect("the command starts")
}

pub(crate) fn command(cwd: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_skirl"));
    command.args(args).current_dir(cwd).stdin(Stdio::null());
    command
}

pub(crate) fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("text")
}

pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).expect("text")
}

/// Runs a command that must end with `code`, and returns what it says on stderr.
pub(crate) fn refused(cwd: &Path, args: &[&str], code: i32) -> String {
    let output = skirl(cwd, args);
    assert_eq!(output.status.code(), Some(code), "{args:?}: {}", stderr(&output));
    assert!(output.stdout.is_empty(), "{args:?}: {}", stdout(&output));
    stderr(&output)
}

/// Trains the shipped CartPole configuration for some iterations into `name`.
pub(crate) fn train(cwd: &Path, name: &str, iterations: u32, more: &[&str]) -> Output {
    let stop = format!("{{\"training_iteration\": {iterations}}}");
    let args = [&CARTPOLE, more, &["--stop", &stop, "--output", name]].concat();
    let output = skirl(cwd, &args);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    output
}

pub(crate) fn json(text: &str) -> Value {
    serde_json::from_str(text).expect("JSON")
}
