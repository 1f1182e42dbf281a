//! Workers that are real processes, with native environments. This program is also the worker: it has no test harness, which
//! would print to the standard output, where a worker has its shared memory.

#![allow(clippy::unwrap_used, clippy::print_stdout)]

// Its children are found in /proc.
#[cfg(target_os = "linux")]
mod runs;

fn main() {
    #[cfg(target_os = "linux")]
    std::process::exit(runs::main());
}
