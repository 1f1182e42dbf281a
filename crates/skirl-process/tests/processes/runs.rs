//! The worker that this program is as well, and the tests.

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

/// The tests that the arguments name, all if they name none.
pub(crate) fn main() -> i32 {
    if std::env::var_os(WORKER).is_some() {
        work();
        return 0;
    }
    let tests: [(&str, fn()); 2] = [
        ("rollouts_that_were_asked_for_early_are_the_same", asked_for_early),
        ("steps_made_before_anybody_waits_are_counted_as_dropped", killed_before_anybody_waits),
    ];
    let named: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let wanted = |name: &str| named.is_empty() || named.iter().any(|each| name.contains(each.as_str()));
    let failed = tests.iter().filter(|(name, test)| wanted(name) && !passes(name, *test)).count();
    println!("test result: {}. {failed} failed", if failed == 0 { "ok" } else { "FAILED" });
    i32::from(failed > 0)
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
    // Slow machines need longer for their first steps, fast ones have made them all in that time.
    let pauses = [20, 5, 100, 500].map(Duration::from_millis);
    assert!(pauses.into_iter().any(|pause| dropped_are_counted(pause).unwrap_or(false)));
}

/// Whether steps of workers that were killed this long after they were asked are counted; `None` if they were done by then.
fn dropped_are_counted(pause: Duration) -> Option<bool> {
    const STEPS: usize = 60_000;
    let mut run = Run::start();
    let children = children();
    assert_eq!(children.len(), 2);
    run.with_rules(|rules, envs| {
        for steps in [8, STEPS] {
            envs.table.open(STEPS).unwrap();
            envs.shards.iter_mut().for_each(|shard| shard.post(rules, steps));
            if steps == 8 {
                // Now they have the table, and are asked early.
                envs.shards.iter_mut().for_each(|shard| shard.sample(rules, steps).unwrap());
            }
        }
        std::thread::sleep(pause);
        for child in children {
            let pid = rustix::process::Pid::from_raw(child).unwrap();
            rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
        }
        wait_until_dead();
        let faults = envs.shards.iter_mut().map(|shard| {
            shard.sample(rules, STEPS).unwrap();
            assert_eq!(shard.columns().rewards.len(), 2 * STEPS);
            shard.faults().unwrap()
        });
        let faults: Vec<_> = faults.collect();
        let all_killed = faults.iter().all(|each| (each.restarts, each.healthy) == (1, 1));
        all_killed
            .then(|| faults.iter().all(|each| (100..2 * STEPS as u64).contains(&each.env_steps_dropped)))
    })
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
