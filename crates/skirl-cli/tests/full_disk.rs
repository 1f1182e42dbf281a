//! A disk that is full for a while: a small file system in memory, in a mount namespace of its own.
#![cfg(target_os = "linux")]
#![allow(clippy::expect_used, reason = "a test helper may fail the test")]

use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

/// Trains until the disk is full and beyond, copies what is there, makes room, and goes on.
const SCRIPT: &str = r#"
mkdir disk && mount -t tmpfs -o size=700k tmpfs disk || exit 77
"$SKIRL" train --run=PPO --env=CartPole-v1 --seed 7 --config "$CONFIG" --checkpoint-freq 3 \
    --set checkpointing.num_to_keep=2 --stop '{"training_iteration": 90}' --output disk/run > first.out 2> first.err
echo $? > first.code
cp -r disk/run full
mount -o remount,size=8m disk
"$SKIRL" train --resume disk/run > second.out 2> second.err
echo $? > second.code
cp -r disk/run final
"$SKIRL" train --run=PPO --env=CartPole-v1 --seed 7 --config "$CONFIG" --checkpoint-freq 3 \
    --set checkpointing.num_to_keep=2 --stop '{"training_iteration": 90}' --output straight
"#;
const CONFIG: &str =
    r#"{"train_batch_size": 64, "minibatch_size": 64, "num_epochs": 1, "fcnet_hiddens": [32, 32]}"#;

fn in_a_namespace(directory: &Path) -> Output {
    let script = Command::new("unshare")
        .args(["-rm", "sh", "-c", SCRIPT])
        .current_dir(directory)
        .stdin(Stdio::null())
        .env("SKIRL", env!("CARGO_BIN_EXE_skirl"))
        .env("CONFIG", CONFIG)
        .output();
    script.unwrap_or_else(|_| Command::new("sh").args(["-c", "exit 77"]).output().expect("sh starts"))
}

fn text(path: &Path) -> String {
    std::fs::read_to_string(path).expect("text")
}

fn iterations(run: &Path) -> Vec<u64> {
    let text = text(&run.join("result.jsonl"));
    assert!(text.is_empty() || text.ends_with('\n'), "half a line");
    let iteration = |line: &str| -> u64 {
        let line: Value = serde_json::from_str(line).expect("JSON");
        line["training_iteration"].as_u64().expect("a number")
    };
    text.lines().map(iteration).collect()
}

fn assert_rows(run: &Path, num_rows: usize) {
    let text = text(&run.join("progress.csv"));
    let cells = text.lines().map(|line| line.split(',').count());
    assert!(text.ends_with('\n') && cells.clone().all(|count| Some(count) == cells.clone().next()));
    assert_eq!(text.lines().count(), num_rows + 1);
}

fn weights(run: &Path) -> Vec<u8> {
    let newest = text(&run.join("checkpoints/LATEST"));
    let module = "learner_group/learner/rl_module/default_policy/module_state.safetensors";
    std::fs::read(run.join("checkpoints").join(newest.trim()).join(module)).expect("weights")
}

#[test]
fn a_full_disk_costs_no_finished_work() {
    let directory = tempfile::tempdir().expect("directory");
    let path = directory.path();
    let output = in_a_namespace(path);
    if output.status.code() == Some(77) || !path.join("first.code").exists() {
        let why = String::from_utf8_lossy(&output.stderr).into_owned();
        return eprintln!("skipped: no file system of its own can be mounted here ({})", why.trim());
    }
    let said = text(&path.join("first.err"));
    assert_eq!(
        text(&path.join("first.code")).trim(),
        "3",
        "the last checkpoint could not be written: {said}"
    );
    assert!(
        said.contains("warning: no checkpoint: a checkpoint needs") && said.contains("KiB are free"),
        "{said}"
    );
    assert!(said.contains("Training goes on"), "{said}");
    let trained = text(&path.join("first.out"));
    assert!(trained.contains("iteration 90 "), "training went on to its end: {trained}");

    let full = path.join("full");
    let kept = iterations(&full);
    assert_eq!(kept, (1..=kept.len() as u64).collect::<Vec<_>>());
    let mut evaluate = Command::new(env!("CARGO_BIN_EXE_skirl"));
    let loaded = evaluate.args(["evaluate", "full", "--episodes", "1"]).current_dir(path).output();
    let loaded = loaded.expect("the command starts");
    assert!(loaded.status.success(), "{}", String::from_utf8_lossy(&loaded.stderr));

    assert_eq!(text(&path.join("second.code")).trim(), "0", "{}", text(&path.join("second.err")));
    let (last, straight) = (path.join("final"), path.join("straight"));
    assert_eq!(iterations(&last), (1..=90).collect::<Vec<_>>());
    assert_rows(&last, 90);
    assert_eq!(weights(&last), weights(&straight));
}
