//! How a process ended, in words.

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

/// "was killed by signal 9 (SIGKILL)", or the like, and what that may mean.
pub fn describe(status: ExitStatus, last_memory: Option<u64>) -> String {
    match (status.signal(), status.code()) {
        (Some(signal), _) => {
            let name = signal_name(signal).map_or_else(String::new, |name| format!(" ({name})"));
            let meaning = match signal {
                9 => memory_words(last_memory),
                11 | 4 | 7 | 8 => "; native code of the environment crashed".to_owned(),
                _ => String::new(),
            };
            format!("was killed by signal {signal}{name}{meaning}")
        }
        (_, Some(code)) => format!("ended with exit code {code}"),
        _ => format!("ended: {status}"),
    }
}

/// SIGKILL comes from a person, or from a system that ran out of memory: the numbers tell which is likely.
fn memory_words(last_memory: Option<u64>) -> String {
    let own = last_memory.map_or_else(String::new, |bytes| format!("; it held {} MiB", bytes >> 20));
    let (Some(total), Some(available)) = (memory_total(), memory_available()) else { return own };
    // What it held is free again.
    let used = 1.0 - available.saturating_sub(last_memory.unwrap_or(0)) as f64 / total.max(1) as f64;
    let likely = if used > 0.85 { ": probably out of memory" } else { "" };
    format!("{own}, and {:.0} % of the memory was in use{likely}", 100.0 * used)
}

fn signal_name(signal: i32) -> Option<&'static str> {
    Some(match signal {
        1 => "SIGHUP",
        2 => "SIGINT",
        4 => "SIGILL",
        6 => "SIGABRT",
        8 => "SIGFPE",
        9 => "SIGKILL",
        11 => "SIGSEGV",
        13 => "SIGPIPE",
        15 => "SIGTERM",
        _ => return None,
    })
}

/// Bytes of memory that process `pid` holds.
pub fn memory_of(pid: u32) -> Option<u64> {
    field(&format!("/proc/{pid}/status"), "VmRSS:")
}

/// Bytes of memory that are there for new uses: of the machine, or of the container where that is less.
pub fn memory_available() -> Option<u64> {
    let machine = field("/proc/meminfo", "MemAvailable:")?;
    let container = number("/sys/fs/cgroup/memory.max")
        .zip(number("/sys/fs/cgroup/memory.current"))
        .map(|(max, used)| max.saturating_sub(used.saturating_sub(reclaimable())));
    Some(container.map_or(machine, |container| container.min(machine)))
}

/// Cached files count as used memory of a container, but are given up when something else needs it.
fn reclaimable() -> u64 {
    let stat = fs::read_to_string("/sys/fs/cgroup/memory.stat").unwrap_or_default();
    let line = stat.lines().find_map(|line| line.strip_prefix("inactive_file "));
    line.and_then(|bytes| bytes.trim().parse().ok()).unwrap_or(0)
}

fn memory_total() -> Option<u64> {
    let machine = field("/proc/meminfo", "MemTotal:")?;
    Some(number("/sys/fs/cgroup/memory.max").map_or(machine, |container| container.min(machine)))
}

fn number(path: &str) -> Option<u64> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

/// A line `name   123 kB` of a file, in bytes.
fn field(path: &str, name: &str) -> Option<u64> {
    let text = fs::read_to_string(path).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib << 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_are_named() {
        let killed = describe(ExitStatus::from_raw(9), Some(300 << 20));
        assert!(killed.starts_with("was killed by signal 9 (SIGKILL); it held 300 MiB"), "{killed}");
        assert!(describe(ExitStatus::from_raw(11), None).contains("native code"));
        assert_eq!(describe(ExitStatus::from_raw(3 << 8), None), "ended with exit code 3");
    }
}
