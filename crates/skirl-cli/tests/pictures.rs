//! `skirl plot` and `skirl evaluate --render` as processes: pictures, and what is said where there are none.
#![cfg(feature = "plot")]
#![allow(clippy::expect_used, reason = "a test helper may fail the test")]

use std::fmt::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

fn dir() -> TempDir {
    tempfile::tempdir().expect("directory")
}

fn skirl(cwd: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_skirl"));
    command.args(args).current_dir(cwd).stdin(Stdio::null()).output().expect("the command starts")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("text")
}

/// Runs a command that must succeed, and returns what it prints on stdout and stderr.
fn said(cwd: &Path, args: &[&str]) -> (String, String) {
    let output = skirl(cwd, args);
    assert_eq!(output.status.code(), Some(0), "{args:?}: {}", text(&output.stderr));
    (text(&output.stdout), text(&output.stderr))
}

/// Runs a command that must end with `code`, and returns what it says on stderr.
fn refused(cwd: &Path, args: &[&str], code: i32) -> String {
    let output = skirl(cwd, args);
    assert_eq!(output.status.code(), Some(code), "{args:?}: {}", text(&output.stderr));
    text(&output.stderr)
}

/// Return of a made-up run.
fn value(seed: u64, iteration: u64) -> f64 {
    ((seed * 31 + iteration * 17) % 23) as f64 + iteration as f64
}

/// A run as `skirl train` leaves it, with made-up results.
fn make_run(path: &Path, seed: u64, lr: f64, iterations: u64) {
    std::fs::create_dir_all(path).expect("directory");
    let config = json!({
        "run": "PPO",
        "environment": { "env": "CartPole-v1" },
        "training": { "lr": lr, "gamma": 0.99 },
        "debugging": { "seed": seed },
        "stop": { "training_iteration": iterations },
    });
    std::fs::write(path.join("config.json"), config.to_string()).expect("written");
    let mut lines = String::new();
    for iteration in 1..=iterations {
        let result = json!({
            "env_runners": { "episode_return_mean": value(seed, iteration) },
            "custom_metrics": { "distance": { "mean": iteration } },
            "num_env_steps_sampled_lifetime": iteration * 1000,
            "training_iteration": iteration,
            "time_total_s": 0.5 * iteration as f64,
        });
        writeln!(lines, "{result}").expect("text");
    }
    std::fs::write(path.join("result.jsonl"), lines).expect("written");
}

/// Points of all curves in an SVG.
fn curves(svg: &str) -> Vec<Vec<(f64, f64)>> {
    let document = roxmltree::Document::parse(svg).expect("XML");
    let points = |text: &str| -> Vec<(f64, f64)> {
        let pair =
            |pair: &str| pair.split_once(',').map(|(x, y)| (x.parse().expect("x"), y.parse().expect("y")));
        text.split_whitespace().filter_map(pair).collect()
    };
    let lines = document.descendants().filter(|node| node.has_tag_name("polyline"));
    lines
        .map(|node| points(node.attribute("points").unwrap_or("")))
        .filter(|points| points.len() > 2)
        .collect()
}

#[test]
fn the_curve_of_several_seeds_is_their_median() {
    let dir = dir();
    for seed in 0..5 {
        make_run(&dir.path().join(format!("a/seed{seed}")), seed, 0.001, 30);
    }
    make_run(&dir.path().join("b"), 0, 0.01, 30);
    let (out, err) = said(dir.path(), &["plot", "a", "b"]);
    let labels = ["PPO, CartPole-v1, lr=0.001 (5 runs)", "PPO, CartPole-v1, lr=0.01"];
    assert_eq!(err, "");
    assert!(dir.path().join("curves.png").is_file() && out.contains("figure: curves.svg"), "{out}");
    let svg = std::fs::read_to_string(dir.path().join("curves.svg")).expect("an SVG");
    let document = roxmltree::Document::parse(&svg).expect("XML");
    for label in labels {
        assert!(out.lines().any(|line| line == label), "{label} in {out}");
        assert!(
            document.descendants().any(|node| node.text().is_some_and(|text| text.trim() == label)),
            "{label}"
        );
    }
    let drawn = curves(&svg).remove(0);
    let median = |iteration: u64| {
        let mut values: Vec<f64> = (0..5).map(|seed| value(seed, iteration)).collect();
        values.sort_by(f64::total_cmp);
        values[2]
    };
    assert_eq!(drawn.len(), 30);
    // Two medians give the scale, all others must lie on it.
    let (low, high) = (1..=30).fold((1, 1), |(low, high), iteration| {
        let (at, here) = (iteration, median(iteration));
        (if here < median(low) { at } else { low }, if here > median(high) { at } else { high })
    });
    let y = |iteration: u64| drawn[iteration as usize - 1].1;
    let scale = (y(high) - y(low)) / (median(high) - median(low));
    for iteration in 1..=30 {
        let expected = y(low) + scale * (median(iteration) - median(low));
        assert!(
            (y(iteration) - expected).abs() < 2.5,
            "iteration {iteration}: {} instead of {expected}",
            y(iteration)
        );
    }
}

#[test]
fn runs_are_named_grouped_and_measured_as_asked() {
    let dir = dir();
    let plot = |args: &[&str]| said(dir.path(), &[&["plot"], args, &["--output", "x.svg"]].concat()).0;
    for (seed, lr) in [(0, 0.1), (1, 0.1), (2, 0.2)] {
        make_run(&dir.path().join(format!("runs/s{seed}")), seed, lr, 8);
    }
    assert!(plot(&["Mine=runs"]).starts_with("Mine (3 runs)\n"));
    assert!(plot(&["runs", "--group-by", "environment"]).starts_with("PPO, CartPole-v1 (3 runs)\n"));
    assert_eq!(plot(&["runs", "--group-by", "run"]).lines().count(), 4);
    assert!(plot(&["runs/s0/result.jsonl"]).starts_with("PPO, CartPole-v1\n"));
    let svg = || std::fs::read_to_string(dir.path().join("x.svg")).expect("an SVG");
    plot(&["runs", "--x", "seconds", "--metric", "custom_metrics/distance/mean"]);
    assert!(svg().contains("Training time (s)") && svg().contains("custom_metrics/distance/mean"));
    plot(&[
        "runs",
        "--x",
        "iterations",
        "--spread",
        "quartiles",
        "--smooth",
        "3",
        "--log",
        "y",
        "--size",
        "600x300",
    ]);
    assert!(svg().contains("Training iterations") && svg().contains("width=\"600\""));
    assert!(!dir.path().join("x.png").exists(), "the ending says which");
    let (list, _) = said(dir.path(), &["plot", "runs", "--list"]);
    assert!(list.lines().any(|line| line == "custom_metrics/distance/mean"), "{list}");
    // Without result.jsonl the table serves.
    std::fs::remove_file(dir.path().join("runs/s0/result.jsonl")).expect("removed");
    let table = "training_iteration,env_runners/episode_return_mean,num_env_steps_sampled_lifetime\n1,,10\n2,4.5,20\n3,5,30\n4,";
    std::fs::write(dir.path().join("runs/s0/progress.csv"), table).expect("written");
    plot(&["runs/s0"]);
}

#[test]
fn what_cannot_be_plotted_is_said_with_the_fix() {
    let dir = dir();
    make_run(&dir.path().join("run"), 1, 0.1, 5);
    make_run(&dir.path().join("short"), 2, 0.1, 2);
    std::fs::create_dir_all(dir.path().join("empty/checkpoints")).expect("directory");
    std::fs::write(dir.path().join("empty/config.json"), "{}").expect("written");
    std::fs::create_dir(dir.path().join("nothing")).expect("directory");
    make_run(&dir.path().join("broken"), 3, 0.1, 3);
    let lines = std::fs::read_to_string(dir.path().join("broken/result.jsonl")).expect("results");
    std::fs::write(dir.path().join("broken/result.jsonl"), lines.replacen('{', "?", 1)).expect("written");
    let plot = |args: &[&str], code: i32| refused(dir.path(), &[&["plot"], args].concat(), code);
    let expected = [
        (plot(&[], 2), "RUN"),
        (plot(&["nowhere"], 2), "there is no directory nowhere"),
        (plot(&["nothing"], 2), "expected a directory with result.jsonl"),
        (plot(&["empty"], 2), "none of the runs has a result yet"),
        (plot(&["broken"], 1), "line 1 is not a result"),
        (
            plot(&["run", "--metric", "episode_reward_mean"], 2),
            "did you mean `env_runners/episode_return_mean`?",
        ),
        (
            plot(&["run", "--metric", "custom_metrics/distanc/mean"], 2),
            "did you mean `custom_metrics/distance/mean`?",
        ),
        (plot(&["run", "--metric", "evaluation/x"], 2), "set evaluation.evaluation_interval"),
        (plot(&["run", "--metric", "zzz"], 2), "--list shows the metrics"),
        (plot(&["run", "--output", "a.pdf"], 2), "ends in .png or .svg"),
        (plot(&["run", "--output", "no/a.png"], 2), "there is no directory no"),
        (plot(&["run", "--output", "run"], 2), "run is a directory, expected a file"),
        (plot(&["run", "--smooth", "0"], 2), "must be at least 1"),
        (plot(&["run", "--size", "9"], 2), "width x height"),
        (plot(&["run", "--size", "20x20"], 2), "--size: a picture of"),
        (plot(&["run", "--x", "miles"], 2), "possible values: steps, seconds, iterations"),
    ];
    for (message, part) in &expected {
        assert!(message.contains(part), "expected {part:?} in:\n{message}");
    }
    assert!(!dir.path().join("curves.svg").exists(), "nothing was written");
    let (_, remarks) = said(dir.path(), &["plot", "run", "short", "empty"]);
    assert!(remarks.contains("empty: no result yet; left out"), "{remarks}");
    assert!(remarks.contains("ends with its shortest run, short (at 2.00k of 5.00k)"), "{remarks}");
    let (_, remarks) = said(dir.path(), &["plot", "run", "short", "--after-end", "hold"]);
    assert_eq!(remarks, "");
}

#[test]
fn a_run_that_is_still_written_is_plotted_up_to_its_last_whole_line() {
    let dir = dir();
    make_run(&dir.path().join("run"), 1, 0.1, 5);
    let path = dir.path().join("run/result.jsonl");
    let whole = std::fs::read_to_string(&path).expect("results");
    std::fs::write(&path, format!("{whole}{}", &whole[..30])).expect("written");
    let (_, remarks) = said(dir.path(), &["plot", "run"]);
    assert!(remarks.contains("the last line is not whole yet"), "{remarks}");
    let svg = std::fs::read_to_string(dir.path().join("curves.svg")).expect("an SVG");
    assert_eq!(curves(&svg).first().map(Vec::len), Some(5));
}

/// Trains for an iteration; returns the directory's name.
fn train(cwd: &Path, env: &str) -> &'static str {
    let env = format!("--env={env}");
    let options = r#"{"train_batch_size": 256, "minibatch_size": 128, "num_epochs": 1}"#;
    let stop = r#"{"training_iteration": 1}"#;
    said(
        cwd,
        &[
            "train",
            &env,
            "--seed=1",
            "--config",
            options,
            "--stop",
            stop,
            "--output",
            "run",
            "--checkpoint-at-end",
        ],
    );
    "run"
}

#[test]
fn a_film_shows_the_episodes_that_are_evaluated() {
    let dir = dir();
    let run = train(dir.path(), "CartPole-v1");
    let evaluate = |more: &[&str]| -> Value {
        let (out, _) =
            said(dir.path(), &[&["evaluate", run, "--episodes=3", "--seed=4", "--json"], more].concat());
        serde_json::from_str(&out).expect("JSON")
    };
    let plain = evaluate(&[]);
    let filmed = evaluate(&[
        "--render",
        "films/out.gif",
        "--render-episodes",
        "2",
        "--render-fps",
        "25",
        "--render-size",
        "120x80",
    ]);
    assert_eq!(plain["episode_returns"], filmed["episode_returns"], "a camera changes nothing");
    // A cart-pole's return is its number of steps; a film shows the start, too.
    let lengths: Vec<usize> = plain["episode_returns"]
        .as_array()
        .expect("returns")
        .iter()
        .map(|one| one.as_f64().unwrap_or(0.0) as usize)
        .collect();
    let pictures = lengths[0] + lengths[1] + 2;
    assert_eq!(
        filmed["rendered"],
        json!({ "path": "films/out.gif", "episodes": 2, "frames": pictures, "fps": 25.0 })
    );
    let file = std::fs::File::open(dir.path().join("films/out.gif")).expect("a file");
    let mut decoder = gif::DecodeOptions::new().read_info(file).expect("a GIF");
    assert_eq!((decoder.width(), decoder.height()), (120, 80));
    let mut delays = Vec::new();
    while let Some(frame) = decoder.read_next_frame().expect("a frame") {
        delays.push(frame.delay);
    }
    assert_eq!(delays.len(), pictures);
    assert!(delays[..lengths[0]].iter().all(|delay| *delay == 4), "25 per second: {delays:?}");
    assert_eq!(
        (delays[lengths[0]], delays.last()),
        (100, Some(&100)),
        "the end of an episode stands for a second"
    );
    let (out, _) = said(dir.path(), &["evaluate", run, "--episodes=1", "--seed=4", "--render", "frames"]);
    assert!(out.contains("rendered: frames (1 episode, "), "{out}");
    let names = std::fs::read_dir(dir.path().join("frames"))
        .expect("frames")
        .map(|entry| entry.expect("entry").file_name());
    let names: Vec<String> = names.map(|name| name.to_string_lossy().into_owned()).collect();
    assert!(names.contains(&"episode_001_step_00000.png".to_owned()), "{names:?}");
    let again = refused(dir.path(), &["evaluate", run, "--render", "frames"], 2);
    assert!(again.contains("holds frames already"), "{again}");
}

#[test]
fn what_cannot_be_filmed_is_said_before_anything_is_played() {
    let dir = dir();
    let run = train(dir.path(), "probe/MatchObservation-v0");
    let render = |args: &[&str]| refused(dir.path(), &[&["evaluate", run], args].concat(), 2);
    let expected = [
        (render(&["--render", "a.gif"]), "`probe/MatchObservation-v0` cannot be rendered"),
        (render(&["--render", "a.mp4"]), "expected a name that ends in .gif, or a directory"),
        (render(&["--render", "a.gif", "--render-fps", "60"]), "--render-fps = 60: expected 0.1 to 50"),
        (render(&["--render", "a.gif", "--render-fps", "NaN"]), "--render-fps = NaN"),
        (render(&["--render", "a.gif", "--render-episodes", "0"]), "must be at least 1"),
        (render(&["--render", "a.gif", "--render-size", "0x5"]), "width x height in pixels"),
        (render(&["--render-fps", "5"]), "--render"),
        (render(&["--render", "run/config.json/x/a.gif"]), "cannot be used"),
    ];
    for (message, part) in &expected {
        assert!(message.contains(part), "expected {part:?} in:\n{message}");
    }
}

#[test]
fn a_place_for_pictures_that_cannot_be_written_is_found_before_anything_is_played() {
    let dir = dir();
    let run = train(dir.path(), "CartPole-v1");
    // A name that no file system takes.
    let name = format!("{}.gif", "x".repeat(300));
    let message = refused(dir.path(), &["evaluate", run, "--render", &name], 2);
    assert!(message.contains("cannot be used"), "{message}");
    said(dir.path(), &["evaluate", run, "--episodes=1", "--render", "out.gif"]);
    let left = std::fs::read_dir(dir.path()).expect("directory").count();
    assert_eq!(left, 2, "the run and the film");
}

#[test]
fn labels_tell_what_differs_between_runs() {
    let dir = dir();
    let labels = |args: &[&str]| -> Vec<String> {
        let (out, _) = said(dir.path(), &[&["plot"], args, &["--output", "x.svg"]].concat());
        out.lines().filter(|line| line.starts_with("PPO")).map(str::to_owned).collect()
    };
    make_run(&dir.path().join("a/run"), 1, 0.1, 4);
    make_run(&dir.path().join("b/run"), 2, 0.1, 4);
    make_run(&dir.path().join("c/run"), 2, 0.1, 4);
    let by_run = |runs: &[&str]| labels(&[runs, &["--group-by", "run"]].concat());
    assert_eq!(by_run(&["a", "b"]), ["PPO, CartPole-v1, seed=1", "PPO, CartPole-v1, seed=2"]);
    let all = by_run(&["a", "b", "c"]);
    assert_eq!(all, ["a/run", "b/run", "c/run"].map(|path| format!("PPO, CartPole-v1, {path}")));
}
