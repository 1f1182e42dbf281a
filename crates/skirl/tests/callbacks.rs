//! Callbacks: every hook with the right values and count, in one order, across threads and resume; errors; changes.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::float_cmp)]

mod runs;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use runs::{assert_same_state, build, config, train, weight_bits};
use serde_json::{Value, json};
use skirl::callbacks::{CallbackFns, CallbackList, Callbacks, Episode, Hook, HookResult, HookSet};
use skirl::contract::{Links, ModuleRollout};
use skirl::run::{Flow, Run};
use skirl::{Algorithm, Error};
use skirl_env::column::{column_muts, column_refs};
use skirl_env::{AgentActions, AgentStep, Env, EnvContext, EnvError, Outcomes, Row, RowRef, Space, Step};
use skirl_math::chain::END;
use skirl_math::rng::StreamKey;

type Log<T> = Arc<Mutex<Vec<T>>>;

fn built(env: &str, sections: &Value, callbacks: CallbackList) -> Algorithm {
    Algorithm::build_with(config(env, sections), callbacks).unwrap()
}

/// What a hook saw of an episode.
#[derive(Debug, Clone, PartialEq)]
struct Seen {
    hook: &'static str,
    id: u64,
    env: usize,
    len: u64,
    episode_return: f64,
    agent_returns: Vec<f64>,
    observations: Vec<Option<Vec<f32>>>,
    actions: Vec<Option<i64>>,
    rewards: Vec<f64>,
    ended: (bool, bool),
    in_evaluation: bool,
}

fn see(hook: Hook, episode: &Episode<'_>) -> Seen {
    let agents = 0..episode.agents().len();
    Seen {
        hook: hook.name(),
        id: episode.id(),
        env: episode.env_index(),
        len: episode.env_steps(),
        episode_return: episode.episode_return(),
        agent_returns: agents.clone().map(|agent| episode.agent_return(agent).unwrap()).collect(),
        observations: agents.clone().map(|agent| episode.observation(agent).map(<[f32]>::to_vec)).collect(),
        actions: agents
            .clone()
            .map(|agent| episode.action(agent).map(|action| action.discrete().unwrap()))
            .collect(),
        rewards: agents.map(|agent| episode.reward(agent)).collect(),
        ended: (episode.terminated(), episode.truncated()),
        in_evaluation: episode.in_evaluation(),
    }
}

/// Callbacks that write down what every hook of episodes sees.
fn recorder(log: &Log<Seen>) -> CallbackFns {
    let note = |hook: Hook| {
        let log = Arc::clone(log);
        move |episode: &mut Episode<'_>| -> HookResult {
            log.lock().unwrap().push(see(hook, episode));
            Ok(())
        }
    };
    CallbackFns::new("recorder")
        .on_episode_created(note(Hook::EpisodeCreated))
        .on_episode_start(note(Hook::EpisodeStart))
        .on_episode_step(note(Hook::EpisodeStep))
        .on_episode_end(note(Hook::EpisodeEnd))
}

fn env_seed(env: usize) -> u64 {
    StreamKey::root(1).child("training").child("env").index(env as u64).0 >> 1
}

/// The hooks of one agent's episodes, replayed with the recorded actions in environments of their own.
#[test]
fn hooks_of_episodes_see_what_a_replay_sees() {
    const ENVS: usize = 4;
    let sections = json!({
        "environment": { "env_config": { "max_episode_steps": 17 } },
        "env_runners": { "observation_filter": "MeanStdFilter" },
    });
    let log: Log<Seen> = Arc::default();
    let mut algorithm = built("CartPole-v1", &sections, CallbackList::new().with(recorder(&log)));
    assert!(log.lock().unwrap().is_empty(), "no episode runs before the first step");
    train(&mut algorithm, 2);
    let mut log = log.lock().unwrap().clone().into_iter();

    let arguments = json!({ "max_episode_steps": 17 });
    let context = EnvContext { env_config: arguments.as_object().unwrap().clone(), ..EnvContext::default() };
    let mut envs = skirl_env::make_vec("CartPole-v1", ENVS, &context).unwrap();
    let (mut observations, mut actions) =
        (envs.observation_space().columns(ENVS), envs.action_space().columns(ENVS));
    let mut outcomes = Outcomes::default();
    let (mut sums, mut lens, mut played) = ([0.0; ENVS], [0; ENVS], [0; ENVS]);
    let mut ends = (0, 0);
    let expect = |hook: &'static str, env: usize, played: u64, len, sum| Seen {
        hook,
        id: played * ENVS as u64 + env as u64,
        env,
        len,
        episode_return: sum,
        agent_returns: vec![sum],
        observations: vec![None],
        actions: vec![None],
        rewards: vec![0.0],
        ended: (false, false),
        in_evaluation: false,
    };
    let row = |observations: &[skirl_env::Column], env: usize| {
        let column = column_refs(observations);
        vec![Some(column[0].typed::<f32>().unwrap()[env * 4..(env + 1) * 4].to_vec())]
    };
    for env in 0..ENVS {
        assert_eq!(log.next().unwrap(), expect("on_episode_created", env, 0, 0, 0.0));
        envs.reset(env, Some(env_seed(env)), &mut column_muts(&mut observations)).unwrap();
        let start =
            Seen { observations: row(&observations, env), ..expect("on_episode_start", env, 0, 0, 0.0) };
        assert_eq!(log.next().unwrap(), start);
    }
    for _ in 0..2 * 64 {
        // The actions of a step are in the log of its step hooks, one for each environment.
        let steps: Vec<i64> = log
            .clone()
            .filter(|seen| seen.hook == "on_episode_step")
            .take(ENVS)
            .map(|seen| seen.actions[0].unwrap())
            .collect();
        actions[0] = steps.clone().into();
        envs.step(&column_refs(&actions), &mut column_muts(&mut observations), &mut outcomes).unwrap();
        for env in 0..ENVS {
            sums[env] += outcomes.rewards[env];
            lens[env] += 1;
            let ended = (outcomes.terminated[env], outcomes.truncated[env]);
            let step = Seen {
                observations: row(&observations, env),
                actions: vec![Some(steps[env])],
                rewards: vec![outcomes.rewards[env]],
                ended,
                ..expect("on_episode_step", env, played[env], lens[env], sums[env])
            };
            assert_eq!(log.next().unwrap(), step);
            if ended == (false, false) {
                continue;
            }
            ends = (ends.0 + usize::from(ended.0), ends.1 + usize::from(ended.1));
            assert_eq!(log.next().unwrap(), Seen { hook: "on_episode_end", ..step });
            (sums[env], lens[env]) = (0.0, 0);
            played[env] += 1;
            assert_eq!(log.next().unwrap(), expect("on_episode_created", env, played[env], 0, 0.0));
            envs.reset(env, None, &mut column_muts(&mut observations)).unwrap();
            let start = Seen {
                observations: row(&observations, env),
                ..expect("on_episode_start", env, played[env], 0, 0.0)
            };
            assert_eq!(log.next().unwrap(), start);
        }
    }
    assert_eq!(log.next(), None);
    assert!(ends.0 > 3 && ends.1 > 3, "both kinds of end were seen: {ends:?}");
}

/// The same for agents that act in turns or together, and leave early.
#[test]
fn hooks_of_agents_see_what_a_replay_sees() {
    for name in ["probe/TurnBased-v0", "probe/Simultaneous-v0"] {
        let sections = json!({ "env_runners": { "num_envs_per_env_runner": 1 }, "training": { "train_batch_size": 50, "minibatch_size": 16 } });
        let log: Log<Seen> = Arc::default();
        train(&mut built(name, &sections, CallbackList::new().with(recorder(&log))), 2);
        let log = log.lock().unwrap().clone();
        let mut env = skirl_env::make_multi(name, 1, &EnvContext::single()).unwrap().remove(0);
        let (mut step, mut actions) = (AgentStep::for_env(&*env), AgentActions::for_env(&*env));
        let (mut episodes, mut len, mut returns) = (0, 0, [0.0; 2]);
        let observed = |step: &AgentStep| -> Vec<Option<Vec<f32>>> {
            let values = |agent| step.observation(agent).f32(0).unwrap().to_vec();
            (0..2).map(|agent| step.observed[agent].then(|| values(agent))).collect()
        };
        for seen in &log {
            assert_eq!((seen.id, seen.env, seen.in_evaluation), (episodes, 0, false), "{name}");
            match seen.hook {
                "on_episode_created" => {
                    step.clear();
                    env.reset((episodes == 0).then(|| env_seed(0)), &mut step).unwrap();
                    (len, returns) = (0, [0.0; 2]);
                    assert_eq!(seen.observations, [None, None]);
                }
                "on_episode_start" => assert_eq!(seen.observations, observed(&step), "{name}"),
                "on_episode_step" => {
                    actions.clear();
                    for (agent, action) in seen.actions.iter().enumerate() {
                        // Exactly those act that have observed.
                        assert_eq!(action.is_some(), step.observed[agent] && !step.ended(agent), "{name}");
                        let Some(action) = action else { continue };
                        actions.acts[agent] = true;
                        actions.actions[agent][0] = vec![*action].into();
                    }
                    step.clear();
                    env.step(&actions, &mut step).unwrap();
                    len += 1;
                    returns = [returns[0] + step.rewards[0], returns[1] + step.rewards[1]];
                    assert_eq!(seen.ended, (step.all_terminated, false), "{name}");
                    assert_eq!(
                        (&seen.observations, &seen.rewards),
                        (&observed(&step), &step.rewards),
                        "{name}"
                    );
                }
                _ => {
                    assert!(step.all_terminated);
                    episodes += 1;
                }
            }
            assert_eq!((seen.len, seen.episode_return), (len, returns[0] + returns[1]), "{name}");
            assert_eq!(seen.agent_returns, returns, "{name}");
        }
        let steps = log.iter().filter(|seen| seen.hook == "on_episode_step").count();
        assert_eq!((steps, episodes), (100, if name == "probe/TurnBased-v0" { 25 } else { 50 }));
    }
}

/// Keeps a running sum with the episode, measures from it, and counts episodes in a state of its own.
#[derive(Default)]
struct Measure {
    episodes: Mutex<u64>,
}

impl Callbacks for Measure {
    fn name(&self) -> &'static str {
        "measure"
    }

    fn hooks(&self) -> HookSet {
        HookSet::of(&[Hook::EpisodeStart, Hook::EpisodeStep, Hook::EpisodeEnd, Hook::TrainResult])
    }

    fn save_state(&self) -> Option<Value> {
        Some(json!(*self.episodes.lock().unwrap()))
    }

    fn restore_state(&self, state: &Value) -> HookResult {
        *self.episodes.lock().unwrap() = state.as_u64().ok_or("no number")?;
        Ok(())
    }

    fn on_episode_start(&self, episode: &mut Episode<'_>) -> HookResult {
        let id = episode.id();
        episode.user_data.insert("id".to_owned(), json!(id));
        Ok(())
    }

    fn on_episode_step(&self, episode: &mut Episode<'_>) -> HookResult {
        assert_eq!(episode.user_data["id"], json!(episode.id()), "data stays with its episode");
        let angle =
            episode.observation(0).or(episode.observation(1)).map_or(0.0, |obs| f64::from(obs[0]).abs());
        let sum = episode.user_data.get("sum").and_then(Value::as_f64).unwrap_or(0.0) + angle;
        episode.user_data.insert("sum".to_owned(), json!(sum));
        Ok(())
    }

    fn on_episode_end(&self, episode: &mut Episode<'_>) -> HookResult {
        let sum = episode.user_data["sum"].as_f64().ok_or("no sum")?;
        episode.custom_metrics.insert("position".to_owned(), sum / episode.env_steps() as f64);
        episode.custom_metrics.insert("id".to_owned(), episode.id() as f64);
        *self.episodes.lock().unwrap() += 1;
        Ok(())
    }

    fn on_train_result(&self, _: &mut Algorithm, result: &mut skirl::report::TrainResult) -> HookResult {
        result.set("episodes_seen", *self.episodes.lock().unwrap());
        Ok(())
    }
}

fn measured() -> CallbackList {
    CallbackList::new().with(Measure::default())
}

const ENVS: [&str; 3] = ["CartPole-v1", "TwoCartPole-v0", "probe/TurnBased-v0"];

#[test]
fn threads_change_nothing_that_callbacks_see_or_do() {
    let threads = |count: usize| json!({ "resources": { "num_threads": count }, "env_runners": { "observation_filter": "MeanStdFilter" } });
    for env in ENVS {
        let logs: [Log<Seen>; 2] = Default::default();
        let mut runs = [1, 4].into_iter().zip(&logs).map(|(count, log)| {
            let mut algorithm = built(env, &threads(count), measured().with(recorder(log)));
            train(&mut algorithm, 2);
            algorithm
        });
        let (one, four) = (runs.next().unwrap(), runs.next().unwrap());
        assert_same_state(&one, &four, env);
        let [left, right] = logs.map(|log| log.lock().unwrap().clone());
        assert!(left == right && !left.is_empty(), "{env}");
        // Looking on changes nothing either.
        let mut without = build(env, &threads(2));
        train(&mut without, 2);
        assert_eq!(weight_bits(&one), weight_bits(&without), "{env}");
    }
}

#[test]
fn a_resumed_run_goes_on_with_data_metrics_and_state() {
    for env in ENVS {
        let directory = tempfile::tempdir().unwrap();
        let sections = json!({ "training": { "train_batch_size": 100, "minibatch_size": 16 } });
        let mut whole = built(env, &sections, measured());
        train(&mut whole, 2);
        let saved = whole.save_to_path(&directory.path().join("saved")).unwrap();
        let mut resumed = Algorithm::from_checkpoint_with_callbacks(&saved, measured(), |_| Ok(())).unwrap();
        assert!(resumed.warnings().is_empty(), "{:?}", resumed.warnings());
        let metrics = |algorithm: &mut Algorithm| {
            let result = algorithm.train().unwrap();
            let mut kept = vec![result.value("episodes_seen").cloned().unwrap()];
            kept.extend(result.value("env_runners/custom_metrics").cloned());
            kept
        };
        for _ in 0..2 {
            assert_eq!(metrics(&mut whole), metrics(&mut resumed), "{env}");
        }
        assert_same_state(&whole, &resumed, env);
    }
}

#[test]
fn callbacks_that_are_missing_are_said_and_registered_ones_found() {
    let directory = tempfile::tempdir().unwrap();
    let mut first = built("CartPole-v1", &json!({}), measured());
    assert_eq!(first.config().to_value()["callbacks"]["names"], json!(["measure"]));
    train(&mut first, 1);
    let saved = first.save_to_path(&directory.path().join("saved")).unwrap();
    let mut without = Algorithm::from_checkpoint(&saved).unwrap();
    assert!(
        without.warnings().iter().any(|warning| warning.contains("'measure'")),
        "{:?}",
        without.warnings()
    );
    assert_eq!(without.warnings().len(), 1);
    assert_eq!(without.config().to_value()["callbacks"]["names"], json!([]));
    train(&mut without, 1);
    train(&mut first, 1);
    assert_eq!(weight_bits(&first), weight_bits(&without), "learning does not depend on who looks on");

    skirl::callbacks::register_callbacks("test/registered", || CallbackFns::new("test/registered"));
    let named = build("CartPole-v1", &json!({ "callbacks": { "names": ["test/registered", "nobody"] } }));
    assert_eq!(named.callbacks().names(), ["test/registered"]);
    assert!(named.warnings()[0].contains("'nobody'"));

    let twice = measured().with(Measure::default());
    let error = Algorithm::build_with(config("CartPole-v1", &json!({})), twice).unwrap_err().to_string();
    assert!(error.contains("'measure' twice"), "{error}");
}

fn failing(run: impl Fn(&mut Episode<'_>) -> HookResult + Send + Sync + 'static) -> CallbackList {
    CallbackList::new().with(CallbackFns::new("broken").on_episode_step(run))
}

/// An error, a panic and a NaN end the run at a named place, with what was learned saved.
#[test]
fn what_goes_wrong_in_a_hook_is_named_and_loses_nothing() {
    type Fault = fn(&mut Episode<'_>) -> HookResult;
    let faults: [(Fault, &str); 3] = [
        (|_| Err("no such sensor".into()), "no such sensor"),
        (|_| panic!("index {} is wrong", 7), "it panicked: index 7 is wrong"),
        (
            |episode| {
                episode.custom_metrics.insert("speed".to_owned(), f64::NAN);
                Ok(())
            },
            "custom metric 'speed' to NaN",
        ),
    ];
    for (fault, said) in faults {
        let directory = tempfile::tempdir().unwrap();
        let callbacks = failing(move |episode| match (episode.id(), episode.env_steps()) {
            (6, 3) => fault(episode),
            _ => Ok(()),
        });
        let sections = json!({ "training": { "train_batch_size": 32, "minibatch_size": 16 } });
        let mut run =
            Run::create_with(config("CartPole-v1", &sections), Some(directory.path()), callbacks).unwrap();
        let error = run.train_until_stop(&mut |_| Flow::Continue).unwrap_err();
        let message = error.to_string();
        for part in [
            "callbacks 'broken' failed in on_episode_step",
            "episode 6, environment 2, step 3 of the episode",
            said,
        ] {
            assert!(message.contains(part), "{message}");
        }
        assert!(matches!(error.cause(), Error::Callback(failed) if failed.hook == Hook::EpisodeStep));
        let good = weight_bits(run.algorithm());
        let iterations = run.algorithm().training_iteration();
        assert!(iterations >= 1);
        drop(run);
        let mut resumed = Run::resume(directory.path(), |_| Ok(())).unwrap();
        assert_eq!(
            (resumed.algorithm().training_iteration(), weight_bits(resumed.algorithm())),
            (iterations, good)
        );
        resumed.algorithm_mut().train().unwrap();
    }
}

/// Every hook in the order of a run, as docs/callbacks.md has it.
#[test]
fn hooks_come_in_their_order() {
    let log: Log<String> = Arc::default();
    let note = |name: &str| {
        let (log, name) = (Arc::clone(&log), name.to_owned());
        move || -> HookResult {
            let mut log = log.lock().unwrap();
            if log.last() != Some(&name) {
                log.push(name.clone());
            }
            Ok(())
        }
    };
    macro_rules! all {
        ($callbacks:expr, $($method:ident($($argument:pat_param),+)),+) => {
            $callbacks$(.$method({ let note = note(stringify!($method)); move |$($argument),+| note() }))+
        };
    }
    let fns = all!(
        CallbackFns::new("order"),
        on_algorithm_init(_),
        on_environment_created(_),
        on_postprocess_trajectory(_),
        on_sample_end(_),
        on_learn_on_batch(_, _),
        on_evaluate_start(_),
        on_evaluate_end(_, _),
        on_train_result(_, _),
        on_checkpoint_saved(_, _),
        on_checkpoint_loaded(_)
    );
    let directory = tempfile::tempdir().unwrap();
    let sections = json!({
        "evaluation": { "evaluation_interval": 1, "evaluation_duration": 2 },
        "checkpointing": { "checkpoint_frequency": 1 }, "stop": { "training_iteration": 2 },
    });
    let callbacks = CallbackList::new().with(fns);
    let mut run =
        Run::create_with(config("CartPole-v1", &sections), Some(directory.path()), callbacks.clone())
            .unwrap();
    run.train_until_stop(&mut |_| Flow::Continue).unwrap();
    drop(run);
    Run::resume_with(directory.path(), callbacks, |_| Ok(())).unwrap();
    let iteration = ["on_postprocess_trajectory", "on_sample_end", "on_learn_on_batch", "on_evaluate_start"];
    let rest = ["on_evaluate_end", "on_train_result", "on_checkpoint_saved"];
    let expected = [
        &["on_environment_created", "on_algorithm_init"][..],
        &iteration,
        &["on_environment_created"],
        &rest,
        &iteration,
        &rest,
        &["on_environment_created", "on_algorithm_init", "on_checkpoint_loaded"],
    ];
    assert_eq!(*log.lock().unwrap(), expected.concat());
}

#[test]
fn environments_are_announced_one_by_one() {
    for (env, threads) in [("CartPole-v1", 3), ("TwoCartPole-v0", 1)] {
        let log: Log<(usize, bool, bool)> = Arc::default();
        let noted = Arc::clone(&log);
        let callbacks = CallbackFns::new("environments").on_environment_created(move |environment| {
            let at_hand = environment.vector().is_some_and(|(envs, row)| row < envs.num_envs())
                || environment.multi_agent().is_some_and(|env| env.agents().len() == 2);
            noted.lock().unwrap().push((environment.index(), environment.in_evaluation(), at_hand));
            Ok(())
        });
        let sections =
            json!({ "resources": { "num_threads": threads }, "evaluation": { "evaluation_num_envs": 2 } });
        let mut algorithm = built(env, &sections, CallbackList::new().with(callbacks));
        for _ in 0..2 {
            algorithm.evaluate(&skirl::algorithm::EvaluateRequest::default()).unwrap();
        }
        let expected = [(0, false), (1, false), (2, false), (3, false), (0, true), (1, true)];
        assert_eq!(
            *log.lock().unwrap(),
            expected.map(|(index, evaluation)| (index, evaluation, true)),
            "{env}"
        );
    }
}

#[test]
fn metrics_of_episodes_are_aggregated_where_they_belong() {
    let sections = json!({
        "evaluation": { "evaluation_interval": 1, "evaluation_duration": 3 },
        "reporting": { "metrics_num_episodes_for_smoothing": 5 },
    });
    let log: Log<Seen> = Arc::default();
    let mut algorithm = built("CartPole-v1", &sections, measured().with(recorder(&log)));
    let (mut lifetime, mut evaluated) = (0.0, BTreeSet::new());
    for iteration in 1..=3_u32 {
        let result = algorithm.train().unwrap();
        let seen = log.lock().unwrap().clone();
        let ended = |in_evaluation: bool| -> Vec<u64> {
            let ended = seen.iter().filter(|seen| seen.hook == "on_episode_end");
            ended.filter(|seen| seen.in_evaluation == in_evaluation).map(|seen| seen.id).collect()
        };
        let training = ended(false);
        let last: Vec<f64> = training.iter().rev().take(5).map(|&id| id as f64).collect();
        let metric = |name: &str| result.get(&format!("env_runners/custom_metrics/id_{name}"));
        assert_eq!(metric("mean"), Some(last.iter().rev().sum::<f64>() / last.len() as f64));
        assert_eq!(metric("min"), last.iter().copied().reduce(f64::min));
        assert_eq!(metric("max"), last.iter().copied().reduce(f64::max));
        assert_eq!(result.get("custom_metrics/id_max"), metric("max"), "RLlib's old place");
        assert_eq!(training.iter().collect::<BTreeSet<_>>().len(), training.len(), "ids are unique");

        let played = ended(true);
        assert_eq!(played.iter().collect::<BTreeSet<_>>().len(), played.len(), "also over evaluations");
        let max = result.get("evaluation/env_runners/custom_metrics/id_max").unwrap();
        assert!(played.contains(&(max as u64)) && evaluated.insert(max as u64));
        assert!(result.get("evaluation/env_runners/custom_metrics/position_mean").is_some());
        let count = |name: &str| result.get(&format!("evaluation/env_runners/{name}")).unwrap();
        assert_eq!((count("num_episodes"), count("num_episodes_lifetime")), (3.0, f64::from(3 * iteration)));
        lifetime += count("num_env_steps_sampled");
        assert_eq!(count("num_env_steps_sampled_lifetime"), lifetime);
    }
}

#[test]
fn evaluation_goes_on_counting_in_a_resumed_run() {
    let directory = tempfile::tempdir().unwrap();
    let sections = json!({ "evaluation": { "evaluation_interval": 1, "evaluation_duration": 3 } });
    let run = |algorithm: &mut Algorithm| algorithm.train().unwrap().value("evaluation").cloned();
    let mut whole = built("CartPole-v1", &sections, measured());
    run(&mut whole);
    let saved = whole.save_to_path(&directory.path().join("saved")).unwrap();
    let mut resumed = Algorithm::from_checkpoint_with_callbacks(&saved, measured(), |_| Ok(())).unwrap();
    assert_eq!(run(&mut whole), run(&mut resumed));
}

/// What `on_train_result` and `on_evaluate_end` add is seen by stop criteria and by every sink.
#[test]
fn an_added_key_stops_the_run_and_stands_in_every_sink() {
    let directory = tempfile::tempdir().unwrap();
    let callbacks = CallbackFns::new("score")
        .on_train_result(|algorithm, result| {
            let twice = algorithm.training_iteration() * 2;
            result.set("my/score", twice).set("timestamp", 7_u64);
            assert!(result.remove("pid").is_some());
            Ok(())
        })
        .on_evaluate_end(|_, evaluation| {
            evaluation.extra.insert("episodes_squared".to_owned(), (evaluation.episodes.len().pow(2)) as f64);
            Ok(())
        });
    let sections = json!({
        "stop": { "my/score": 6 }, "evaluation": { "evaluation_interval": 2, "evaluation_duration": 3 },
    });
    let callbacks = measured().with(callbacks);
    let mut run =
        Run::create_with(config("CartPole-v1", &sections), Some(directory.path()), callbacks).unwrap();
    let summary = run.train_until_stop(&mut |_| Flow::Continue).unwrap();
    assert!(summary.criterion_met && run.algorithm().training_iteration() == 3, "{}", summary.reason);
    let lines = std::fs::read_to_string(directory.path().join("result.jsonl")).unwrap();
    let last: Value = serde_json::from_str(lines.lines().last().unwrap()).unwrap();
    assert_eq!(
        (&last["my"]["score"], &last["timestamp"], &last["pid"]),
        (&json!(6), &json!(7), &Value::Null)
    );
    let second: Value = serde_json::from_str(lines.lines().nth(1).unwrap()).unwrap();
    assert_eq!(second["evaluation"]["episodes_squared"], json!(9.0));
    let table = std::fs::read_to_string(directory.path().join("progress.csv")).unwrap();
    let header: Vec<&str> = table.lines().next().unwrap().split(',').collect();
    let column = |name: &str| header.iter().position(|column| *column == name).unwrap();
    let cells: Vec<&str> = table.lines().nth(3).unwrap().split(',').collect();
    assert_eq!(cells[column("my/score")], "6");
    assert_eq!(
        cells[column("env_runners/custom_metrics/position_mean")].parse::<f64>().ok(),
        last["env_runners"]["custom_metrics"]["position_mean"].as_f64()
    );
    let events = std::fs::read_dir(directory.path()).unwrap().map(|entry| entry.unwrap().path());
    let events = events
        .filter(|path| path.to_string_lossy().contains("tfevents"))
        .map(|path| std::fs::read(path).unwrap());
    let text = String::from_utf8_lossy(&events.last().unwrap()).into_owned();
    assert!(text.contains("my/score") && text.contains("env_runners/custom_metrics/position_max"));
}

/// Rows of each trajectory that follow a row, itself included: found from the table alone.
fn rows_left(table: &ModuleRollout) -> Vec<i32> {
    let mut left = vec![1; table.rows];
    for row in (0..table.rows).rev() {
        let next = match &table.links {
            Links::Chained { next } => next[row] as usize,
            Links::Rectangular { .. } if table.terminated[row] || table.truncated[row] => END as usize,
            Links::Rectangular { num_envs } => row + num_envs,
        };
        left[row] = 1 + left.get(next).copied().unwrap_or(0);
    }
    left
}

/// A constant added to every reward adds its geometric sum to every advantage, as far as the trajectory goes.
#[test]
fn a_changed_reward_changes_advantages_as_the_sum_says() {
    const BONUS: f32 = 0.5;
    let (gamma, lambda) = (0.9, 0.8);
    let separate = json!({ "multi_agent": { "policies": ["first", "second"] } });
    for (env, more) in
        [("CartPole-v1", json!({})), ("TwoCartPole-v0", json!({})), ("probe/TurnBased-v0", separate)]
    {
        let mut sections = more;
        sections["training"] = json!({ "gamma": gamma, "lambda_": lambda, "train_batch_size": 130 });
        let collect = |bonus: f32| {
            let advantages: Arc<Mutex<BTreeMap<String, Vec<f32>>>> = Arc::default();
            let tables: Arc<Mutex<BTreeMap<String, ModuleRollout>>> = Arc::default();
            let counted: Log<u64> = Arc::default();
            let (noted, sampled, rows) = (Arc::clone(&advantages), Arc::clone(&tables), Arc::clone(&counted));
            let callbacks = CallbackFns::new("bonus")
                .on_postprocess_trajectory(move |trajectory| {
                    trajectory.rewards_mut().iter_mut().for_each(|reward| *reward += bonus);
                    assert_eq!(trajectory.obs().len(), trajectory.len() * trajectory.obs_width());
                    assert_eq!(trajectory.final_obs().len(), trajectory.obs_width());
                    assert_eq!(trajectory.final_value_mut().is_none(), trajectory.terminated());
                    rows.lock().unwrap().push(trajectory.len() as u64);
                    Ok(())
                })
                .on_sample_end(move |sample| {
                    sampled.lock().unwrap().clone_from(&sample.modules);
                    Ok(())
                })
                .on_learn_on_batch(move |module, batch| {
                    noted.lock().unwrap().insert(module.to_owned(), batch.advantages.clone());
                    Ok(())
                });
            let mut algorithm = built(env, &sections, CallbackList::new().with(callbacks));
            let result = algorithm.train().unwrap();
            let rows: u64 = counted.lock().unwrap().iter().sum();
            assert_eq!(result.get_count("env_runners/num_agent_steps_sampled_lifetime"), Some(rows), "{env}");
            let found = (advantages.lock().unwrap().clone(), tables.lock().unwrap().clone());
            (found, result.get("env_runners/episode_return_mean"), weight_bits(&algorithm))
        };
        let ((plain, _), returns, weights) = collect(0.0);
        let ((changed, tables), returns_too, other_weights) = collect(BONUS);
        assert_eq!(returns, returns_too, "{env}: returns are the environment's own");
        assert_ne!(weights, other_weights, "{env}");
        let discount = (gamma * lambda) as f32;
        for (module, table) in &tables {
            for (row, left) in rows_left(table).into_iter().enumerate() {
                let sum = BONUS * (1.0 - discount.powi(left)) / (1.0 - discount);
                let found = changed[module][row] - plain[module][row];
                assert!((found - sum).abs() < 1e-4, "{env}, {module}, row {row}: {found} instead of {sum}");
            }
        }
    }
}

/// The rows of all trajectories of an episode are the actions that its steps took, each in one trajectory.
#[test]
fn trajectories_carry_the_episode_of_their_steps() {
    for env in ENVS {
        let sections = json!({
            "environment": { "env_config": { "max_episode_steps": 13 } }, "training": { "train_batch_size": 200 },
        });
        let log: Log<Seen> = Arc::default();
        let rows: Arc<Mutex<BTreeMap<(u64, String), u64>>> = Arc::default();
        let counted = Arc::clone(&rows);
        let trajectories = CallbackFns::new("rows").on_postprocess_trajectory(move |trajectory| {
            let key = (trajectory.episode_id(), trajectory.agent().to_owned());
            assert_eq!(key.0 % 4, trajectory.env_index() as u64);
            *counted.lock().unwrap().entry(key).or_insert(0) += trajectory.len() as u64;
            Ok(())
        });
        let callbacks = CallbackList::new().with(recorder(&log)).with(trajectories);
        let mut algorithm = built(env, &sections, callbacks);
        train(&mut algorithm, 3);
        let agents: Vec<String> = algorithm.plan().agents.iter().map(|agent| agent.agent.clone()).collect();
        let mut expected = BTreeMap::new();
        let log = log.lock().unwrap().clone();
        let ended: BTreeSet<u64> =
            log.iter().filter(|seen| seen.hook == "on_episode_end").map(|seen| seen.id).collect();
        for seen in log.iter().filter(|seen| seen.hook == "on_episode_step" && ended.contains(&seen.id)) {
            for (agent, _) in agents.iter().zip(&seen.actions).filter(|(_, action)| action.is_some()) {
                *expected.entry((seen.id, agent.clone())).or_insert(0) += 1;
            }
        }
        let mut found = rows.lock().unwrap().clone();
        found.retain(|(id, _), _| ended.contains(id));
        assert!(ended.len() > 20 && found == expected, "{env}");
    }
}

/// Counts to five, and cannot save its state.
#[derive(Default)]
struct Forgetful(i64);

impl Env for Forgetful {
    fn observation_space(&self) -> Space {
        Space::discrete(6)
    }

    fn action_space(&self) -> Space {
        Space::discrete(2)
    }

    fn reset(&mut self, _seed: Option<u64>, observation: &mut Row<'_>) -> Result<(), EnvError> {
        self.0 = 0;
        observation.set_discrete(0)
    }

    fn step(&mut self, _action: &RowRef<'_>, observation: &mut Row<'_>) -> Result<Step, EnvError> {
        self.0 += 1;
        observation.set_discrete(self.0)?;
        Ok(if self.0 == 5 { Step::terminal(1.0) } else { Step::running(0.0) })
    }
}

/// What cannot go on after a resume is a new episode, with an id of its own, that is created and started.
#[test]
fn episodes_that_begin_anew_are_told() {
    skirl_env::register_env("test/Forgetful", Forgetful::default).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let callbacks = |log: &Log<Seen>| CallbackList::new().with(recorder(log));
    let (before, after): (Log<Seen>, Log<Seen>) = Default::default();
    // Four environments for 64 steps each: 12 episodes and 4 steps of another.
    let mut algorithm = built("test/Forgetful", &json!({}), callbacks(&before));
    train(&mut algorithm, 1);
    let saved = algorithm.save_to_path(&directory.path().join("saved")).unwrap();
    let load = || Algorithm::from_checkpoint_with_callbacks(&saved, callbacks(&after), |_| Ok(()));
    let mut resumed = load().unwrap();
    assert!(after.lock().unwrap().is_empty());
    train(&mut resumed, 1);
    let ids = |log: &Log<Seen>, hook: &str| -> Vec<(u64, u64)> {
        let log = log.lock().unwrap();
        log.iter().filter(|seen| seen.hook == hook).map(|seen| (seen.id, seen.len)).collect()
    };
    assert_eq!(ids(&before, "on_episode_start").last(), Some(&(12 * 4 + 3, 0)));
    for hook in ["on_episode_created", "on_episode_start"] {
        assert_eq!(ids(&after, hook)[..4], [(52, 0), (53, 0), (54, 0), (55, 0)]);
    }
    assert_eq!(ids(&after, "on_episode_step")[..5], [(52, 1), (53, 1), (54, 1), (55, 1), (52, 2)]);
}

/// Values of one's own replace the network's: with the true ones no advantage is left.
#[test]
fn values_of_ones_own_are_the_estimators() {
    // One step, no choice that counts: the reward is 1 and the value is 1.
    let callbacks = CallbackFns::new("critic")
        .on_postprocess_trajectory(|trajectory| {
            let rewards = trajectory.rewards().to_vec();
            trajectory.values_mut().copy_from_slice(&rewards);
            Ok(())
        })
        .on_learn_on_batch(|_, batch| {
            assert!(batch.advantages.iter().all(|advantage| *advantage == 0.0));
            assert!(batch.value_targets.iter().all(|target| *target == 1.0));
            Ok(())
        });
    let mut algorithm = built("probe/Constant-v0", &json!({}), CallbackList::new().with(callbacks));
    train(&mut algorithm, 1);
}

#[test]
fn what_hooks_break_in_rollouts_and_batches_is_refused() {
    let broken: [(CallbackFns, &str); 4] = [
        (
            CallbackFns::new("c").on_postprocess_trajectory(|trajectory| {
                trajectory.rewards_mut()[0] = f32::NAN;
                Ok(())
            }),
            "rewards[0] to NaN",
        ),
        (
            CallbackFns::new("c").on_sample_end(|sample| {
                sample.modules.values_mut().for_each(|table| table.rewards.truncate(255));
                Ok(())
            }),
            "255 elements in column 'rewards', where 256 were expected",
        ),
        (
            CallbackFns::new("c").on_learn_on_batch(|_, batch| {
                batch.advantages[3] = f32::INFINITY;
                Ok(())
            }),
            "advantages[3] to inf",
        ),
        (
            CallbackFns::new("c").on_learn_on_batch(|_, batch| {
                batch.values.truncate(9);
                Ok(())
            }),
            "column 'values' of module 'default_policy' with 9 elements",
        ),
    ];
    for (callbacks, said) in broken {
        let mut algorithm = built("CartPole-v1", &json!({}), CallbackList::new().with(callbacks));
        let before = weight_bits(&algorithm);
        let error = algorithm.train().unwrap_err();
        assert!(matches!(error, Error::Callback(_)) && error.to_string().contains(said), "{error}");
        assert_eq!(weight_bits(&algorithm), before);
    }
}

#[test]
fn a_hook_may_call_back_into_the_algorithm() {
    let log: Log<usize> = Arc::default();
    let noted = Arc::clone(&log);
    let callbacks = measured().with(CallbackFns::new("again").on_train_result(move |algorithm, _| {
        let request = skirl::algorithm::EvaluateRequest { episodes: Some(2), ..Default::default() };
        let evaluation = algorithm.evaluate(&request)?;
        assert!(evaluation.episodes.iter().all(|episode| episode.custom_metrics.contains_key("position")));
        noted.lock().unwrap().push(evaluation.episodes.len());
        Ok(())
    }));
    train(&mut built("CartPole-v1", &json!({}), callbacks), 2);
    assert_eq!(*log.lock().unwrap(), [2, 2]);
}

/// Three decisions in turns, then the time limit: the third row is dropped, and counted.
#[test]
fn rows_that_a_time_limit_drops_are_counted() {
    let sections = json!({
        "environment": { "env_config": { "max_episode_steps": 3 } }, "training": { "train_batch_size": 48, "minibatch_size": 16 },
    });
    let mut algorithm = build("probe/TurnBased-v0", &sections);
    for iteration in 1..=2 {
        let result = algorithm.train().unwrap();
        let count = |name: &str| result.get_count(&format!("env_runners/{name}")).unwrap();
        assert_eq!((count("num_agent_steps_dropped"), count("num_episodes")), (16, 16));
        assert_eq!(count("num_agent_steps_dropped_lifetime"), 16 * iteration);
        assert_eq!(
            count("num_agent_steps_sampled_lifetime"),
            32 * iteration,
            "what is not dropped is trained on"
        );
    }
    assert_eq!(
        build("CartPole-v1", &json!({})).train().unwrap().value("env_runners/num_agent_steps_dropped"),
        None
    );
}
