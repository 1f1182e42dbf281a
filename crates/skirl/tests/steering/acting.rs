//! Actions on request.

use serde_json::{Value, json};
use skirl::Algorithm;
use skirl::algorithm::EvaluateRequest;
use skirl::collect::{EnvRunner, Environments, RunnerOptions};
use skirl::workers::Workers;
use skirl_env::column::{column_muts, column_refs};
use skirl_env::{AgentActions, AgentStep, Column, Row, RowRef, Space};
use skirl_math::rng::StreamKey;

use super::on_threads;
use super::runs::{assert_same_state, build, train, trained, weight_bits};

const SEED: u64 = 5;

/// Seed of environment 0 in an evaluation with `SEED`.
fn env_seed() -> u64 {
    StreamKey::root(SEED).child("evaluation").child("env").index(0).0 >> 33
}

fn filtered() -> Value {
    json!({ "env_runners": { "observation_filter": "MeanStdFilter" } })
}

/// Plays one greedy episode by hand: return and length.
fn play(algorithm: &mut Algorithm, name: &str) -> (f64, u64) {
    let mut env = skirl_env::make(name).unwrap();
    let mut observation = env.observation_space().columns(1);
    env.reset(Some(env_seed()), &mut Row::new(column_muts(&mut observation))).unwrap();
    let (mut sum, mut len) = (0.0, 0);
    loop {
        let action = [algorithm.compute_single_action(&observation, Some(false)).unwrap()];
        let action = RowRef::new(column_refs(&action));
        let step = env.step(&action, &mut Row::new(column_muts(&mut observation))).unwrap();
        sum += step.reward;
        len += 1;
        if step.ended() {
            return (sum, len);
        }
    }
}

fn greedy(algorithm: &mut Algorithm) -> (f64, u64) {
    let request = EvaluateRequest { episodes: Some(1), seed: Some(SEED), explore: Some(false) };
    let evaluation = algorithm.evaluate(&request).unwrap();
    (evaluation.episodes[0].episode_return, evaluation.episodes[0].len)
}

#[test]
fn playing_by_hand_equals_evaluation() {
    let sections = [
        ("CartPole-v1", json!({})),
        ("Pendulum-v1", filtered()),
        ("MountainCarContinuous-v0", filtered()),
        ("probe/DictObservation-v0", json!({})),
    ];
    for (env, sections) in sections {
        let mut algorithm = trained(env, &sections, 2);
        assert_eq!(play(&mut algorithm, env), greedy(&mut algorithm), "{env}");
        train(&mut algorithm, 1);
        assert_eq!(play(&mut algorithm, env), greedy(&mut algorithm), "{env}: the newest weights");
    }
}

#[test]
fn an_older_checkpoint_acts_as_it_did() {
    let mut algorithm = trained("Pendulum-v1", &filtered(), 1);
    let (saved, before) = (algorithm.snapshot().unwrap(), play(&mut algorithm, "Pendulum-v1"));
    train(&mut algorithm, 2);
    assert_ne!(play(&mut algorithm, "Pendulum-v1"), before);
    algorithm.restore(&saved).unwrap();
    assert_eq!(play(&mut algorithm, "Pendulum-v1"), before);
}

#[test]
fn each_agent_is_served_by_its_policy() {
    let separate = json!({ "multi_agent": {
        "policies": ["left", "right"], "policy_mapping": { "cart_0": "left", "cart_1": "right" },
    }});
    let mut algorithm = trained("TwoCartPole-v0", &separate, 2);
    let mut env = skirl_env::make_multi("TwoCartPole-v0", 1, &skirl_env::EnvContext::single()).unwrap();
    let env = &mut *env[0];
    let (mut step, mut actions) = (AgentStep::for_env(env), AgentActions::for_env(env));
    env.reset(Some(env_seed()), &mut step).unwrap();
    let ids: Vec<String> = env.agents().iter().map(|agent| algorithm.policy_for(agent).unwrap()).collect();
    assert_eq!(ids, ["left", "right"]);
    let (mut sum, mut len) = (0.0, 0);
    while !step.all_ended() {
        actions.clear();
        for agent in (0..2).filter(|&agent| step.observed[agent] && !step.ended(agent)) {
            let observation = &step.observations[agent];
            actions.actions[agent] =
                vec![algorithm.compute_actions(&ids[agent], observation, Some(false)).unwrap()];
            actions.acts[agent] = true;
        }
        step.clear();
        env.step(&actions, &mut step).unwrap();
        sum += step.rewards.iter().sum::<f64>();
        len += 1;
    }
    assert_eq!((sum, len), greedy(&mut algorithm));

    let error = algorithm.compute_single_action(&[vec![0.0_f32; 4].into()], None).unwrap_err().to_string();
    assert!(error.contains("left, right") && error.contains("compute_actions"), "{error}");
    let error =
        algorithm.compute_actions("middle", &[vec![0.0_f32; 4].into()], None).unwrap_err().to_string();
    assert!(error.contains("'middle'") && error.contains("left, right"), "{error}");
    let error = algorithm.policy_for("cart_2").unwrap_err().to_string();
    assert!(error.contains("cart_2"), "{error}");
}

/// More than one forward takes.
const ROWS: usize = 150;

#[test]
fn one_call_for_many_equals_many_calls() {
    let mut algorithm = trained("Pendulum-v1", &filtered(), 1);
    let rows: Vec<f32> = (0..ROWS * 3).map(|index| ((index * 37 % 41) as f32 - 20.0) / 20.0).collect();
    let Column::F32(all) =
        algorithm.compute_actions("default_policy", &[rows.clone().into()], Some(false)).unwrap()
    else {
        panic!("torques are floats");
    };
    assert_eq!(all.len(), ROWS);
    for (row, action) in rows.chunks(3).zip(&all) {
        let single = algorithm.compute_single_action(&[row.to_vec().into()], Some(false)).unwrap();
        assert_eq!(single, vec![*action].into());
        assert!((-2.0..=2.0).contains(action));
    }
}

fn observation() -> [Column; 1] {
    [vec![0.01_f32, 0.02, -0.03, 0.04].into()]
}

fn drawn(algorithm: &mut Algorithm, explore: Option<bool>, calls: usize) -> Vec<Column> {
    (0..calls).map(|_| algorithm.compute_single_action(&observation(), explore).unwrap()).collect()
}

#[test]
fn exploring_draws_from_a_stream_of_its_own() {
    let mut algorithm = trained("CartPole-v1", &json!({}), 1);
    let mut same = trained("CartPole-v1", &json!({}), 1);
    let greedy = drawn(&mut algorithm, Some(false), 3);
    assert!(greedy.iter().all(|action| *action == greedy[0]));
    let first = drawn(&mut algorithm, Some(true), 200);
    let ones = first.iter().filter(|action| **action == vec![1_i64].into()).count();
    assert!((40..=160).contains(&ones), "{ones} of 200 for a hardly trained policy");
    // Greedy calls in between do not count; the same seed draws the same.
    drawn(&mut same, Some(false), 7);
    assert_eq!(drawn(&mut same, Some(true), 200), first);
    // Resumed: the stream goes on.
    let directory = tempfile::tempdir().unwrap();
    let saved = same.save_to_path(&directory.path().join("saved")).unwrap();
    let mut resumed = Algorithm::from_checkpoint(&saved).unwrap();
    let next = drawn(&mut algorithm, Some(true), 50);
    assert_eq!(drawn(&mut resumed, Some(true), 50), next);
    assert_ne!(next, first[..50]);
    // Training knows nothing of it.
    train(&mut algorithm, 2);
    assert_eq!(weight_bits(&algorithm), weight_bits(&trained("CartPole-v1", &json!({}), 3)));
}

#[test]
fn without_a_wish_the_configuration_decides() {
    for explore in [true, false] {
        let sections = json!({ "env_runners": { "explore": explore } });
        let actions = |wish| drawn(&mut trained("CartPole-v1", &sections, 1), wish, 60);
        assert_eq!(actions(None), actions(Some(explore)));
        assert_ne!(actions(None), actions(Some(!explore)));
    }
}

#[test]
fn observations_of_another_space_are_refused() {
    let mut algorithm = build("CartPole-v1", &json!({}));
    let bad: [(&str, Vec<Column>); 5] = [
        ("columns [3 × float32]", vec![vec![0.0_f32; 3].into()]),
        ("columns [8 × float32]", vec![vec![0.0_f32; 8].into()]),
        ("columns [4 × float64]", vec![vec![0.0_f64; 4].into()]),
        ("columns []", vec![]),
        ("NaN in element 2 of row 0", vec![vec![0.0, 0.0, f32::NAN, 0.0].into()]),
    ];
    for (found, observation) in bad {
        let error = algorithm.compute_single_action(&observation, None).unwrap_err().to_string();
        assert!(error.contains(found) && error.contains("one value of Box"), "{error}");
    }
    let ragged = algorithm.compute_actions("default_policy", &[vec![0.0_f32; 7].into()], None);
    assert!(ragged.unwrap_err().to_string().contains("values of Box"));
    let none = algorithm.compute_actions("default_policy", &[Column::F32(Vec::new())], None).unwrap();
    assert_eq!(none, Column::I64(Vec::new()));

    let space = Space::discrete(3);
    assert_eq!(space.columns(1), [Column::I64(vec![0])]);
}

/// A runner used alone draws or not, call by call.
#[test]
fn a_runner_explores_as_each_call_says() {
    let algorithm = trained("CartPole-v1", &on_threads(&json!({}), 1), 1);
    let runner = || {
        let spec = algorithm.plan().environment.clone();
        let options = RunnerOptions::from_config(algorithm.config().common(), StreamKey::root(3));
        let workers = std::sync::Arc::new(Workers::new(1).unwrap());
        EnvRunner::new(Environments::make(&spec).unwrap(), algorithm.policies(), options, workers).unwrap()
    };
    let actions = |rollout: skirl::contract::Rollout| rollout.modules["default_policy"].actions.clone();
    let (mut one, mut other) = (runner(), runner());
    assert_eq!(actions(one.sample(40).unwrap()), actions(other.sample_explore(40, None).unwrap()));
    one.set_explore(false);
    let greedy = actions(one.sample(40).unwrap());
    assert_eq!(greedy, actions(other.sample_explore(40, Some(false)).unwrap()));
    // The next call is as configured again.
    one.set_explore(true);
    let drawn = actions(one.sample(40).unwrap());
    assert_eq!(drawn, actions(other.sample(40).unwrap()));
    assert_ne!(drawn, greedy);
}

#[test]
fn asking_for_actions_leaves_the_rest_of_the_state_alone() {
    let mut algorithm = trained("CartPole-v1", &json!({}), 1);
    drawn(&mut algorithm, Some(false), 5);
    assert_same_state(&algorithm, &trained("CartPole-v1", &json!({}), 1), "greedy");
}
