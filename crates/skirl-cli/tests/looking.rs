//! Commands that show: runs from their files, examples, completions, manual pages.
#![allow(clippy::expect_used, reason = "a test helper may fail the test")]

mod process;

use std::fmt::Write;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use process::{CARTPOLE, command, dir, json, refused, skirl, stderr, stdout, train};
use serde_json::Value;

fn said(cwd: &Path, args: &[&str]) -> String {
    let output = skirl(cwd, args);
    assert_eq!(output.status.code(), Some(0), "{args:?}: {}", stderr(&output));
    stdout(&output)
}

/// The objects that `skirl watch --once --json` prints.
fn watched(cwd: &Path, runs: &[&str]) -> Vec<Value> {
    said(cwd, &[&["watch", "--once", "--json"], runs].concat()).lines().map(json).collect()
}

#[test]
fn a_finished_run_is_shown_from_its_files() {
    let dir = dir();
    train(dir.path(), "run", 3, &[]);
    let shown = said(dir.path(), &["watch", "run", "--once"]);
    for part in
        ["PPO on CartPole-v1, seed 1\nrun\nfinished: training_iteration = 3 reached 3\n", " 100%\n", "3,072"]
    {
        assert!(shown.contains(part), "{part:?} in:\n{shown}");
    }
    assert!(!shown.contains("ETA") && !shown.contains('\u{1b}'), "{shown}");
    // Followed, it ends by itself, with the last result and the reason.
    let followed = said(dir.path(), &["watch", "run"]);
    assert!(followed.starts_with("iteration 3  steps 3,072  return "), "{followed}");
    assert!(followed.ends_with("\nfinished: training_iteration = 3 reached 3\n"), "{followed}");
    let value = &watched(dir.path(), &["run"])[0];
    assert_eq!((&value["state"], &value["pid"]), (&Value::from("finished"), &Value::Null));
    assert_eq!(value["result"]["training_iteration"], 3);
}

#[test]
fn several_runs_are_a_table_and_the_newest_needs_no_name() {
    let dir = dir();
    train(dir.path(), "runs/one", 1, &[]);
    std::thread::sleep(std::time::Duration::from_millis(20));
    train(dir.path(), "runs/two", 2, &[]);
    let shown = said(dir.path(), &["watch", "--once", "runs/one", "runs/two"]);
    let lines: Vec<Vec<&str>> = shown.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(lines[0][..4], ["run", "state", "iteration", "steps"], "{shown}");
    assert_eq!(lines[1][..4], ["one", "finished", "1", "1,024"], "{shown}");
    assert_eq!(lines[2][..4], ["two", "finished", "2", "2,048"], "{shown}");
    assert!(said(dir.path(), &["watch", "--once"]).contains("\nruns/two\n"));
    let message = refused(dir.path(), &["watch", "--once", "nowhere"], 2);
    assert!(message.contains("there is no run in `nowhere`"), "{message}");
    let elsewhere = process::dir();
    assert!(refused(elsewhere.path(), &["watch"], 2).contains("there is no run under runs/"));
}

/// A run that goes on until it is told to stop.
fn endless(cwd: &Path, more: &[&str]) -> Child {
    let args = [&CARTPOLE[..], &["--stop", r#"{"training_iteration": 1000000}"#], more].concat();
    command(cwd, &args).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("starts")
}

/// Waits until a run has printed a result.
fn await_result(run: &mut Child) {
    let lines = BufReader::new(run.stdout.as_mut().expect("stdout")).lines();
    lines.map_while(Result::ok).find(|line| line.starts_with("iteration")).expect("a result");
}

#[test]
#[cfg(target_os = "linux")]
fn a_run_that_starts_later_dies_and_is_resumed_is_followed() {
    let dir = dir();
    let mut watch = command(dir.path(), &["watch", "run", "--json", "--follow"])
        .stdout(Stdio::piped())
        .spawn()
        .expect("starts");
    let lines = BufReader::new(watch.stdout.take().expect("stdout")).lines().map_while(Result::ok);
    let mut events = lines.map(|line| json(&line));
    let mut until = |state: &str| {
        events
            .find(|event| event["state"] == state && (state == "waiting" || event["result"].is_object()))
            .expect("an event")
    };
    until("waiting");
    let mut run = endless(dir.path(), &["--output", "run", "--checkpoint-freq", "1"]);
    await_result(&mut run);
    assert_eq!(until("running")["pid"], run.id());
    while !dir.path().join("run/checkpoints/LATEST").exists() {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    run.kill().expect("killed");
    run.wait().expect("ended");
    let died = until("died");
    assert_eq!(watched(dir.path(), &["run"])[0]["result"], died["result"]);
    let at_death = died["result"]["training_iteration"].as_u64().expect("count");
    let output = skirl(
        dir.path(),
        &["train", "--resume", "run", "--stop", &format!("{{\"training_iteration\": {}}}", at_death + 2)],
    );
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert_eq!(until("finished")["result"]["training_iteration"], at_death + 2);
    watch.kill().expect("killed");
    watch.wait().expect("ended");
}

#[test]
fn a_directory_of_runs_stands_for_them_all() {
    let dir = dir();
    train(dir.path(), "all/first", 2, &[]);
    train(dir.path(), "all/second", 3, &[]);
    let iterations: Vec<u64> = watched(dir.path(), &["all"])
        .iter()
        .map(|run| run["result"]["training_iteration"].as_u64().expect("count"))
        .collect();
    assert_eq!(iterations, [2, 3]);
}

/// Whoever waits for a run notices that nobody reads any more, though there is nothing to write.
#[cfg(unix)]
#[test]
fn waiting_ends_with_its_reader() {
    let dir = dir();
    let mut watch = command(dir.path(), &["watch", "later"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("started");
    drop(watch.stdout.take());
    let started = Instant::now();
    let ended = loop {
        if let Some(status) = watch.try_wait().expect("waited") {
            break status;
        }
        assert!(started.elapsed() < Duration::from_secs(20), "it still waits");
        std::thread::sleep(Duration::from_millis(20));
    };
    assert_eq!(ended.code(), Some(130));
}

#[test]
fn a_torn_line_and_a_broken_configuration_cost_no_result() {
    let dir = dir();
    train(dir.path(), "run", 2, &[]);
    let results = dir.path().join("run/result.jsonl");
    let mut text = std::fs::read_to_string(&results).expect("results");
    write!(text, "{{\"training_iteration\":3,\"env_ru").expect("text");
    std::fs::write(&results, text).expect("written");
    assert_eq!(watched(dir.path(), &["run"])[0]["result"]["training_iteration"], 2);
    std::fs::write(dir.path().join("run/config.json"), "{\"run\": \"PP").expect("written");
    let value = &watched(dir.path(), &["run"])[0];
    assert_eq!(
        (&value["state"], &value["result"]["training_iteration"]),
        (&Value::from("stopped"), &Value::from(2))
    );
    std::fs::write(&results, "").expect("written");
    assert_eq!(watched(dir.path(), &["run"])[0]["result"], Value::Null);
}

#[test]
fn examples_are_listed_shown_and_run() {
    let dir = dir();
    let list = said(dir.path(), &["example", "list"]);
    assert!(list.contains("\n  cartpole\n      PPO on CartPole-v1: trains until "), "{list}");
    assert!(list.contains("cargo run --release --example corridor"), "{list}");
    assert!(list.lines().all(|line| line.chars().count() <= 120), "{list}");
    let value = json(&said(dir.path(), &["example", "list", "--json"]));
    for example in value.as_array().expect("list").iter().filter(|example| example["kind"] == "configuration")
    {
        let name = example["name"].as_str().expect("name");
        let flags = ["--seed", "1", "--stop", r#"{"training_iteration": 1}"#, "--output", name];
        let shown = said(dir.path(), &[&["example", "run", name], &flags[..]].concat());
        assert!(shown.contains("training_iteration = 1 reached 1"), "{shown}");
        std::fs::write(dir.path().join("own.toml"), said(dir.path(), &["example", "show", name]))
            .expect("written");
        let plan = |what: &str| said(dir.path(), &["explain", what, "--seed", "1", "--json"]);
        assert_eq!(plan("own.toml"), plan(name));
    }
    let refused = |args: &[&str]| refused(dir.path(), args, 2);
    assert!(refused(&["example", "run", "corridor"]).contains("cargo run --release --example corridor"));
    assert!(refused(&["example", "show", "nothing"]).contains("there are cartpole, "));
    assert!(refused(&["example", "run", "cartpole", "--bogus"]).contains("unexpected argument '--bogus'"));
}

#[test]
fn completion_scripts_offer_the_names_that_there_are() {
    let dir = dir();
    for (shell, parts) in [
        ("bash", ["complete -F _skirl", "--checkpoint-freq", "CartPole-v1", "mountain_car_continuous"]),
        ("zsh", ["#compdef skirl", "--checkpoint-freq", "CartPole-v1", "mountain_car_continuous"]),
        ("fish", ["complete -c skirl", "checkpoint-freq", "CartPole-v1", "help-options"]),
        ("powershell", ["Register-ArgumentCompleter", "--checkpoint-freq", "watch", "example"]),
        ("elvish", ["set edit:completion:arg-completer[skirl]", "--checkpoint-freq", "watch", "example"]),
    ] {
        let script = said(dir.path(), &["completions", shell]);
        for part in parts {
            assert!(script.contains(part), "{shell}: {part}");
        }
    }
}

#[test]
#[cfg(unix)]
fn bash_completes_commands_environments_and_examples() {
    let dir = dir();
    std::fs::write(dir.path().join("skirl.bash"), said(dir.path(), &["completions", "bash"]))
        .expect("written");
    let offered = |words: &[&str]| {
        let (count, last) = (words.len() - 1, words[words.len() - 1]);
        let before = words[count - 1];
        let script = format!(
            "source skirl.bash; COMP_WORDS=({}); COMP_CWORD={count}; _skirl skirl '{last}' '{before}'; echo \"${{COMPREPLY[@]}}\"",
            words.iter().map(|word| format!("'{word}'")).collect::<Vec<_>>().join(" ")
        );
        let output =
            std::process::Command::new("bash").args(["-c", &script]).current_dir(dir.path()).output();
        output.map(|output| stdout(&output)).expect("bash").trim().to_owned()
    };
    assert_eq!(offered(&["skirl", "wa"]), "watch");
    assert_eq!(offered(&["skirl", "train", "--env", "Pend"]), "Pendulum-v1");
    assert_eq!(offered(&["skirl", "train", "--run", ""]).split(' ').next(), Some("PPO"));
    assert_eq!(offered(&["skirl", "train", "acr"]), "acrobot");
    assert_eq!(offered(&["skirl", "example", "run", "mountain_car_"]), "mountain_car_continuous");
    assert_eq!(offered(&["skirl", "explain", "--options", "env_"]), "env_runners");
}

#[test]
fn manual_pages_follow_the_definition() {
    let dir = dir();
    let page = said(dir.path(), &["man"]);
    assert!(page.contains(".TH skirl 1") && page.contains("skirl\\-watch(1)"), "{page}");
    let page = said(dir.path(), &["man", "train"]);
    assert!(page.contains(".TH skirl-train 1") && page.contains("checkpoint\\-freq"), "{page}");
    assert!(refused(dir.path(), &["man", "trian"], 2).contains("there are train, "));
    said(dir.path(), &["man", "--output", "man/man1"]);
    for file in ["skirl.1", "skirl-train.1", "skirl-example-run.1"] {
        let text = std::fs::read_to_string(dir.path().join("man/man1").join(file)).expect(file);
        assert!(text.contains(".SH SYNOPSIS"), "{file}");
    }
    std::fs::write(dir.path().join("file"), "").expect("written");
    assert!(
        refused(dir.path(), &["man", "--output", "file/man"], 1).contains("could not write manual pages")
    );
}
