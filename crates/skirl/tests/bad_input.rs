//! Whatever goes wrong is an error that says what, where, and what to do; and nothing that was good is lost.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::float_cmp)]

mod runs;

use std::fs;

use runs::{assert_same_state, build, config, train, trained, weight_bits};
use serde_json::{Value, json};
use skirl::checkpoint::{MODULE_STATE, Payload, TensorData, module_file};
use skirl::run::Run;
use skirl::{Algorithm, Error};
use skirl_env::testing::{Fault, FaultyEnv};
use skirl_env::{
    AgentActions, AgentStep, DType, Env, EnvContext, EnvError, MultiAgentEnv, Row, RowRef, Space, Step,
    TwoCartPoles,
};

/// The message of the error in `outcome`; every part must be in it.
fn says<T>(outcome: Result<T, Error>, parts: &[&str]) -> String {
    let Err(error) = outcome else { panic!("expected an error with {parts:?}") };
    let message = error.to_string();
    for part in parts {
        assert!(message.contains(part), "'{part}' is missing in: {message}");
    }
    message
}

fn build_fails(env: &str, sections: &Value, parts: &[&str]) {
    says(Algorithm::build(config(env, sections)), parts);
}

#[test]
fn an_unknown_environment_gets_suggestions() {
    build_fails("CartPol-v1", &json!({}), &["`CartPol-v1`", "CartPole-v1"]);
    build_fails("CartPole-v2", &json!({}), &["`CartPole-v2`", "CartPole-v1"]);
}

#[test]
fn an_unknown_argument_of_an_environment_is_refused() {
    let sections = json!({ "environment": { "env_config": { "graviti": 3 } } });
    build_fails("Pendulum-v1", &sections, &["graviti", "Pendulum-v1"]);
}

#[test]
fn a_minibatch_larger_than_the_batch_is_refused() {
    let sections = json!({ "training": { "train_batch_size": 100, "minibatch_size": 101 } });
    build_fails("CartPole-v1", &sections, &["training.minibatch_size", "101", "at most 100"]);
}

/// An environment with any action space; it never gets to act.
struct Acts(Space);

impl Env for Acts {
    fn observation_space(&self) -> Space {
        Space::boxed(-1.0, 1.0, &[1], DType::F32)
    }

    fn action_space(&self) -> Space {
        self.0.clone()
    }

    fn reset(&mut self, _seed: Option<u64>, observation: &mut Row<'_>) -> Result<(), EnvError> {
        observation.set(&[0.0])
    }

    fn step(&mut self, _action: &RowRef<'_>, observation: &mut Row<'_>) -> Result<Step, EnvError> {
        observation.set(&[0.0])?;
        Ok(Step::terminal(1e300))
    }
}

#[test]
fn an_action_space_that_ppo_cannot_serve_is_refused() {
    let spaces = [
        ("test/TupleActions", Space::tuple([Space::discrete(2), Space::discrete(3)])),
        ("test/DictActions", Space::dict([("move", Space::discrete(2))])),
        ("test/ByteActions", Space::boxed(0.0, 9.0, &[2], DType::U8)),
    ];
    for (name, space) in spaces {
        skirl_env::register_env(name, move || Acts(space.clone())).unwrap();
        build_fails(
            name,
            &json!({}),
            &["action space", "Discrete, MultiDiscrete, MultiBinary or a float Box"],
        );
    }
}

#[test]
fn a_reward_beyond_f32_is_named_before_it_is_trained_on() {
    skirl_env::register_env("test/Overflow", || Acts(Space::discrete(2))).unwrap();
    let mut algorithm = build("test/Overflow", &json!({}));
    says(algorithm.train(), &["environment 0", "step 1", "reward", "expected"]);
    let scaled = json!({ "environment": { "clip_rewards": true } });
    build("test/Overflow", &scaled).train().unwrap();
}

fn faulty(fault: &str, at_step: u64) -> Value {
    let env_config = json!({ "env": "CartPole-v1", "fault": fault, "at_step": at_step, "on_env": 2 });
    json!({ "environment": { "env_config": env_config } })
}

/// An environment in which nothing happens.
struct Still;

impl Env for Still {
    fn observation_space(&self) -> Space {
        Space::boxed(-1.0, 1.0, &[1], DType::F32)
    }

    fn action_space(&self) -> Space {
        Space::discrete(2)
    }

    fn reset(&mut self, _seed: Option<u64>, observation: &mut Row<'_>) -> Result<(), EnvError> {
        observation.set(&[0.0])
    }

    fn step(&mut self, _action: &RowRef<'_>, observation: &mut Row<'_>) -> Result<Step, EnvError> {
        observation.set(&[0.0])?;
        Ok(Step::running(0.0))
    }
}

/// Environments 0 and 3 fail, the later one of them first: which one is told does not depend on who steps them.
#[test]
fn of_several_faults_the_same_one_is_told_whatever_the_threads() {
    skirl_env::register_env_with("test/TwoFaults", |context: &EnvContext| {
        let at_step = match context.first_env_index {
            0 => 20,
            3 => 5,
            _ => u64::MAX,
        };
        Ok(FaultyEnv::new(Still, Fault::Raise, at_step))
    })
    .unwrap();
    for num_threads in [2, 4] {
        let mut sections = json!({ "env_runners": { "num_envs_per_env_runner": 4 } });
        sections["resources"] = json!({ "num_threads": num_threads });
        let mut algorithm = build("test/TwoFaults", &sections);
        let message = says(algorithm.train(), &["fault planted at step"]);
        assert!(message.contains("environment 0") && message.contains("20"), "{num_threads}: {message}");
    }
}

/// Weights, statistics and the earlier checkpoint survive whatever the environment does; training can go on.
#[test]
fn a_faulty_environment_is_named_and_nothing_is_lost() {
    let faults: [(&str, &[&str]); 6] = [
        ("nan_reward", &["reward", "NaN"]),
        ("infinite_reward", &["reward", "inf"]),
        ("nan_observation", &["observation", "NaN"]),
        ("raise", &["fault planted at step 70"]),
        ("wrong_shape", &["expected"]),
        ("wrong_dtype", &["dtype", "expected"]),
    ];
    for (fault, parts) in faults {
        for num_threads in [1, 3] {
            let mut sections = faulty(fault, 70);
            sections["env_runners"] =
                json!({ "num_envs_per_env_runner": 4, "observation_filter": "MeanStdFilter" });
            sections["resources"] = json!({ "num_threads": num_threads });
            let mut algorithm = build("testing/Faulty-v0", &sections);
            train(&mut algorithm, 1);
            let directory = tempfile::tempdir().unwrap();
            let saved = algorithm.save_to_path(&directory.path().join("good")).unwrap();
            let good = weight_bits(&algorithm);
            let message = says(algorithm.train(), parts);
            assert!(message.contains("environment 2"), "{fault}, {num_threads} threads: {message}");
            assert!(message.contains("70"), "the step is missing: {message}");
            assert_eq!(weight_bits(&algorithm), good, "{fault}");
            assert_eq!(weight_bits(&Algorithm::from_checkpoint(&saved).unwrap()), good, "{fault}");
            // The fault is over: the run goes on, from new episodes, with clean statistics.
            train(&mut algorithm, 2);
            let finite =
                algorithm.policies()["default_policy"].net.params().values().iter().all(|x| x.is_finite());
            assert!(finite, "{fault}");
        }
    }
}

/// Two cart-poles, of which one agent's numbers go wrong at the third step.
struct FaultyAgents {
    inner: TwoCartPoles,
    steps: u32,
    reward: bool,
}

impl MultiAgentEnv for FaultyAgents {
    fn agents(&self) -> &[String] {
        self.inner.agents()
    }

    fn observation_space(&self, agent: usize) -> &Space {
        self.inner.observation_space(agent)
    }

    fn action_space(&self, agent: usize) -> &Space {
        self.inner.action_space(agent)
    }

    fn reset(&mut self, seed: Option<u64>, out: &mut AgentStep) -> Result<(), EnvError> {
        self.inner.reset(seed, out)
    }

    fn step(&mut self, actions: &AgentActions, out: &mut AgentStep) -> Result<(), EnvError> {
        self.inner.step(actions, out)?;
        self.steps += 1;
        if self.steps == 3 && self.reward {
            out.rewards[1] = f64::NAN;
        } else if self.steps == 3 {
            out.observe(1).set(&[0.0, f32::INFINITY, 0.0, 0.0])?;
        }
        Ok(())
    }
}

#[test]
fn one_of_several_agents_is_guarded_too() {
    for (name, reward) in [("test/FaultyReward", true), ("test/FaultyObservation", false)] {
        let make = move |context: &EnvContext| {
            let faulty = context.first_env_index == 0;
            Ok(FaultyAgents { inner: TwoCartPoles::default(), steps: if faulty { 0 } else { 1000 }, reward })
        };
        skirl_env::register_multi_agent_env(name, make).unwrap();
        let mut algorithm = build(name, &json!({}));
        let good = weight_bits(&algorithm);
        let field = if reward { "reward" } else { "observation[1]" };
        says(algorithm.train(), &["environment 0", "step 3", field]);
        assert_eq!(weight_bits(&algorithm), good);
        train(&mut algorithm, 1);
        assert_ne!(weight_bits(&algorithm), good);
    }
}

#[test]
fn a_diverging_run_keeps_its_last_good_weights() {
    let sections = json!({ "training": { "lr": [[0, 1e-3], [256, 1e-3], [257, 1e36]], "optimizer": { "type": "sgd" } } });
    let mut algorithm = build("CartPole-v1", &sections);
    train(&mut algorithm, 1);
    let good = weight_bits(&algorithm);
    says(algorithm.train(), &["default_policy", "Lower training.lr"]);
    assert_eq!(weight_bits(&algorithm), good);
    let directory = tempfile::tempdir().unwrap();
    let saved = algorithm.save_to_path(&directory.path().join("after")).unwrap();
    assert_eq!(weight_bits(&Algorithm::from_checkpoint(&saved).unwrap()), good);
}

#[test]
fn a_checkpoint_of_other_spaces_or_another_network_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let saved = build("CartPole-v1", &json!({})).save_to_path(&directory.path().join("saved")).unwrap();
    let mut pendulum = build("Pendulum-v1", &json!({}));
    let before = weight_bits(&pendulum);
    says(pendulum.restore_from_path(&saved), &["default_policy", "space", "Use the environment"]);
    assert_eq!(weight_bits(&pendulum), before);
    let mut larger = build("CartPole-v1", &json!({ "rl_module": { "fcnet_hiddens": [32] } }));
    let before = weight_bits(&larger);
    says(larger.restore_from_path(&saved), &["pi.0"]);
    assert_eq!(weight_bits(&larger), before);
    let five = json!({ "env_runners": { "num_envs_per_env_runner": 5 } });
    let (mut more, untouched) = (trained("CartPole-v1", &five, 1), trained("CartPole-v1", &five, 1));
    says(more.restore_from_path(&saved), &["5 environments", "4 environments"]);
    assert_same_state(&untouched, &more, "after a refused restore");
}

#[test]
fn a_checkpoint_of_ppo_is_refused_by_the_others() {
    let directory = tempfile::tempdir().unwrap();
    let saved = build("CartPole-v1", &json!({})).save_to_path(&directory.path().join("ppo")).unwrap();
    for run in ["A2C", "PG"] {
        let mut other = build("CartPole-v1", &json!({ "run": run }));
        let before = weight_bits(&other);
        let message = format!("this is a PPO checkpoint, and it was to be loaded into {run}");
        says(other.restore_from_path(&saved), &[&message, "--run=PPO"]);
        assert_eq!(weight_bits(&other), before);
    }
}

#[test]
fn what_an_algorithm_does_not_have_is_refused() {
    let refused = |sections: Value, says: &[&str]| {
        let mut config = config("CartPole-v1", &json!({ "run": sections["run"] }));
        let mut options = sections.clone();
        options.as_object_mut().unwrap().remove("run");
        let applied = config.apply_json(&options, "test").and_then(|()| config.validate());
        let message = applied.unwrap_err().to_string();
        says.iter().for_each(|part| assert!(message.contains(part), "{part}: {message}"));
    };
    refused(json!({ "run": "PG", "training": { "lambda_": 0.9 } }), &["training.lambda_"]);
    refused(
        json!({ "run": "PG", "rl_module": { "vf_hiddens": [4] } }),
        &["rl_module.vf_hiddens", "PG has no value network"],
    );
    refused(json!({ "run": "A2C", "training": { "use_critic": false } }), &["training.use_gae"]);
    refused(
        json!({ "run": "A2C", "training": { "microbatch_size": 300 } }),
        &["training.microbatch_size", "at most 256"],
    );
    refused(json!({ "run": "A2C", "training": { "clip_param": 0.2 } }), &["training.clip_param"]);
    refused(json!({ "run": "A2C", "training": { "sample_async": false } }), &["remove it"]);
    refused(json!({ "run": "A2C", "training": { "lr_schedule": [[0, 1.0]] } }), &["training.lr itself"]);
    let two = json!({ "run": "PG", "env_runners": { "batch_mode": "complete_episodes" } });
    says(Algorithm::build(config("TwoCartPole-v0", &two)), &["complete_episodes", "several agents"]);
}

#[test]
fn a_checkpoint_of_another_algorithm_is_refused() {
    let mut algorithm = build("CartPole-v1", &json!({}));
    let mut snapshot = algorithm.snapshot().unwrap();
    snapshot.manifest.algorithm = "DQN".to_owned();
    says(algorithm.restore(&snapshot), &["DQN", "PPO"]);
}

#[test]
fn weights_that_are_not_finite_are_refused() {
    let mut algorithm = build("CartPole-v1", &json!({}));
    let mut snapshot = algorithm.snapshot().unwrap();
    let file = module_file("default_policy", MODULE_STATE);
    let Some(Payload::Tensors(tensors)) = snapshot.files.get_mut(&file) else { panic!("no weights") };
    let tensor = tensors.get_mut("pi.0.weight").unwrap();
    let TensorData::F32(mut values) = tensor.data().clone() else { panic!("not f32") };
    values[3] = f32::NAN;
    *tensor = skirl::checkpoint::Tensor::new(tensor.shape().to_vec(), values).unwrap();
    says(algorithm.restore(&snapshot), &["default_policy"]);
    let directory = tempfile::tempdir().unwrap();
    let written = skirl::checkpoint::save_to(&directory.path().join("nan"), &snapshot);
    if let Ok(path) = written {
        says(Algorithm::from_checkpoint(&path), &["pi.0.weight", "finite"]);
    }
}

#[test]
fn a_damaged_checkpoint_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let saved = build("CartPole-v1", &json!({})).save_to_path(&directory.path().join("saved")).unwrap();
    let file = saved.join(module_file("default_policy", MODULE_STATE));
    let mut bytes = fs::read(&file).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&file, bytes).unwrap();
    says(Algorithm::from_checkpoint(&saved), &["module_state.safetensors", "damaged"]);
    says(Algorithm::from_checkpoint(&directory.path().join("nowhere")), &["no checkpoint at", "nowhere"]);
}

#[test]
fn an_output_directory_that_cannot_be_written_is_found_at_the_start() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    fs::write(&file, "in the way").unwrap();
    // The environment does not exist either: the directory is looked at first.
    let outcome = Run::create(config("NoSuchEnv-v0", &json!({})), Some(&file.join("run")));
    says(outcome, &["file"]);
}

#[test]
fn two_runs_in_one_directory_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("run");
    let stop = json!({ "stop": { "training_iteration": 1 } });
    let mut first = config("CartPole-v1", &json!({}));
    first.apply_json(&stop, "test").unwrap();
    let mut running = Run::create(first.clone(), Some(&path)).unwrap();
    let path_text = path.display().to_string();
    says(Run::create(first.clone(), Some(&path)), &[&path_text]);
    says(Run::resume(&path, |_| Ok(())), &[&path_text]);
    running.train_until_stop(&mut |_| skirl::run::Flow::Continue).unwrap();
    drop(running);
    says(Run::create(first, Some(&path)), &[&path_text]);
    assert_eq!(Run::resume(&path, |_| Ok(())).unwrap().algorithm().training_iteration(), 1);
}
