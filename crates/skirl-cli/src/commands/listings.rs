//! `skirl envs` and `skirl algos`.

use serde_json::{Value, json};
use skirl::config::algorithms;
use skirl::plan::tuned_configs;
use skirl_env::Space;
use skirl_env::registry::{EnvInfo, info, names};

use crate::args::{EnvsArgs, ListArgs};
use crate::examples::{self, Tuned};
use crate::exit::ExitStatus;
use crate::flow::wrap;
use crate::output::{self, line_width};
use crate::progress::columns;

pub(crate) fn envs(args: &EnvsArgs) -> ExitStatus {
    let environments: Vec<EnvInfo> = names(args.all).iter().filter_map(|name| info(name).ok()).collect();
    if args.json {
        let list: Vec<Value> = environments.iter().map(env_value).collect();
        output::line(&format!("{:#}", Value::from(list)));
        return ExitStatus::Success;
    }
    let header = ["environment", "agents", "observation", "action", "steps", "solved at"].map(str::to_owned);
    let rows: Vec<[String; 6]> = environments.iter().flat_map(env_rows).collect();
    let table = columns(&header, &rows);
    let width = line_width();
    match table.iter().all(|line| line.chars().count() <= width) {
        true => table.iter().for_each(|line| output::line(line)),
        false => environments.iter().flat_map(in_lines).for_each(|line| output::line(&line)),
    }
    ExitStatus::Success
}

/// Agents that see and do the same: their names, what they see, what they do.
fn groups(env: &EnvInfo) -> Vec<(String, String, String)> {
    let mut groups: Vec<(Vec<&str>, &Space, &Space)> = Vec::new();
    for (name, observation, action) in &env.agents {
        match groups.iter_mut().find(|(_, seen, done)| *seen == observation && *done == action) {
            Some((names, _, _)) => names.push(name),
            None => groups.push((vec![name], observation, action)),
        }
    }
    let one = |(names, observation, action): (Vec<&str>, &Space, &Space)| {
        (in_short(&names), observation.to_string(), action.to_string())
    };
    groups.into_iter().map(one).collect()
}

/// All names, or the first and the last of many.
fn in_short(names: &[&str]) -> String {
    const MANY: usize = 4;
    match names {
        [first, .., last] if names.len() > MANY => format!("{first} … {last} ({})", names.len()),
        _ => names.join(", "),
    }
}

/// A row for each group of agents; a single agent needs no name.
fn env_rows(env: &EnvInfo) -> Vec<[String; 6]> {
    let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
    let row = |(index, (names, observation, action)): (usize, (String, String, String))| {
        let agents = if env.multi_agent { names } else { "-".to_owned() };
        let ends = [
            or_dash(env.max_episode_steps.map(|steps| steps.to_string())),
            or_dash(env.reward_threshold.map(|threshold| threshold.to_string())),
        ];
        let [steps, solved] = if index == 0 { ends } else { [const { String::new() }; 2] };
        let name = if index == 0 { env.name.clone() } else { String::new() };
        [name, agents, observation, action, steps, solved]
    };
    groups(env).into_iter().enumerate().map(row).collect()
}

/// The same below each other, for narrow terminals.
fn in_lines(env: &EnvInfo) -> Vec<String> {
    let steps = env.max_episode_steps.map(|steps| format!("{steps} steps"));
    let solved = env.reward_threshold.map(|threshold| format!("solved at {threshold}"));
    let facts: Vec<String> = steps.into_iter().chain(solved).collect();
    let mut lines = vec![format!("{}: {}", env.name, facts.join(", "))];
    for (names, observation, action) in groups(env) {
        if env.multi_agent {
            lines.push(format!("  {names}"));
        }
        lines.extend([format!("  sees  {observation}"), format!("  does  {action}")]);
    }
    lines
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
        let of_it = |example: &Tuned| tuned(algorithm.name).contains(&example.file);
        let names: Vec<String> = examples::all().filter(of_it).map(|example| example.name).collect();
        for line in [
            format!("{:3}  {}", algorithm.name, algorithm.summary),
            format!("     tuned: {}", names.join(", ")),
        ] {
            wrap(&line, 5, line_width()).iter().for_each(|line| output::line(line));
        }
    }
    ExitStatus::Success
}
