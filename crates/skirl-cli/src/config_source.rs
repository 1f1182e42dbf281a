//! From file and flags to one configuration, with everything that is wrong said at once.

use std::path::Path;

use serde_json::{Value, json};
use skirl::config::{
    AlgorithmConfig, ConfigError, ConfigErrors, FileFormat, Origin, for_algorithm, load_file, load_text,
};
use skirl::plan::tuned_configs;

use crate::args::Source;
use crate::examples::{self, Tuned};
use crate::shell;

/// Similarity (Jaro and Winkler's, 1 is equal) from which a name is suggested.
const SIMILAR: f64 = 0.85;

/// A configuration, and what to tell about where it came from.
#[derive(Debug)]
pub(crate) struct Configured {
    pub(crate) config: Box<dyn AlgorithmConfig>,
    pub(crate) remarks: Vec<String>,
}

/// Reads the whole source and checks it.
pub(crate) fn read(source: &Source) -> Result<Configured, ConfigErrors> {
    let mut base = base(source).map_err(|errors| with_errors_of_flags(errors, source))?;
    let mut errors = Vec::new();
    if source.run.is_some() && source.file.is_some() {
        errors.extend(other_algorithm(source, &*base.config));
    }
    if let Some(env) = &source.env {
        base.config.common_mut().environment.env = Some(env.clone());
    }
    errors.extend(apply_flags(source, &mut *base.config));
    errors.extend(unknown_environments(&*base.config));
    errors.extend(evaluation_never(&*base.config));
    if let Err(invalid) = base.config.validate() {
        errors.extend(invalid.0);
    }
    ConfigErrors(errors).into_result()?;
    if source.file.is_none() && !source.tuned {
        base.remarks.extend(better_tuned(&*base.config));
    }
    Ok(base)
}

/// The errors of a file that could not be used, and those of the flags beside it, which do not depend on the file.
fn with_errors_of_flags(mut errors: ConfigErrors, source: &Source) -> ConfigErrors {
    if let Ok(mut defaults) = for_algorithm(source.run.as_deref().unwrap_or("PPO")) {
        errors.0.extend(apply_flags(source, &mut *defaults));
    }
    errors
}

/// Points to the configuration that ships for the environment when RLlib's defaults were taken.
fn better_tuned(config: &dyn AlgorithmConfig) -> Option<String> {
    let env = config.common().environment.env.as_deref()?;
    let (name, _) = tuned_for(config.algorithm(), env)?;
    Some(format!("RLlib's defaults; a tuned configuration ships for this environment: add --tuned ({name})"))
}

/// Stop criteria on evaluations where none takes place while training.
pub(crate) fn evaluation_never(config: &dyn AlgorithmConfig) -> Vec<ConfigError> {
    if config.common().evaluation.evaluation_interval.is_some() {
        return Vec::new();
    }
    let criteria = config.stop().0.keys().filter(|metric| metric.starts_with("evaluation/"));
    let error = |metric: &String| {
        let problem = "nothing is evaluated while training, so it would never stop the run";
        ConfigError::new(format!("stop.{metric}"), problem)
            .suggest("set evaluation.evaluation_interval, for example to 10")
    };
    criteria.map(error).collect()
}

/// Environments that are not registered; the library finds them too, but only one error at a time.
fn unknown_environments(config: &dyn AlgorithmConfig) -> Vec<ConfigError> {
    let common = config.common();
    let named = [
        ("environment.env", &common.environment.env),
        ("evaluation.evaluation_config.env", &common.evaluation.evaluation_config.env),
    ];
    let unknown = named.into_iter().filter_map(|(path, env)| {
        let env = env.as_deref()?;
        let problem = skirl_env::registry::spec(env).err()?;
        Some(
            ConfigError::new(path, problem.to_string())
                .found(env)
                .suggest("`skirl envs` lists what there is"),
        )
    });
    unknown.collect()
}

/// Puts the flags that change single options into a configuration, also of a resumed run.
pub(crate) fn apply_flags(source: &Source, config: &mut dyn AlgorithmConfig) -> Vec<ConfigError> {
    let mut errors = Vec::new();
    let mut keep =
        |outcome: Result<(), ConfigErrors>| errors.extend(outcome.err().into_iter().flat_map(|e| e.0));
    for text in &source.config {
        keep(json_flag(text, "--config").and_then(|options| config.apply_json(&options, "--config")));
    }
    for assignment in &source.set {
        keep(config.apply_set(assignment));
    }
    if let Some(text) = &source.stop {
        let stop = json_flag(text, "--stop");
        keep(stop.and_then(|stop| config.apply_json(&json!({ "stop": stop }), "--stop")));
    }
    let plain = [
        ("--seed", "seed", source.seed.map(Value::from)),
        ("--num-threads", "num_threads", source.num_threads.map(Value::from)),
    ];
    errors.extend(set_each(config, plain));
    errors
}

/// Sets the options of flags that have one of their own: (flag, option, value if given).
pub(crate) fn set_each<const N: usize>(
    config: &mut dyn AlgorithmConfig,
    flags: [(&str, &str, Option<Value>); N],
) -> Vec<ConfigError> {
    let given = flags.into_iter().filter_map(|(flag, name, value)| Some((flag, name, value?)));
    let refused =
        given.filter_map(|(flag, name, value)| config.apply_json(&json!({ name: value }), flag).err());
    refused.flat_map(|errors| errors.0).collect()
}

/// Parses the JSON of a flag.
fn json_flag(text: &str, flag: &str) -> Result<Value, ConfigErrors> {
    serde_json::from_str(text).map_err(|error| {
        let problem = ConfigError::new("", format!("{flag} is not JSON: {error}"));
        let example = if flag == "--stop" {
            r#"--stop='{"training_iteration": 10}'"#
        } else {
            r#"--config='{"lr": 0.001}'"#
        };
        problem.suggest(format!("write for example {example}")).from(Some(Origin::Flag(flag.into()))).into()
    })
}

/// The file, the tuned file, or the algorithm's defaults.
fn base(source: &Source) -> Result<Configured, ConfigErrors> {
    // An environment alone is enough: PPO serves every space that any algorithm here does.
    let run = source.run.as_deref().or(source.env.as_ref().map(|_| "PPO"));
    match (&source.file, run) {
        (Some(file), _) => from_file(file, source.run.as_deref().unwrap_or("PPO")),
        (None, run) if source.tuned => tuned(source.env.as_deref().unwrap_or_default(), run.unwrap_or("PPO")),
        (None, Some(run)) => {
            let config = for_algorithm(run).map_err(|errors| from_flag(errors, "--run"))?;
            Ok(Configured { config, remarks: Vec::new() })
        }
        (None, None) => {
            let error = ConfigError::new("run", "the algorithm is missing");
            Err(error
                .suggest(
                    "write --run=PPO, or name a configuration file; `skirl example list` shows what ships",
                )
                .into())
        }
    }
}

fn from_flag(mut errors: ConfigErrors, flag: &str) -> ConfigErrors {
    for error in &mut errors.0 {
        error.origin = Some(Origin::Flag(flag.into()));
    }
    errors
}

/// A file on disk, or the name of one that ships: `cartpole`, `cartpole.toml`, `configs/ppo/cartpole.toml`.
/// Of several with the name, the one of algorithm `run` is meant.
fn from_file(file: &Path, run: &str) -> Result<Configured, ConfigErrors> {
    if file.is_file() {
        return Ok(Configured { config: load_file(file)?, remarks: Vec::new() });
    }
    if let Some(Tuned { file, text, .. }) = file.to_str().and_then(|name| {
        examples::find(&format!("{}/{name}", run.to_lowercase())).or_else(|| examples::find(name))
    }) {
        let remarks = vec![format!("configuration that ships with skirl: {file}")];
        return Ok(Configured { config: load_text(text, FileFormat::Toml, Path::new(file))?, remarks });
    }
    let error = if file.is_dir() { directory_as_file(file) } else { no_such_file(file) };
    Err(error.into())
}

fn no_such_file(file: &Path) -> ConfigError {
    let names: Vec<String> = examples::all().map(|example| example.name).collect();
    let error = ConfigError::new("", format!("there is no file {}", file.display()));
    let given = file.display().to_string();
    let alike = |name: &&String| strsim::jaro_winkler(name, &given) >= SIMILAR;
    match names.iter().find(alike) {
        Some(near) => {
            error.suggest(format!("did you mean `{near}`, which ships? `skirl example list` shows all"))
        }
        None => error.suggest(format!("configurations that ship: {}", names.join(", "))),
    }
}

fn directory_as_file(directory: &Path) -> ConfigError {
    let shown = directory.display();
    let error = ConfigError::new("", format!("{shown} is a directory, expected a configuration file"));
    if directory.join("checkpoints").is_dir() {
        error.suggest(format!("to go on with the run in it: skirl train --resume {}", shell::word(directory)))
    } else {
        error.suggest("name a .toml, .yaml or .json file")
    }
}

fn tuned(env: &str, algorithm: &str) -> Result<Configured, ConfigErrors> {
    let Some((name, text)) = tuned_for(algorithm, env) else {
        let folder = format!("/{}/", algorithm.to_lowercase());
        let own = tuned_configs().filter(|(name, _)| name.contains(&folder));
        let envs: Vec<String> = own.filter_map(|(_, text)| env_of(text)).collect();
        let error = ConfigError::new("", format!("no tuned configuration ships for {algorithm} on {env}"));
        let help = match envs.is_empty() {
            true => "leave --tuned out; `skirl algos` lists what is tuned for which algorithm".to_owned(),
            false => format!("leave --tuned out; for {algorithm} there are {}", envs.join(", ")),
        };
        return Err(error.suggest(help).into());
    };
    let config = load_text(text, FileFormat::Toml, Path::new(name))?;
    Ok(Configured { config, remarks: vec![format!("tuned configuration: {name}")] })
}

/// The shipped configuration of an algorithm for an environment.
fn tuned_for(algorithm: &str, env: &str) -> Option<(&'static str, &'static str)> {
    let folder = format!("/{}/", algorithm.to_lowercase());
    tuned_configs().find(|(name, text)| name.contains(&folder) && env_of(text).as_deref() == Some(env))
}

/// The environment that a shipped configuration names.
fn env_of(text: &str) -> Option<String> {
    let config = load_text(text, FileFormat::Toml, Path::new("")).ok()?;
    config.common().environment.env.clone()
}

/// `--run` beside a file must agree with the file.
fn other_algorithm(source: &Source, config: &dyn AlgorithmConfig) -> Option<ConfigError> {
    let run = source.run.as_deref()?;
    let agrees = run.eq_ignore_ascii_case(config.algorithm());
    (!agrees).then(|| {
        let problem = format!("the file configures {}", config.algorithm());
        ConfigError::new("run", problem)
            .found(run)
            .suggest("leave --run out")
            .from(Some(Origin::Flag("--run".into())))
    })
}
