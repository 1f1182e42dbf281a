//! `skirl envs` and `skirl algos`.

use serde_json::{Value, json};
use skirl::config::algorithms;
use skirl::plan::tuned_configs;
use skirl_env::registry::{EnvInfo, info, names};

use crate::args::{EnvsArgs, ListArgs};
use crate::exit::ExitStatus;
use crate::output;
use crate::progress::columns;

pub(crate) fn envs(args: &EnvsArgs) -> ExitStatus {
    let environments: Vec<EnvInfo> = names(args.all).iter().filter_map(|name| info(name).ok()).collect();
    if args.json {
        let list: Vec<Value> = environments.iter().map(env_value).collect();
        output::line(&format!("{:#}", Value::from(list)));
        return ExitStatus::Success;
    }
    let header = ["environment", "agents", "observation", "action", "steps", "solved at"].map(str::to_owned);
    let rows: Vec<[String; 6]> = environments.iter().map(env_row).collect();
    for line in columns(&header, &rows) {
        output::line(&line);
    }
    ExitStatus::Success
}

fn env_row(env: &EnvInfo) -> [String; 6] {
    let (observation, action) = match env.agents.first() {
        Some((_, observation, action)) => (observation.to_string(), action.to_string()),
        None => (String::new(), String::new()),
    };
    let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
    [
        env.name.clone(),
        env.agents.len().to_string(),
        observation,
        action,
        or_dash(env.max_episode_steps.map(|steps| steps.to_string())),
        or_dash(env.reward_threshold.map(|threshold| threshold.to_string())),
    ]
}

fn env_value(env: &EnvInfo) -> Value {
    let agents: Vec<Value> = env
        .agents
        .iter()
        .map(|(name, observation, action)| {
            json!({ "agent": name, "observation_space": observation.to_json(), "action_space": action.to_json() })
        })
        .collect();
    json!({
        "name": env.name,
        "description": env.description,
        "multi_agent": env.multi_agent,
        "agents": agents,
        "max_episode_steps": env.max_episode_steps,
        "reward_threshold": env.reward_threshold,
    })
}

pub(crate) fn algos(args: &ListArgs) -> ExitStatus {
    let tuned = |name: &str| -> Vec<&str> {
        let folder = format!("/{}/", name.to_lowercase());
        tuned_configs().map(|(file, _)| file).filter(|file| file.contains(&folder)).collect()
    };
    if args.json {
        let value = |algorithm: &skirl::config::AlgorithmInfo| json!({ "name": algorithm.name, "summary": algorithm.summary, "tuned": tuned(algorithm.name) });
        let list: Vec<Value> = algorithms().iter().map(value).collect();
        output::line(&format!("{:#}", Value::from(list)));
        return ExitStatus::Success;
    }
    for algorithm in algorithms() {
        output::line(&format!("{:3}  {}", algorithm.name, algorithm.summary));
        output::line(&format!("     tuned: {}", tuned(algorithm.name).join(", ")));
    }
    ExitStatus::Success
}
