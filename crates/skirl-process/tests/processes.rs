//! Workers that are real processes, with native environments. This program is also the worker: it has no test harness, which
//! would print to the standard output, where a worker has its shared memory.

#![allow(clippy::unwrap_used, clippy::print_stdout)]
#![cfg_attr(not(target_os = "linux"), allow(unused, reason = "children are found in /proc"))]

use std::fs::File;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::json;
use skirl::algorithm::{EnvRange, RangeOrder};
use skirl::callbacks::CallbackList;
use skirl::collect::launch::LaunchOrder;
use skirl::collect::vector_runner::StepRules;
use skirl::collect::{EnvironmentSpec, RemoteEnvironments};
use skirl::config::AlgorithmConfig;
use skirl::plan::environment_spec;
use skirl_math::rng::StreamKey;
use skirl_process::message::Build;
use skirl_process::worker::{Host, serve};
use skirl_process::{Launch, WorkerCommand};

const WORKER: &str = "SKIRL_TEST_WORKER";

fn main() {
    if std::env::var_os(WORKER).is_some() {
        return work();
    }
    #[cfg(target_os = "linux")]
    {
        let tests: [(&str, fn()); 2] = [
            ("rollouts_that_were_asked_for_early_are_the_same", asked_for_early),
            ("steps_made_before_anybody_waits_are_counted_as_dropped", killed_before_anybody_waits),
        ];
        let failed = tests.iter().filter(|(name, test)| !passes(name, *test)).count();
        println!("test result: {}. {failed} failed", if failed == 0 { "ok" } else { "FAILED" });
        std::process::exit(i32::from(failed > 0));
    }
}

/// Says so as the harness would.
fn passes(name: &str, test: fn()) -> bool {
    let passed = std::panic::catch_unwind(test).is_ok();
    println!("test {name} ... {}", if passed { "ok" } else { "FAILED" });
    passed
}

struct Native;

impl Host for Native {
    fn prepare(&mut self, _: &Build, _: &[u8]) -> Result<(), String> {
        Ok(())
    }
}

fn work() {
    let socket = std::io::stdin().as_fd().try_clone_to_owned().unwrap();
    let memory = std::io::stdout().as_fd().try_clone_to_owned().unwrap();
    serve(UnixStream::from(socket), File::from(memory), &mut Native).unwrap();
}

/// A run of two workers with two environments each.
struct Run {
    config: Box<dyn AlgorithmConfig>,
    spec: EnvironmentSpec,
    envs: RemoteEnvironments,
}

impl Run {
    fn start() -> Self {
        let document = json!({
            "run": "PPO",
            "environment": {"env": "CartPole-v1"},
            "env_runners": {"num_env_runners": 2, "num_envs_per_env_runner": 2},
            "training": {"train_batch_size": 256, "minibatch_size": 256},
            "debugging": {"seed": 3},
        });
        let config = skirl::config::from_value(&document).unwrap();
        let spec = environment_spec(config.common()).unwrap();
        let command = WorkerCommand {
            program: std::env::current_exe().unwrap().into(),
            args: Vec::new(),
            env: vec![(WORKER.into(), "1".into())],
        };
        let launch = Launch { command, interrupted: Arc::default(), constructors: Vec::new() };
        let callbacks = CallbackList::new();
        let order = LaunchOrder {
            config: &*config,
            spec: &spec,
            num_runners: 2,
            in_evaluation: false,
            callbacks: &callbacks,
        };
        let mut envs = skirl_process::launch(&launch, order).unwrap();
        for shard in &mut envs.shards {
            shard.restart_exploration(StreamKey::root(5));
            shard.begin(StreamKey::root(6), None, None).unwrap();
        }
        Self { config, spec, envs }
    }

    /// With the weights that the configuration starts from.
    fn with_rules<R>(&mut self, work: impl FnOnce(&StepRules<'_>, &mut RemoteEnvironments) -> R) -> R {
        let callbacks = CallbackList::new();
        let order = RangeOrder {
            config: &*self.config,
            env: &self.spec.env,
            env_config: &self.spec.env_config,
            first_env: 0,
            num_envs: 1,
            in_evaluation: false,
            callbacks: &callbacks,
        };
        let range = EnvRange::build(order, |env| env).unwrap();
        let rules = StepRules { policy: &range.policy, normalizer: None, explore: true, hooks: None };
        work(&rules, &mut self.envs)
    }
}

/// Rewards, log-probabilities and observations of a rollout.
fn rollout(rules: &StepRules<'_>, envs: &mut RemoteEnvironments, early: bool) -> Vec<f32> {
    envs.table.open(64).unwrap();
    if early {
        envs.shards.iter_mut().for_each(|shard| shard.post(rules, 64));
    }
    let mut found = Vec::new();
    for shard in &mut envs.shards {
        shard.sample(rules, 64).unwrap();
        found.extend_from_slice(shard.columns().rewards);
        found.extend_from_slice(shard.columns().logp);
    }
    found.extend_from_slice(&envs.table.close().unwrap());
    found
}

fn asked_for_early() {
    let runs = [[true; 4], [false; 4], [true, false, false, true]].map(|early| {
        Run::start().with_rules(|rules, envs| early.map(|early| rollout(rules, envs, early)).concat())
    });
    assert_eq!(runs[0].len(), 4 * 256 * 6);
    assert_eq!(runs[0], runs[1]);
    assert_eq!(runs[0], runs[2]);
}

fn killed_before_anybody_waits() {
    const STEPS: usize = 60_000;
    let mut run = Run::start();
    let children = children();
    assert_eq!(children.len(), 2);
    run.with_rules(|rules, envs| {
        envs.table.open(STEPS).unwrap();
        envs.shards.iter_mut().for_each(|shard| shard.post(rules, STEPS));
        std::thread::sleep(Duration::from_millis(20));
        for child in children {
            let pid = rustix::process::Pid::from_raw(child).unwrap();
            rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
        }
        wait_until_dead();
        for shard in &mut envs.shards {
            shard.sample(rules, STEPS).unwrap();
            let faults = shard.faults().unwrap();
            assert_eq!((faults.restarts, faults.healthy), (1, 1));
            assert!((100..2 * STEPS as u64).contains(&faults.env_steps_dropped), "{faults:?}");
            assert_eq!(shard.columns().rewards.len(), 2 * STEPS);
        }
    });
}

/// Processes that this one has started, and that have not ended.
fn children() -> Vec<i32> {
    let entries = std::fs::read_dir("/proc").unwrap();
    let pids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<i32>().ok());
    let is_child = |pid: &i32| {
        state_of(*pid).is_some_and(|(state, parent)| state != 'Z' && parent == std::process::id())
    };
    pids.filter(is_child).collect()
}

/// The third and fourth field of proc_pid_stat(5), after the name in parentheses.
fn state_of(pid: i32) -> Option<(char, u32)> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace();
    Some((fields.next()?.chars().next()?, fields.next()?.parse().ok()?))
}

fn wait_until_dead() {
    let since = Instant::now();
    while !children().is_empty() {
        assert!(since.elapsed() < Duration::from_secs(10), "still there: {:?}", children());
        std::thread::sleep(Duration::from_millis(1));
    }
}
