//! Configuration files: the three formats, positions in errors, hostile input.
#![allow(clippy::expect_used, reason = "a test helper may fail the test")]

use std::path::Path;

use serde_json::json;
use skirl::config::{AlgorithmConfig, ConfigErrors, FileFormat, PpoConfig, load_file, load_text};

fn load(format: FileFormat, text: &str) -> Result<Box<dyn AlgorithmConfig>, ConfigErrors> {
    load_text(text, format, Path::new("run.file"))
}

fn message(format: FileFormat, text: &str) -> String {
    load(format, text).expect_err("must be refused").to_string()
}

const TOML: &str = r#"
run = "PPO"
env = "CartPole-v1"
[stop]
"env_runners/episode_return_mean" = 475
[training]
lr = [[0, 1e-3], [100_000, 0.0]]
vf_clip_param = "none"
optimizer = { eps = 1e-5 }
[config]
num_workers = 0
"#;

const YAML: &str = r"
cartpole:
    run: PPO
    env: CartPole-v1
    stop: {env_runners/episode_return_mean: 475}
    config:
        lr: [[0, 1e-3], [100000, 0.0]]
        vf_clip_param: null
        optimizer: {eps: 1e-5}
        num_env_runners: 0
";

const JSON: &str = r#"{"run": "PPO", "env": "CartPole-v1", "stop": {"env_runners/episode_return_mean": 475},
 "training": {"lr": [[0, 0.001], [100000, 0.0]], "vf_clip_param": null, "optimizer": {"eps": 1e-5}},
 "env_runners": {"num_env_runners": 0}}"#;

#[test]
fn three_formats_say_the_same() {
    let expected = PpoConfig::new()
        .environment("CartPole-v1")
        .env_runners(|o| o.num_env_runners(0))
        .training(|t| t.lr([(0, 1e-3), (100_000, 0.0)]).vf_clip_param(None).optimizer(|o| o.eps(1e-5)))
        .stop("env_runners/episode_return_mean", 475.0);
    for (format, text) in [(FileFormat::Toml, TOML), (FileFormat::Yaml, YAML), (FileFormat::Json, JSON)] {
        let config = load(format, text).expect("valid");
        assert_eq!(config.as_any().downcast_ref(), Some(&expected), "{format:?}");
        assert_eq!(config.validate(), Ok(()));
    }
}

#[test]
fn errors_tell_line_and_column() {
    let toml = "run = \"PPO\"\n[training]\n  gamm = 1\nlr = nan\n[trainig]\n";
    let expected = "3 errors in the configuration\n\
        training.gamm = 1: unknown option in section training\n  help: did you mean `training.gamma`?\n  at: run.file:3:3\n\
        training.lr = \"nan\": must be a finite number, found NaN\n  at: run.file:4:1\n\
        trainig = {}: unknown key\n  help: did you mean `training`?\n  at: run.file:5:2";
    assert_eq!(message(FileFormat::Toml, toml), expected);
    let yaml = "run: PPO\ntraining:\n  lr: -1\n  gamma: .nan\n";
    let errors = message(FileFormat::Yaml, yaml);
    assert!(errors.contains("training.lr = -1: must be at least 0\n  at: run.file:3:3"), "{errors}");
    assert!(
        errors.contains("training.gamma = \"nan\": must be a finite number, found NaN\n  at: run.file:4:3"),
        "{errors}"
    );
    let json = "{\"run\": \"PPO\",\n \"training\": {\"lr\": \"fast\"}}";
    let errors = message(FileFormat::Json, json);
    assert!(errors.contains("expected a number, found the string \"fast\"\n  at: run.file:2:15"), "{errors}");
}

#[test]
fn lists_of_tables_and_options_outside_sections() {
    let errors = message(FileFormat::Toml, "run = \"PPO\"\nlr = 1e-3\n[[training]]\nlr = 1\n");
    assert!(
        errors.contains("lr = 0.001: an option outside its section\n  help: write it as training.lr"),
        "{errors}"
    );
    assert!(errors.contains("expected a map of options, found a list of 1 value"), "{errors}");
}

#[test]
fn the_same_option_twice_is_refused() {
    let toml = "run = \"PPO\"\n[training]\nminibatch_size = 64\n[config]\nsgd_minibatch_size = 32\n";
    let errors = message(FileFormat::Toml, toml);
    let expected = "is given twice, as `training.minibatch_size` and as `config.sgd_minibatch_size`";
    assert!(errors.contains(expected), "{errors}");
    let errors = message(FileFormat::Json, r#"{"run": "PPO", "training": {"lr": 1, "lr": 2}}"#);
    assert!(errors.contains("the key is given twice: lr"), "{errors}");
    let errors = message(FileFormat::Yaml, "run: PPO\nrun: PPO\n");
    assert!(errors.contains("the key is given twice: run\n  at: run.file:2:1"), "{errors}");
}

#[test]
fn several_experiments_are_refused() {
    let errors = message(FileFormat::Yaml, "a: {run: PPO}\nb: {run: PPO}\n");
    assert!(errors.contains("expected one experiment in a file, found a, b"), "{errors}");
}

#[test]
fn the_algorithm_is_asked_for() {
    assert!(message(FileFormat::Toml, "env = \"CartPole-v1\"").contains("run: the algorithm is missing"));
    assert!(
        message(FileFormat::Toml, "run = \"SAC\"")
            .contains("does not serve yet\n  help: available: PPO, A2C, PG\n  at: run.file:1:1")
    );
    assert!(message(FileFormat::Json, "[1]").contains("expected a map"));
    assert!(message(FileFormat::Yaml, "").contains("expected a map"));
}

#[test]
fn hostile_files_are_refused_quickly() {
    let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for level in 1..12 {
        let reference = format!("*a{}", level - 1);
        bomb.extend(["a", &level.to_string(), ": &a", &level.to_string(), " ["]);
        bomb.extend([vec![reference; 10].join(", ").as_str(), "]\n"]);
    }
    assert!(message(FileFormat::Yaml, &bomb).contains("counting what aliases repeat"));
    assert!(message(FileFormat::Yaml, &"[".repeat(100_000)).contains("syntax error"));
    assert!(message(FileFormat::Json, &"[".repeat(100_000)).contains("syntax error"));
    assert!(message(FileFormat::Toml, &format!("a = {}", "[".repeat(100_000))).contains("syntax error"));
    assert!(
        message(FileFormat::Yaml, "run: !!python/object/apply:os.system [ls]").contains("is not read here")
    );
    assert!(
        message(FileFormat::Toml, "run = \"PPO\"\ntraining = 99999999999999999999999999999999999999999\n")
            .contains("range")
    );
}

#[test]
fn files_are_read_by_their_ending() {
    let dir = tempfile::tempdir().expect("directory");
    let path = dir.path().join("my run.yaml");
    std::fs::write(&path, YAML).expect("written");
    assert_eq!(load_file(&path).expect("valid").get("training.optimizer.eps"), Some(json!(1e-5)));
    let message = |name: &str| load_file(&dir.path().join(name)).expect_err("refused").to_string();
    assert!(message("missing.toml").contains("cannot read"));
    assert!(message("run.ini").contains("name it .toml, .yaml or .json"));
    let resolved = dir.path().join("resolved.json");
    let config = load_file(&path).expect("valid");
    std::fs::write(&resolved, config.to_value().to_string()).expect("written");
    assert_eq!(load_file(&resolved).expect("valid").to_value(), config.to_value());
}
