//! How much memory an iteration takes, and whether the machine has as much. Only the bulk is counted, so the figure is a least
//! one; but a run that needs more than there is ends here, with words, and not in the middle of its first iteration.

use std::collections::BTreeMap;

use super::{BatchPlan, ModulePlan, Plan};
use crate::contract::ModuleId;
use crate::error::Error;

/// Bytes of a row in the table of a rollout, beside its numbers of the network: `logp`, value, reward, ends, environment,
/// agent, episode, and the estimates.
const BYTES_OF_ROW: usize = 38;
/// The same of a row that learning has copied.
const BYTES_OF_COPY: usize = 16;

/// Least bytes of the rows of an iteration: with several modules a step may be a row of one of them only, the narrowest.
pub(crate) fn rows_of(batch: &BatchPlan, modules: &BTreeMap<ModuleId, ModulePlan>) -> usize {
    modules.values().map(|module| bytes_of_rows(batch, module)).min().unwrap_or(0)
}

/// Least bytes of an iteration's rows, all of this module.
fn bytes_of_rows(batch: &BatchPlan, module: &ModulePlan) -> usize {
    let numbers = module.row_width.saturating_mul(4);
    let table = numbers.saturating_add(BYTES_OF_ROW);
    let copy = if batch.is_copied && module.trained { numbers.saturating_add(BYTES_OF_COPY) } else { 0 };
    batch.rows.saturating_mul(table.saturating_add(copy))
}

/// An error where the plan needs more memory than the machine has.
pub(crate) fn check(plan: &Plan) -> Result<(), Error> {
    check_against(plan, limit())
}

fn check_against(plan: &Plan, limit: Option<Limit>) -> Result<(), Error> {
    let Some(limit) = limit.filter(|limit| plan.memory > limit.bytes) else { return Ok(()) };
    let batch = &plan.batch;
    let widths: Vec<usize> = plan.modules.values().map(|module| module.network.obs_width).collect();
    let widest = widths.into_iter().max().unwrap_or(0);
    let rows = rows_of(&plan.batch, &plan.modules).min(plan.memory);
    let copies = if batch.is_copied { ", and again in the order that an epoch learns in" } else { "" };
    Err(Error::Misfit {
        what: "the memory of an iteration".to_owned(),
        expected: format!("at most {}, {}", in_words(limit.bytes), limit.whose),
        found: format!(
            "at least {}: {} for {} rows, each with up to {widest} numbers (f32) of the observation{copies}, and {} for \
             networks and optimizers",
            in_words(plan.memory),
            in_words(rows),
            batch.rows,
            in_words(plan.memory - rows)
        ),
        remedy: "Lower training.train_batch_size (env_runners.num_envs_per_env_runner × num_env_runners may have to follow \
                 it) or rl_module.fcnet_hiddens, or make observations smaller"
            .to_owned(),
    })
}

/// An error where so many networks of these layers (a policy, and a value function of the same layers) with their gradients are
/// more than the machine can hold.
pub(crate) fn check_network(
    obs_width: usize,
    hidden: &[usize],
    outputs: usize,
    networks: usize,
) -> Result<(), Error> {
    let widths: Vec<usize> =
        std::iter::once(obs_width).chain(hidden.iter().copied()).chain([outputs]).collect();
    let of = |widths: &[usize]| {
        widths.windows(2).map(|pair| pair[0].saturating_mul(pair[1])).fold(0, usize::saturating_add)
    };
    // A value function has one output.
    let values = of(&widths[..widths.len() - 1]).saturating_mul(networks - 1);
    let weights = of(&widths).saturating_add(values);
    let needed = weights.saturating_mul(4 * 2);
    let Some(limit) = limit().filter(|limit| needed > limit.bytes) else { return Ok(()) };
    Err(Error::Misfit {
        what: "the network".to_owned(),
        expected: format!("at most {}, {}", in_words(limit.bytes), limit.whose),
        found: format!(
            "at least {}: {weights} weights between layers of {widths:?}, and their gradients",
            in_words(needed)
        ),
        remedy: "Lower rl_module.fcnet_hiddens, or make the environment's spaces smaller (a Discrete observation is as many \
                 numbers as it has values)"
            .to_owned(),
    })
}

/// Memory that a run cannot exceed.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Limit {
    bytes: usize,
    whose: &'static str,
}

/// The smallest limit that is known here; none where the system does not tell.
fn limit() -> Option<Limit> {
    let limit = |bytes: Option<usize>, whose| bytes.map(|bytes| Limit { bytes, whose });
    let limits = [
        limit(field("/proc/meminfo", "MemTotal:"), "the memory of this machine"),
        limit(of_container(), "the limit of this container (cgroup)"),
        limit(of_process(), "what the limit of the process (ulimit -v) leaves"),
    ];
    limits.into_iter().flatten().min_by_key(|limit| limit.bytes)
}

/// The limits of the control group, in both versions: the one that the process sees as its root, and its own.
fn of_container() -> Option<usize> {
    let groups = std::fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let own = groups.lines().find_map(|line| line.strip_prefix("0::")).unwrap_or("/");
    let files = [
        "/sys/fs/cgroup/memory.max".to_owned(),
        format!("/sys/fs/cgroup{own}/memory.max"),
        "/sys/fs/cgroup/memory/memory.limit_in_bytes".to_owned(),
    ];
    let read = |file: &String| std::fs::read_to_string(file).ok()?.trim().parse().ok();
    files.iter().filter_map(read).min()
}

/// What the process may still map.
fn of_process() -> Option<usize> {
    let limits = std::fs::read_to_string("/proc/self/limits").ok()?;
    let line = limits.lines().find_map(|line| line.strip_prefix("Max address space"))?;
    let limit: usize = line.split_whitespace().next()?.parse().ok()?;
    Some(limit.saturating_sub(field("/proc/self/status", "VmSize:").unwrap_or(0)))
}

/// A line `name   123 kB` of a file, in bytes.
fn field(path: &str, name: &str) -> Option<usize> {
    let text = std::fs::read_to_string(path).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    let kib: usize = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}

fn in_words(bytes: usize) -> String {
    match bytes as f64 / 1e9 {
        gigabytes if gigabytes >= 0.1 => format!("{gigabytes:.1} GB"),
        gigabytes => format!("{:.1} MB", gigabytes * 1e3),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::config::PpoConfig;

    fn plan(config: PpoConfig) -> Plan {
        super::super::explain(&config.environment("CartPole-v1")).unwrap()
    }

    #[test]
    fn a_batch_is_counted_with_its_copy_where_there_is_one() {
        // By hand: 4 observations, 2 logits and an action, 4 bytes each; 38 and 16 bytes beside them.
        let rows = |plan: &Plan| bytes_of_rows(&plan.batch, &plan.modules["default_policy"]);
        let copied = plan(PpoConfig::new().training(|t| t.train_batch_size(1000)));
        assert_eq!(rows(&copied), 1000 * (28 + 38 + 28 + 16));
        let in_order = PpoConfig::new()
            .training(|t| t.train_batch_size(1000).num_epochs(1).shuffle_batch_per_epoch(false));
        assert_eq!(rows(&plan(in_order)), 1000 * (28 + 38));
    }

    #[test]
    fn more_than_there_is_is_refused_with_both_figures_and_the_option() {
        let plan = plan(PpoConfig::new().training(|t| t.train_batch_size(1 << 30)));
        let limit = |bytes| Some(Limit { bytes, whose: "the memory of a test" });
        assert!(check_against(&plan, None).is_ok() && check_against(&plan, limit(plan.memory)).is_ok());
        let error = check_against(&plan, limit(8_000_000_000)).unwrap_err().to_string();
        for part in [
            "at most 8.0 GB",
            "memory of a test",
            "at least 118.1 GB",
            "1073741824 rows",
            "training.train_batch_size",
        ] {
            assert!(error.contains(part), "{part}: {error}");
        }
    }

    #[test]
    fn products_beyond_all_numbers_are_no_panic() {
        let mut plan = plan(PpoConfig::new());
        plan.batch.rows = usize::MAX / 2;
        assert_eq!(bytes_of_rows(&plan.batch, &plan.modules["default_policy"]), usize::MAX);
        assert!(check_network(usize::MAX / 2, &[256], 1 << 40, 2).is_err() || cfg!(not(target_os = "linux")));
    }
}
