//! Hooks in a run: threads, resume, errors, order, metrics, results.

use super::*;

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
fn environments_of_one_thread_keep_the_run_on_it_and_flush_as_others_do() {
    use skirl_env::registry::{EnvContext, EnvSpec, make_vec};
    let cart_pole = |context: &EnvContext, num_envs: usize, _: Option<u32>| {
        let plain = EnvContext { env_config: serde_json::Map::new(), ..context.clone() };
        make_vec("CartPole-v1", num_envs, &plain)
    };
    skirl_env::register("test/OneThread", EnvSpec::vector(cart_pole).one_shard()).unwrap();
    let mut native = build("CartPole-v1", &json!({}));
    train(&mut native, 2);
    for num_threads in [1, 3] {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&seen);
        let look = CallbackFns::new("look").on_learn_on_batch(move |_, _| {
            let here = (std::thread::current().id(), skirl_nn::FlushDenormals::is_enabled());
            log.lock().unwrap().push(here);
            Ok(())
        });
        let sections = json!({ "resources": { "num_threads": num_threads } });
        let mut algorithm = built("test/OneThread", &sections, CallbackList::new().with(look));
        train(&mut algorithm, 2);
        assert_eq!(*seen.lock().unwrap(), [(std::thread::current().id(), true); 2], "{num_threads}");
        assert_eq!(weight_bits(&algorithm), weight_bits(&native), "{num_threads}");
    }
    assert!(!skirl_nn::FlushDenormals::is_enabled());
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
        let sampled = count("num_agent_steps_sampled_lifetime/first")
            + count("num_agent_steps_sampled_lifetime/second");
        assert_eq!(sampled, 32 * iteration, "what is not dropped is trained on");
    }
    assert_eq!(
        build("CartPole-v1", &json!({})).train().unwrap().value("env_runners/num_agent_steps_dropped"),
        None
    );
}
