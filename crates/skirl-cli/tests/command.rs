//! The command as a process: exit codes, output, files, bad input.
#![allow(clippy::expect_used, reason = "a test helper may fail the test")]

mod process;

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::Instant;

use process::{CARTPOLE, command, dir, json, refused, skirl, stderr, stdout, train};
use serde_json::Value;

#[test]
fn training_writes_a_run_and_says_so_in_plain_lines() {
    let dir = dir();
    let output = train(dir.path(), "run", 3, &[]);
    let text = stdout(&output);
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.first(), Some(&"PPO on CartPole-v1, seed 1, 1 thread, writing to run"), "{text}");
    assert!(lines[1].starts_with("iteration 1  steps 1,024  return "), "{text}");
    assert!(text.contains("training_iteration = 3 reached 3 after 3,072 steps in "), "{text}");
    assert!(!text.contains('\u{1b}'), "no colours in a pipe: {text}");
    for file in ["config.json", "progress.csv", "result.jsonl", "checkpoints/LATEST"] {
        assert!(dir.path().join("run").join(file).exists(), "{file}");
    }
}

#[test]
fn json_output_is_one_object_per_line() {
    let dir = dir();
    let output = train(dir.path(), "run", 2, &["--json"]);
    let events: Vec<Value> = stdout(&output).lines().map(json).collect();
    let kinds: Vec<&str> = events.iter().filter_map(|event| event["event"].as_str()).collect();
    assert_eq!(kinds, ["start", "result", "result", "end"]);
    assert_eq!(events[0]["seed"], 1);
    assert_eq!(events[2]["result"]["training_iteration"], 2);
    assert!(events[2]["result"]["env_runners"]["episode_return_mean"].is_f64());
    assert_eq!(events[3]["criterion_met"], true);
    assert!(stderr(&output).is_empty(), "{}", stderr(&output));
}

#[test]
fn equal_seeds_give_equal_results_whatever_the_threads() {
    let dir = dir();
    let result = |name: &str, more: &[&str]| {
        let output = train(dir.path(), name, 2, &[&["--json"], more].concat());
        let events: Vec<Value> = stdout(&output).lines().map(json).collect();
        (
            events[2]["result"]["env_runners"]["episode_return_mean"].clone(),
            events[2]["result"]["learners"].clone(),
        )
    };
    let one = result("one", &[]);
    assert_eq!(one, result("again", &[]));
    assert_eq!(one, result("three", &["--num-threads", "3"]));
}

#[test]
fn the_first_result_comes_at_once() {
    let dir = dir();
    let started = Instant::now();
    let mut child =
        command(dir.path(), &CARTPOLE).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("starts");
    let mut lines = BufReader::new(child.stdout.take().expect("stdout")).lines();
    let first =
        lines.find_map(|line| line.ok().filter(|line| line.starts_with("iteration"))).expect("a result");
    let elapsed = started.elapsed();
    child.kill().expect("killed");
    child.wait().expect("ended");
    // The aim is 0.1 s on an idle machine (docs/benchmarks.md); tests run beside others and without full optimisation.
    assert!(elapsed.as_secs_f64() < 2.0, "{first} after {elapsed:?}");
}

#[test]
fn a_policy_is_evaluated_from_its_run_and_from_its_checkpoint() {
    let dir = dir();
    train(dir.path(), "run", 2, &[]);
    let evaluate = |what: &str, more: &[&str]| {
        let output =
            skirl(dir.path(), &[&["evaluate", what, "--episodes", "7", "--seed", "5"], more].concat());
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        stdout(&output)
    };
    assert!(evaluate("run", &[]).contains(" over 7 episodes, "), "{}", evaluate("run", &[]));
    let first = json(&evaluate("run", &["--json"]));
    assert_eq!(first["episode_returns"].as_array().map(Vec::len), Some(7));
    assert_eq!(first, json(&evaluate("run/checkpoints/step-000000002048", &["--json"])));
}

#[test]
fn a_resumed_run_equals_an_uninterrupted_one() {
    let dir = dir();
    train(dir.path(), "whole", 6, &[]);
    train(dir.path(), "parts", 3, &[]);
    let output = skirl(dir.path(), &["train", "--resume", "parts", "--stop", "{\"training_iteration\": 6}"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let weights = |name: &str| {
        let module = "checkpoints/step-000000006144/learner_group/learner/rl_module/default_policy";
        let folder = dir.path().join(name).join(module);
        let files =
            std::fs::read_dir(&folder).expect("module folder").map(|entry| entry.expect("entry").path());
        let tensors = files.filter(|path| path.extension().is_some_and(|ending| ending == "safetensors"));
        tensors.map(|path| std::fs::read(path).expect("weights")).collect::<Vec<_>>()
    };
    assert!(!weights("whole").is_empty());
    assert_eq!(weights("whole"), weights("parts"));
    let rows = std::fs::read_to_string(dir.path().join("parts/progress.csv")).expect("progress");
    assert_eq!(rows.lines().count(), 7, "a header and six rows: {rows}");
}

#[test]
fn bad_input_is_a_usage_error_with_the_fix_and_leaves_nothing_behind() {
    let dir = dir();
    let train = |more: &[&str]| refused(dir.path(), &[&["train"], more].concat(), 2);
    let ppo = |more: &[&str]| train(&[&["--run=PPO", "--env=CartPole-v1"], more].concat());
    let expected = [
        (train(&[]), "write --run=PPO, or name a configuration file"),
        (train(&["--run=PPO"]), "environment.env: the environment is missing"),
        (train(&["--run=PPOO", "--env=CartPole-v1"]), "did you mean `PPO`?"),
        (
            train(&["--run=DQN", "--env=CartPole-v1"]),
            "DQN is an algorithm of RLlib that skirl does not serve yet",
        ),
        (train(&["--run=PPO", "--env=CartPol-v1"]), "CartPole-v1"),
        (train(&["nofile.toml"]), "there is no file nofile.toml"),
        (train(&["."]), ". is a directory, expected a configuration file"),
        (ppo(&["--set", "env_config.foo=3"]), "`foo` is not an option of this environment"),
        (
            ppo(&["--stop", r#"{"evaluation/env_runners/episode_return_mean": 9}"#]),
            "set evaluation.evaluation_interval",
        ),
        (ppo(&["--tuned", "--env", "x"]), "cannot be used multiple times"),
        (train(&["--env=No-v0", "--tuned"]), "no tuned configuration ships for PPO on No-v0"),
        (train(&["cartpole", "--run", "SAC"]), "the file configures PPO"),
        (ppo(&["--config", "{"]), "--config is not JSON"),
        (ppo(&["--config", "[1]"]), "expected a map of options"),
        (ppo(&["--stop", "5"]), "expected a map from metric to minimum"),
        (ppo(&["--set", "lr"]), "expected path=value"),
        (ppo(&["--set", "training.lr=fast"]), "expected a number, found the string \"fast\""),
        (ppo(&["--set", "gamma=7"]), "must be at least 0 and at most 1"),
        (ppo(&["--num-threads", "0"]), "at: --num-threads"),
        (ppo(&["--seed=-1"]), "invalid value"),
        (ppo(&["--config", r#"{"minibatch_size": 5000}"#]), "larger than training.train_batch_size = 4000"),
        (ppo(&["--bogus"]), "unexpected argument '--bogus'"),
        (train(&["--algo", "PPO"]), "RLlib's `--algo` is written here as --run NAME"),
        (train(&["--algo=PPO"]), "RLlib's `--algo` is written here as --run NAME"),
        (ppo(&["--local-dir", "x"]), "RLlib's `--local-dir` is written here as --output DIR"),
        (train(&["-f", "cartpole.yaml"]), "RLlib's `-f` is written here as FILE without a flag"),
        (refused(dir.path(), &["evaluate", "run", "--run", "PPO"], 2), "leave it out: the checkpoint tells"),
        (refused(dir.path(), &["watch", "--algo", "PPO"], 2), "unexpected argument '--algo'"),
        (
            train(&["--run=PG", "--env=CartPole-v1", "--set", "lambda_=0.9"]),
            "no option of this algorithm, but one of PPO and A2C",
        ),
        (
            train(&["--run=A2C", "--env=CartPole-v1", "--set", "training.clip_param=1"]),
            "leave it out, or run PPO",
        ),
        (train(&["--run=PG", "--env=CartPole-v1", "--set", "lambdaa_=0.9"]), "unknown option"),
        (train(&["--resume", "nowhere"]), "not a run directory"),
        (train(&["--help-options", "trainin"]), "did you mean `training`?"),
    ];
    for (message, part) in &expected {
        assert!(message.contains(part), "expected {part:?} in:\n{message}");
    }
    assert_eq!(std::fs::read_dir(dir.path()).expect("directory").count(), 0, "something was left behind");
}

#[test]
fn a_failed_start_does_not_block_the_corrected_command() {
    let dir = dir();
    let bogus = ["train", "cartpole", "--set", "environment.env_config.bogus=1", "--output", "run"];
    refused(dir.path(), &bogus, 2);
    train(dir.path(), "run", 1, &[]);
}

#[test]
fn all_errors_of_all_flags_come_at_once() {
    let dir = dir();
    let flags = [
        "train",
        "--run=PPO",
        "--env=CartPole-v1",
        "--config",
        r#"{"clip_range": 0.2, "gamma": 7}"#,
        "--set",
        "training.lr=fast",
        "--stop",
        r#"{"episode_reward_mean": 4}"#,
    ];
    let message = refused(dir.path(), &flags, 2);
    assert!(message.starts_with("error: 4 errors in the configuration\n"), "{message}");
    for part in ["`clip_range` is called `clip_param` here", "at: --config", "at: --set", "at: --stop"] {
        assert!(message.contains(part), "{message}");
    }
}

#[test]
fn errors_of_a_file_do_not_hide_those_of_the_flags() {
    let dir = dir();
    std::fs::write(dir.path().join("bad.toml"), "run = 'PPO'\nenv = 'CartPole-v1'\ntraining.gama = 1\n")
        .expect("written");
    let message = refused(dir.path(), &["train", "bad.toml", "--set", "lr=fast"], 2);
    assert!(message.contains("did you mean `training.gamma`?") && message.contains("at: --set"), "{message}");
}

#[test]
fn a_stop_criterion_that_no_result_has_ends_the_run_at_once_and_saves_it() {
    let dir = dir();
    let stop = r#"{"training_iter": 5, "training_iteration": 9}"#;
    let output = skirl(dir.path(), &[&CARTPOLE[..], &["--output", "run", "--stop", stop]].concat());
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("did you mean `training_iteration`?"), "{}", stderr(&output));
    assert!(stdout(&output).contains("\nstopped after "), "{}", stdout(&output));
    let output = skirl(dir.path(), &["train", "--resume", "run", "--stop", "{\"training_iteration\": 2}"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
}

#[test]
fn a_run_that_is_over_is_not_trained_further() {
    let dir = dir();
    train(dir.path(), "run", 2, &[]);
    let rows = || std::fs::read_to_string(dir.path().join("run/progress.csv")).expect("progress");
    let before = rows();
    let output = skirl(dir.path(), &["train", "--resume", "run"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(
        stdout(&output).contains("nothing to do: training_iteration = 2 reached 2"),
        "{}",
        stdout(&output)
    );
    assert_eq!(before, rows());
    let stop = r#"{"evaluation/env_runners/episode_return_mean": 9}"#;
    let options = ["--set", "evaluation_interval=none", "--stop", stop];
    let message = refused(dir.path(), &[&["train", "--resume", "run"], &options[..]].concat(), 2);
    assert!(message.contains("set evaluation.evaluation_interval"), "{message}");
}

#[test]
fn a_damaged_checkpoint_is_told_and_the_one_before_taken() {
    let dir = dir();
    train(dir.path(), "run", 2, &["--checkpoint-freq", "1"]);
    let checkpoints = dir.path().join("run/checkpoints");
    let newest = std::fs::read_to_string(checkpoints.join("LATEST")).expect("LATEST");
    std::fs::write(checkpoints.join(newest.trim()).join("algorithm_state.json"), "{}").expect("written");
    let output = skirl(dir.path(), &["evaluate", "run", "--episodes", "1"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(stderr(&output).contains("warning: using the checkpoint"), "{}", stderr(&output));
}

#[test]
fn paths_inside_a_run_are_told_apart() {
    let dir = dir();
    train(dir.path(), "run", 1, &[]);
    let newest = std::fs::read_to_string(dir.path().join("run/checkpoints/LATEST")).expect("LATEST");
    let step = format!("run/checkpoints/{}", newest.trim());
    let module = format!("{step}/learner_group/learner/rl_module/default_policy");
    let message = refused(dir.path(), &["evaluate", &module], 3);
    assert!(message.contains(&format!("give the whole: skirl evaluate {step}")), "{message}");
    let message = refused(dir.path(), &["train", "--resume", &step], 2);
    assert!(message.contains("write --resume run"), "{message}");
    let message = refused(dir.path(), &["train", "run"], 2);
    assert!(message.contains("skirl train --resume run"), "{message}");
    let output = skirl(dir.path(), &["train", "--resume", "run/checkpoints"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
}

#[test]
fn a_run_whose_reader_has_gone_is_saved() {
    let dir = dir();
    let arguments =
        [&CARTPOLE[..], &["--stop", "{\"training_iteration\": 1000000}", "--output", "run"]].concat();
    let mut child = command(dir.path(), &arguments)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("starts");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("ended");
    assert_eq!(output.status.code(), Some(130));
    assert!(stderr(&output).contains("saved and ended"), "{}", stderr(&output));
    assert!(dir.path().join("run/checkpoints/LATEST").exists());
}

#[test]
fn an_output_directory_that_cannot_be_used_is_found_at_the_start() {
    let dir = dir();
    std::fs::write(dir.path().join("file"), "").expect("written");
    let message = refused(dir.path(), &["train", "cartpole", "--output", "file/run"], 2);
    assert!(message.contains("could not create"), "{message}");
    train(dir.path(), "run", 1, &[]);
    let message = refused(dir.path(), &["train", "cartpole", "--output", "run"], 2);
    assert!(message.contains("already holds a run"), "{message}");
}

#[test]
fn checkpoints_that_cannot_be_read_have_their_own_exit_code() {
    let dir = dir();
    let message = refused(dir.path(), &["evaluate", "nowhere"], 3);
    assert!(message.contains("no checkpoint at `nowhere`"), "{message}");
    train(dir.path(), "run", 1, &[]);
    let manifest = dir.path().join("run/checkpoints/step-000000001024/manifest.json");
    std::fs::write(manifest, "{}").expect("written");
    refused(dir.path(), &["evaluate", "run/checkpoints/step-000000001024"], 3);
    train(dir.path(), "unsaved", 1, &["--checkpoint-at-end", "false"]);
    let message = refused(dir.path(), &["evaluate", "unsaved"], 3);
    assert!(message.contains("the run `unsaved` has saved no checkpoint"), "{message}");
    // What can go on is the run from its beginning.
    let output = skirl(dir.path(), &["train", "--resume", "unsaved"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(stderr(&output).contains("there is no checkpoint yet"), "{}", stderr(&output));
}

#[test]
fn the_best_checkpoint_is_told_and_evaluated() {
    let dir = dir();
    let metric = "checkpointing.checkpoint_score_attribute=learners/default_policy/vf_loss";
    let output = train(dir.path(), "run", 3, &["--checkpoint-freq", "1", "--set", metric]);
    let text = stdout(&output);
    let line = text.lines().find(|line| line.starts_with("best: run/checkpoints/step-")).expect("a best one");
    let best = line.split_whitespace().nth(1).expect("its path").to_owned();
    let evaluate = |arguments: &[&str]| {
        let output = skirl(dir.path(), &[&["evaluate", "--seed", "5", "--json"], arguments].concat());
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        stdout(&output)
    };
    assert_eq!(evaluate(&["run", "--best"]), evaluate(&[&best]));
    train(dir.path(), "unranked", 1, &[]);
    let message = refused(dir.path(), &["evaluate", "unranked", "--best"], 3);
    assert!(message.contains("checkpoint_score_attribute"), "{message}");

    // A metric that could be one's own is found out by the first result; what was learned is saved.
    let metric = "checkpointing.checkpoint_score_attribute=my_metric";
    let output = skirl(dir.path(), &[&CARTPOLE[..], &["--set", metric, "--output", "wrong"]].concat());
    assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
    assert!(stderr(&output).contains("no checkpoint would be the best"), "{}", stderr(&output));

    // One of a group whose metrics are known is found out before anything runs.
    let stop = ["--stop", r#"{"env_runners/return_mean": 100}"#, "--output", "known"];
    let message = refused(dir.path(), &[&CARTPOLE[..], &stop].concat(), 2);
    assert!(message.contains("did you mean `env_runners/episode_return_mean`?"), "{message}");
    assert!(!dir.path().join("known").exists());
}

#[test]
#[cfg(unix)]
fn an_interrupt_saves_and_ends_with_130() {
    let dir = dir();
    let arguments = ["train", "--tuned", "--env=Pendulum-v1", "--stop", "{}", "--output", "run"];
    let mut child =
        command(dir.path(), &arguments).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("starts");
    let mut lines = BufReader::new(child.stdout.take().expect("stdout")).lines().map_while(Result::ok);
    lines.find(|line| line.starts_with("iteration")).expect("a result");
    let killed = Command::new("kill").args(["-INT", &child.id().to_string()]).status().expect("kill");
    assert!(killed.success());
    let rest: Vec<String> = lines.collect();
    assert_eq!(child.wait().expect("ended").code(), Some(130), "{rest:?}");
    assert!(rest.iter().any(|line| line.starts_with("interrupted after ")), "{rest:?}");
    assert!(rest.iter().any(|line| line.starts_with("checkpoint: run/checkpoints/step-")), "{rest:?}");
}

#[test]
fn listings_help_schema_and_plan() {
    let dir = dir();
    let said = |args: &[&str]| {
        let output = skirl(dir.path(), args);
        assert_eq!(output.status.code(), Some(0), "{args:?}: {}", stderr(&output));
        stdout(&output)
    };
    assert!(said(&["envs"]).contains("\nCartPole-v1 "));
    assert!(json(&said(&["envs", "--json"])).as_array().is_some_and(|list| list.len() >= 6));
    let algos = said(&["algos"]);
    assert!(algos.starts_with("PPO  ") && algos.contains("\nA2C  ") && algos.contains("\nPG   "), "{algos}");
    assert!(algos.contains("tuned: pg/cartpole"), "{algos}");
    for (file, run, algorithm) in [
        ("cartpole", "PPO", "PPO"),
        ("cartpole", "A2C", "A2C"),
        ("a2c/pendulum", "", "A2C"),
        ("pg/cartpole", "", "PG"),
    ] {
        let run: &[&str] = if run.is_empty() { &[] } else { &["--run", run] };
        let plan = said(&[&["explain", file], run].concat());
        assert!(plan.starts_with(&format!("algorithm    {algorithm}\n")), "{file} {run:?}: {plan}");
    }
    assert_eq!(json(&said(&["algos", "--json"]))[0]["name"], "PPO");
    assert!(
        said(&["explain", "cartpole", "--set", "train_batch_size=1024"])
            .contains("8 environments × 128 steps = 1024")
    );
    assert_eq!(json(&said(&["explain", "cartpole", "--json"]))["env"], "CartPole-v1");
    assert!(
        said(&["explain", "--options", "training"])
            .contains("  gamma = 0.99   number, at least 0 and at most 1")
    );
    assert!(said(&["train", "--help-options"]).contains("[rl_module]"));
    assert!(json(&said(&["config", "schema"]))["properties"]["training"].is_object());
    assert!(said(&["config", "docs"]).contains("# Configuration"));
    assert!(said(&["--help"]).contains("Exit codes:"));
    assert!(said(&["--version"]).starts_with("skirl "));
}

#[test]
fn the_log_level_says_how_much_is_said() {
    let dir = dir();
    let said = |level: &str| stderr(&train(dir.path(), level, 1, &["--set", &format!("log_level={level}")]));
    let [error, warn, info, debug] = ["ERROR", "WARN", "INFO", "DEBUG"].map(said);
    assert_eq!(error, "");
    assert!(warn.contains("ships with skirl") && !warn.contains("environment  CartPole-v1"), "{warn}");
    assert!(info.contains("environment  CartPole-v1"), "{info}");
    assert!(debug.len() > info.len(), "{debug}");
}

#[test]
fn rllibs_defaults_name_the_tuned_file_that_ships() {
    let dir = dir();
    let flags = [
        "train",
        "--run=PPO",
        "--env=CartPole-v1",
        "--stop",
        "{\"training_iteration\": 1}",
        "--config",
        r#"{"train_batch_size": 256, "num_epochs": 1}"#,
    ];
    let output = skirl(dir.path(), &flags);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(stderr(&output).contains("add --tuned (configs/ppo/cartpole.toml)"), "{}", stderr(&output));
    assert!(dir.path().join("runs").is_dir());
}

#[test]
fn a_finished_run_tells_which_options_were_not_used_and_keeps_its_own() {
    let dir = dir();
    train(dir.path(), "run", 1, &[]);
    let config = || std::fs::read_to_string(dir.path().join("run/config.json")).expect("config");
    let before = config();
    let resume = |more: &[&str]| skirl(dir.path(), &[&["train", "--resume", "run"], more].concat());
    let options = ["--set", "training.lr=0.002", "--num-threads", "2"];
    let output = resume(&options);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(
        stdout(&output).contains("\nnothing to do: training_iteration = 1 reached 1"),
        "{}",
        stdout(&output)
    );
    let said = stderr(&output);
    assert!(said.contains("not used: --set training.lr=0.002, --num-threads 2; nothing is left"), "{said}");
    assert_eq!(config(), before);
    let end = json(stdout(&resume(&[&options[..], &["--json"]].concat())).lines().last().expect("an end"));
    assert_eq!(end["not_used"], serde_json::json!(["--set training.lr=0.002", "--num-threads 2"]));
    assert!(!stderr(&resume(&[])).contains("not used"));
    // With more to do they are used, and written down.
    let more = resume(&[&options[..], &["--stop", r#"{"training_iteration": 2}"#]].concat());
    assert_eq!(more.status.code(), Some(0), "{}", stderr(&more));
    assert!(config().contains("\"lr\": 0.002"), "{}", config());
}

#[test]
#[cfg(unix)]
fn printed_commands_can_be_copied_into_a_shell() {
    let dir = dir();
    let name = "it's mine";
    let output = train(dir.path(), name, 1, &[]);
    let text = stdout(&output);
    let next = text.lines().find_map(|line| line.strip_prefix("next: ")).expect("a line");
    let evaluate = next.split("  |  ").next().expect("a command");
    let binary = std::path::Path::new(env!("CARGO_BIN_EXE_skirl")).parent().expect("its directory");
    let path = format!("{}:{}", binary.display(), std::env::var("PATH").expect("PATH"));
    let mut shell = Command::new("sh");
    shell.args(["-c", evaluate]).env("PATH", path).current_dir(dir.path());
    let output = shell.output().expect("a shell");
    assert_eq!(output.status.code(), Some(0), "{evaluate}: {}", stderr(&output));
}

#[test]
fn a_directory_of_runs_is_no_run_but_names_those_in_it() {
    let dir = dir();
    for name in ["runs/first", "runs/and second"] {
        train(dir.path(), name, 1, &[]);
    }
    for command in [&["evaluate"][..], &["train", "--resume"]] {
        let message = refused(dir.path(), &[command, &["runs"]].concat(), 2);
        assert!(message.contains("`runs` holds runs, but is none"), "{message}");
        let named = format!("help: skirl {} 'runs/and second'\n", command.join(" "));
        assert!(message.contains(&named) && message.contains("runs/first"), "{message}");
    }
    for path in ["runs/first", "runs/first/checkpoints", "runs/first/checkpoints/step-000000001024"] {
        let output = skirl(dir.path(), &["evaluate", path, "--episodes", "1"]);
        assert_eq!(output.status.code(), Some(0), "{path}: {}", stderr(&output));
    }
}
