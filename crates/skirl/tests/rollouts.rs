//! What the runners collect, row by row, and what the estimator makes of it.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::float_cmp)]

mod runs;

use std::collections::BTreeMap;
use std::sync::Arc;

use runs::{build, config};
use serde_json::{Value, json};
use skirl::collect::{EnvRunner, Environments, RunnerOptions};
use skirl::contract::{Actions, Links, ModuleRollout, Policies, Rollout};
use skirl::estimate::{GaeRules, estimate};
use skirl::plan::environment_spec;
use skirl::workers::Workers;
use skirl_env::{Env, EnvContext, EnvError, EnvSpec, Row, RowRef, Space, Step};
use skirl_math::chain::END;
use skirl_math::rng::StreamKey;
use skirl_nn::NamedTensor;

/// A runner over `environments`, or over what the configuration says, with the initial policies (changed by `edit`).
fn runner_with(
    env: &str,
    sections: &Value,
    environments: Option<Environments>,
    edit: impl Fn(&mut Policies),
) -> EnvRunner {
    let config = config(env, sections);
    let mut policies = build(env, sections).policies();
    edit(&mut policies);
    let spec = environment_spec(config.common()).unwrap();
    let environments = environments.unwrap_or_else(|| Environments::make(&spec).unwrap());
    let options = RunnerOptions::from_config(config.common(), StreamKey::root(11));
    EnvRunner::new(environments, policies, options, Arc::new(Workers::new(1).unwrap())).unwrap()
}

fn runner(env: &str, sections: &Value) -> EnvRunner {
    runner_with(env, sections, None, |_| {})
}

/// Sets tensors of a module by name.
fn set_weights(policies: &mut Policies, module: &str, values: &[(&str, &[f32])]) {
    let policy = policies.get_mut(module).unwrap();
    let mut tensors: Vec<NamedTensor> = policy.net.params().export();
    for (name, data) in values {
        let tensor = tensors.iter_mut().find(|tensor| tensor.name == *name).unwrap();
        tensor.data.copy_from_slice(data);
    }
    policy.net.params_mut().import(&tensors).unwrap();
    policy.net.refresh();
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|value| value.to_bits()).collect()
}

/// One row with its bits, without its place.
#[derive(Debug, Clone, PartialEq)]
struct RowBits {
    floats: Vec<u32>,
    action: String,
    ended: (bool, bool),
}

fn row_bits(table: &ModuleRollout, row: usize) -> RowBits {
    let width = table.dist_width;
    let mut floats = bits(table.obs_row(row));
    floats.extend(bits(&table.dist_inputs[row * width..(row + 1) * width]));
    floats.extend(bits(&[table.logp[row], table.values[row], table.rewards[row]]));
    let action = match &table.actions {
        Actions::Discrete { data, width } => format!("{:?}", &data[row * width..(row + 1) * width]),
        Actions::Continuous { data, width } => format!("{:?}", bits(&data[row * width..(row + 1) * width])),
    };
    RowBits { floats, action, ended: (table.terminated[row], table.truncated[row]) }
}

/// The rows of every agent in order, over all rollouts: by module, environment and agent.
type Decisions = BTreeMap<(String, u32, u32), Vec<RowBits>>;

fn decisions(rollouts: &[Rollout]) -> Decisions {
    let mut all = Decisions::new();
    for rollout in rollouts {
        for (module, table) in &rollout.modules {
            for row in 0..table.rows {
                let agent = (module.clone(), table.env[row], table.agent[row]);
                all.entry(agent).or_default().push(row_bits(table, row));
            }
        }
    }
    all
}

#[test]
fn a_single_agent_environment_gives_the_same_rows_in_both_runners() {
    for (env, filter) in
        [("CartPole-v1", "NoFilter"), ("CartPole-v1", "MeanStdFilter"), ("Pendulum-v1", "MeanStdFilter")]
    {
        let sections =
            json!({ "env_runners": { "num_envs_per_env_runner": 70, "observation_filter": filter } });
        let general = Environments::Multi(skirl_env::make_multi(env, 70, &EnvContext::single()).unwrap());
        let mut general = runner_with(env, &sections, Some(general), |_| {});
        let mut fast = runner(env, &sections);
        for steps in [3, 150, 60] {
            let (left, right) = (fast.sample(steps).unwrap(), general.sample(steps).unwrap());
            assert_eq!((left.env_steps, left.agent_steps), (right.env_steps, right.agent_steps));
            let (left, right) = (&left.modules["default_policy"], &right.modules["default_policy"]);
            assert_eq!(left.rows, right.rows);
            for row in 0..left.rows {
                assert_eq!(row_bits(left, row), row_bits(right, row), "{env} {filter}, row {row}");
            }
            assert_eq!((&left.env, &left.agent), (&right.env, &right.agent));
            assert_eq!(left.ends, right.ends, "{env} {filter}");
            let rules = GaeRules { gamma: 0.97, lambda: 0.9, use_critic: true };
            assert_eq!(estimate(left, rules).unwrap(), estimate(right, rules).unwrap());
            let records = |runner: &mut EnvRunner| -> Vec<(usize, u64, u64, u64)> {
                let finished = runner.take_finished().into_iter();
                finished.map(|r| (r.env, r.ended_at, r.episode_return.to_bits(), r.len)).collect()
            };
            assert_eq!(records(&mut fast), records(&mut general));
        }
        assert_eq!(fast.normalizers(), general.normalizers());
    }
}

/// Six states in a row, one-hot; every step goes one further and pays the state's reward; after the last one it ends.
/// The start varies, so a time limit cuts some episodes and not others.
#[derive(Debug, Default)]
struct Corridor {
    at: i64,
    starts: u64,
}

const PAY: [f64; 6] = [0.5, -1.0, 2.0, 0.25, -0.75, 3.0];

impl Env for Corridor {
    fn observation_space(&self) -> Space {
        Space::discrete(6)
    }

    fn action_space(&self) -> Space {
        Space::discrete(2)
    }

    fn reset(&mut self, seed: Option<u64>, observation: &mut Row<'_>) -> Result<(), EnvError> {
        self.starts = seed.unwrap_or(self.starts + 1);
        self.at = (self.starts % 6) as i64;
        observation.set_discrete(self.at)
    }

    fn step(&mut self, _action: &RowRef<'_>, observation: &mut Row<'_>) -> Result<Step, EnvError> {
        let reward = PAY[self.at as usize];
        let last = self.at == 5;
        self.at = (self.at + 1).min(5);
        observation.set_discrete(self.at)?;
        Ok(if last { Step::terminal(reward) } else { Step::running(reward) })
    }
}

fn corridor_values(gamma: f64) -> [f32; 6] {
    let mut values = [0.0; 6];
    let mut next = 0.0;
    for state in (0..6).rev() {
        next = PAY[state] + gamma * next;
        values[state] = next as f32;
    }
    values
}

/// Linear networks: values can be written into them.
fn linear(mut sections: Value) -> Value {
    sections["rl_module"] = json!({ "fcnet_hiddens": [] });
    sections
}

fn largest_advantage(rollout: &Rollout, gamma: f64, lambda: f64) -> f32 {
    let rules = GaeRules { gamma, lambda, use_critic: true };
    let advantages = rollout.modules.values().flat_map(|table| estimate(table, rules).unwrap().advantages);
    advantages.fold(0.0, |largest, advantage| largest.max(advantage.abs()))
}

/// T2: with exact values every advantage is zero, for every γ, λ, truncation and cut, in both runners.
#[test]
fn exact_values_leave_no_advantage() {
    skirl_env::register("test/Corridor", EnvSpec::single(|_| Ok(Corridor::default())).max_episode_steps(4))
        .unwrap();
    let sections = linear(json!({ "env_runners": { "num_envs_per_env_runner": 5 } }));
    for gamma in [0.0, 0.5, 0.99, 1.0] {
        let values = corridor_values(gamma);
        let exact = |policies: &mut Policies| {
            set_weights(policies, "default_policy", &[("vf.0.weight", &values), ("vf.0.bias", &[0.0])]);
        };
        let general = skirl_env::make_multi("test/Corridor", 5, &EnvContext::single()).unwrap();
        let mut runners = [
            runner_with("test/Corridor", &sections, None, exact),
            runner_with("test/Corridor", &sections, Some(Environments::Multi(general)), exact),
        ];
        for runner in &mut runners {
            let mut kinds = (false, false);
            for steps in [1, 2, 3, 5, 8, 13, 40] {
                let rollout = runner.sample(steps).unwrap();
                let table = &rollout.modules["default_policy"];
                kinds.0 |= table.terminated.contains(&true);
                kinds.1 |= table.truncated.contains(&true);
                for lambda in [0.0, 0.3, 0.95, 1.0] {
                    let largest = largest_advantage(&rollout, gamma, lambda);
                    assert!(largest < 5e-6, "γ {gamma}, λ {lambda}, {steps} steps: {largest}");
                }
            }
            assert_eq!(kinds, (true, true), "both kinds of end were seen");
        }
    }
}

#[test]
fn a_constant_reward_for_ever_is_worth_its_geometric_sum() {
    let sections = linear(json!({}));
    let exact = |policies: &mut Policies| {
        set_weights(policies, "default_policy", &[("vf.0.weight", &[0.0]), ("vf.0.bias", &[10.0])]);
    };
    let mut runner = runner_with("probe/TruncatedForever-v0", &sections, None, exact);
    for steps in [1, 7, 8, 9, 30] {
        assert!(largest_advantage(&runner.sample(steps).unwrap(), 0.9, 0.95) < 1e-5);
    }
}

/// The best policy of the turn-based probe with its values, γ = 0.9, one module for each agent.
fn best_turns(policies: &mut Policies) {
    let weights = |sign: f32| [-40.0 * sign, 0.0, 40.0 * sign, 0.0];
    for (module, sign) in [("first", 1.0), ("second", -1.0)] {
        let values: [(&str, &[f32]); 4] = [
            ("pi.0.weight", &weights(sign)),
            ("pi.0.bias", &[0.0, 0.0]),
            ("vf.0.weight", &[0.0, -0.9]),
            ("vf.0.bias", &[1.9]),
        ];
        set_weights(policies, module, &values);
    }
}

fn two_modules() -> Value {
    json!({ "multi_agent": { "policies": ["first", "second"] }, "env_runners": { "num_envs_per_env_runner": 3 } })
}

#[test]
fn exact_values_leave_no_advantage_in_turns_either() {
    let mut runner = runner_with("probe/TurnBased-v0", &linear(two_modules()), None, best_turns);
    for steps in [1, 1, 2, 3, 5, 7, 4, 20] {
        let rollout = runner.sample(steps).unwrap();
        for lambda in [0.0, 0.95, 1.0] {
            let largest = largest_advantage(&rollout, 0.9, lambda);
            assert!(largest < 1e-5, "{steps} steps, λ {lambda}: {largest}");
        }
    }
}

/// T3: where a trajectory is cut changes neither the rows nor the one-step advantages.
#[test]
fn cutting_a_trajectory_into_rollouts_changes_nothing() {
    for env in ["CartPole-v1", "TwoCartPole-v0"] {
        let (mut whole, mut parts) = (runner(env, &json!({})), runner(env, &json!({})));
        let whole = [whole.sample(120).unwrap()];
        let parts: Vec<Rollout> = [1, 50, 7, 62].map(|steps| parts.sample(steps).unwrap()).into();
        assert_eq!(decisions(&whole), decisions(&parts), "{env}");
        let one_step = |rollouts: &[Rollout]| -> BTreeMap<(u32, u32), Vec<u32>> {
            let mut all = BTreeMap::<_, Vec<u32>>::new();
            for table in rollouts.iter().flat_map(|rollout| rollout.modules.values()) {
                let rules = GaeRules { gamma: 0.99, lambda: 0.0, use_critic: true };
                let advantages = estimate(table, rules).unwrap().advantages;
                for (row, advantage) in advantages.iter().enumerate() {
                    all.entry((table.env[row], table.agent[row])).or_default().push(advantage.to_bits());
                }
            }
            all
        };
        assert_eq!(one_step(&whole), one_step(&parts), "{env}");
    }
}

#[test]
fn rows_that_wait_for_their_successor_are_collected_exactly_once() {
    for sections in [two_modules(), json!({ "env_runners": { "num_envs_per_env_runner": 3 } })] {
        let (mut whole, mut parts) =
            (runner("probe/TurnBased-v0", &sections), runner("probe/TurnBased-v0", &sections));
        let lengths = [1, 1, 1, 2, 3, 1, 5, 4, 7, 3, 1, 1, 2, 8];
        let total: usize = lengths.iter().sum();
        let whole = [whole.sample(total).unwrap()];
        let mut collected = 0;
        let mut rollouts = Vec::new();
        for (index, steps) in lengths.into_iter().enumerate() {
            rollouts.push(parts.sample(steps).unwrap());
            collected += rollouts[index].agent_steps;
            // Each step of an environment is one decision here, and at most one of each agent can wait.
            let made: usize = lengths[..=index].iter().sum::<usize>() * 3;
            let waiting = made as u64 - collected;
            assert!(waiting <= 6, "{waiting} rows wait after rollout {index}");
        }
        assert_eq!(decisions(&whole), decisions(&rollouts));
    }
}

#[test]
fn rewards_between_the_rows_of_an_agent_belong_to_the_earlier_row() {
    let mut runner = runner("probe/TurnBased-v0", &two_modules());
    let rollouts: Vec<Rollout> = (0..40).map(|_| runner.sample(3).unwrap()).collect();
    let finished = runner.take_finished();
    assert!(finished.len() > 50);
    for env in 0..3 {
        for (agent, module) in ["first", "second"].into_iter().enumerate() {
            let tables = rollouts.iter().map(|rollout| &rollout.modules[module]);
            let mut sums = vec![0.0];
            for table in tables {
                for row in (0..table.rows).filter(|&row| table.env[row] == env) {
                    *sums.last_mut().unwrap() += f64::from(table.rewards[row]);
                    if table.terminated[row] {
                        sums.push(0.0);
                    }
                }
            }
            sums.pop();
            let own = finished.iter().filter(|record| record.env == env as usize);
            let returns: Vec<f64> = own.map(|record| record.agent_returns[agent]).collect();
            assert_eq!(sums, returns[..sums.len()], "environment {env}, {module}");
            assert!(returns.len() - sums.len() <= 1);
        }
    }
}

#[test]
fn an_agent_that_leaves_early_ends_its_own_chain_only() {
    for sections in [json!({}), json!({ "multi_agent": { "policies": ["matcher", "differ"] } })] {
        let rollout = runner("probe/Simultaneous-v0", &sections).sample(9).unwrap();
        let mut rows = [0, 0];
        for table in rollout.modules.values() {
            let Links::Chained { next } = &table.links else { panic!("a rectangle") };
            for row in 0..table.rows {
                rows[table.agent[row] as usize] += 1;
                let ended = table.ends.row.contains(&(row as u32));
                assert_eq!(next[row] == END, ended, "a chain ends where there is an end row");
                if table.agent[row] == 1 {
                    assert!(table.terminated[row], "`differ` has one step");
                }
                if let Some(&after) = table.terminated.get(next[row] as usize) {
                    assert_eq!(
                        (table.agent[next[row] as usize], after),
                        (0, true),
                        "`matcher` has two steps"
                    );
                }
            }
        }
        assert_eq!(rows, [4 * 9, 4 * 5]);
    }
}

/// The end row of each row that has one.
fn ends(table: &ModuleRollout) -> Vec<(usize, &[f32], f32)> {
    let row = |index: usize| table.ends.row[index] as usize;
    (0..table.ends.len())
        .map(|index| {
            let obs = &table.ends.obs[index * table.obs_width..(index + 1) * table.obs_width];
            (row(index), obs, table.ends.values[index])
        })
        .collect()
}

#[test]
fn a_truncated_agent_is_valued_by_its_own_final_observation() {
    let sections = json!({ "environment": { "env_config": { "max_episode_steps": 5 } } });
    let mut runner = runner("TwoCartPole-v0", &sections);
    let rollout = runner.sample(30).unwrap();
    let table = &rollout.modules["default_policy"];
    let truncated = ends(table).into_iter().filter(|(row, ..)| table.truncated[*row]).collect::<Vec<_>>();
    assert_eq!(truncated.len(), 4 * 2 * 6, "nobody falls within five steps");
    for (row, obs, value) in truncated {
        // Cart-pole moves by Euler steps of 0.02 s: x' = x + 0.02 ẋ, θ' = θ + 0.02 θ̇.
        let before = table.obs_row(row);
        for (position, speed) in [(0, 1), (2, 3)] {
            assert!((obs[position] - (before[position] + 0.02 * before[speed])).abs() < 1e-6, "row {row}");
        }
        let policy = &runner.policies()["default_policy"];
        let mut tape = policy.net.tape(1);
        policy.net.forward(&[skirl_nn::Mat::new(obs, 1, 4)], None, &mut tape).unwrap();
        assert_eq!(tape.output(1).row(0)[0].to_bits(), value.to_bits(), "row {row}");
    }
}

#[test]
fn a_terminated_end_is_worth_nothing() {
    let mut runner = runner("CartPole-v1", &json!({}));
    let rollout = runner.sample(200).unwrap();
    let table = &rollout.modules["default_policy"];
    let worthless = ends(table).into_iter().filter(|(row, ..)| table.terminated[*row]);
    assert!(worthless.map(|(.., value)| value).all(|value| value == 0.0) && table.terminated.contains(&true));
}

/// A time limit strikes while the other agent has the turn: that row is left out, and everything else is valued right.
#[test]
fn a_time_limit_in_turns_drops_only_the_row_that_nothing_values() {
    let mut sections = linear(two_modules());
    // Three decisions: `first`, `second`, `first`; then `second` has observed and `first` has not.
    sections["environment"] = json!({ "env_config": { "max_episode_steps": 3 } });
    let mut runner = runner_with("probe/TurnBased-v0", &sections, None, best_turns);
    let rollouts: Vec<Rollout> = [12, 7, 8].map(|steps| runner.sample(steps).unwrap()).into();
    let (first, second): (usize, usize) = rollouts.iter().fold((0, 0), |(first, second), rollout| {
        (first + rollout.modules["first"].rows, second + rollout.modules["second"].rows)
    });
    // Nine episodes of three environments, each with one row of each agent that can be valued.
    assert_eq!((first, second), (27, 27));
    assert_eq!(runner.take_finished().len(), 27);
    for rollout in &rollouts {
        assert!(largest_advantage(rollout, 0.9, 0.95) < 1e-5);
    }
}

/// Two bits, both of which should be set.
#[derive(Debug, Default)]
struct Switches;

impl Env for Switches {
    fn observation_space(&self) -> Space {
        Space::boxed(-1.0, 1.0, &[2], skirl_env::DType::F32)
    }

    fn action_space(&self) -> Space {
        Space::multi_binary(&[2])
    }

    fn reset(&mut self, _seed: Option<u64>, observation: &mut Row<'_>) -> Result<(), EnvError> {
        observation.set(&[0.5, -0.5])
    }

    fn step(&mut self, action: &RowRef<'_>, observation: &mut Row<'_>) -> Result<Step, EnvError> {
        observation.set(&[0.5, -0.5])?;
        Ok(Step::terminal(action.i8(0)?.iter().map(|&bit| f64::from(bit)).sum()))
    }
}

/// T8: the first minibatch of an iteration meets the policy that acted, bit for bit, in every iteration.
#[test]
fn the_first_minibatch_meets_the_policy_that_acted() {
    skirl_env::register_env("test/Switches", Switches::default).unwrap();
    for env in ["CartPole-v1", "probe/MultiDiscrete-v0", "test/Switches", "Pendulum-v1", "TwoCartPole-v0"] {
        for filter in ["NoFilter", "MeanStdFilter"] {
            let sections = json!({
                "env_runners": { "observation_filter": filter },
                "training": { "num_epochs": 1, "minibatch_size": 512, "train_batch_size": 512, "lr": 1e-2 },
            });
            let mut algorithm = build(env, &sections);
            for iteration in 0..3 {
                let result = algorithm.train().unwrap();
                let metric = |name: &str| result.get(&format!("learners/default_policy/{name}")).unwrap();
                let found = (metric("approx_kl"), metric("clip_fraction"), metric("mean_kl_loss"));
                // Two agents make 1 024 rows: the second minibatch meets a changed policy.
                if env != "TwoCartPole-v0" {
                    assert_eq!(found, (0.0, 0.0, 0.0), "{env}, {filter}, iteration {iteration}");
                }
            }
        }
    }
}

#[test]
fn a_table_in_memory_that_was_used_before_is_as_a_fresh_one() {
    for threads in [1, 2] {
        let sections =
            json!({"env_runners": {"num_envs_per_env_runner": 4}, "resources": {"num_threads": threads}});
        let [mut fresh, mut used] = [0, 1].map(|_| runner("CartPole-v1", &sections));
        let spare = vec![f32::NAN; 4096];
        let memory = spare.as_ptr();
        used.reuse(spare);
        let [fresh, used] = [&mut fresh, &mut used].map(|runner| runner.sample(64).unwrap());
        assert_eq!(used.modules, fresh.modules);
        assert_eq!(used.modules["default_policy"].obs.as_ptr(), memory);
    }
}
