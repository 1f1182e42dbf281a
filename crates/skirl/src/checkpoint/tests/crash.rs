//! P3, no lost run: at every instant of a save, and whatever operation of it fails, the previous or the new one loads.

use std::path::Path;

use super::sim_fs::{Crash, SimFs};
use super::*;
use crate::checkpoint::fs::Fs;
use crate::checkpoint::list::{LATEST, prune_in, read_pointer};
use crate::checkpoint::load::{load_in, read_checkpoint};
use crate::checkpoint::save::save_in;

const PARENT: &str = "/runs/a/checkpoints";
const CRASHES: [Crash; 3] = [Crash::Kill, Crash::Power, Crash::PowerWithNames];

/// A run with two checkpoints whose next save is the one under test.
fn disk_with(steps: &[u64]) -> SimFs {
    let fs = SimFs::new();
    for steps in steps {
        save_in(&fs, Path::new(PARENT), &step_name(*steps), &snapshot(*steps)).unwrap();
    }
    let disk = fs.after(Crash::Kill);
    disk.num_operations.set(0);
    disk
}

/// The step of the checkpoint that loads; its whole content is compared.
fn loaded_steps(fs: &SimFs) -> Option<u64> {
    let loaded = load_in(fs, Path::new(PARENT), LoadOptions::default()).ok()?;
    let steps = loaded.snapshot.manifest.counters["num_env_steps_sampled_lifetime"];
    assert_eq!(bytes_of(&loaded.snapshot), bytes_of(&snapshot(steps)));
    Some(steps)
}

fn save_steps(fs: &SimFs, name: u64, steps: u64) -> Result<(), CheckpointError> {
    save_in(fs, Path::new(PARENT), &step_name(name), &snapshot(steps)).map(|_| ())
}

/// Cuts the save of `new` under the name `name` before each of its operations.
fn crash_everywhere(before: &[u64], name: u64, new: u64, allowed: &[Option<u64>]) {
    let mut seen_new = false;
    for stop_at in 1.. {
        let fs = disk_with(before);
        fs.stop_at.set(stop_at);
        let finished = save_steps(&fs, name, new).is_ok() && fs.num_operations.get() < stop_at;
        for crash in CRASHES {
            let disk = fs.after(crash);
            let steps = loaded_steps(&disk);
            assert!(allowed.contains(&steps), "{crash:?} before operation {stop_at} leaves {steps:?}");
            assert!(!finished || steps == Some(new), "{crash:?} after a finished save leaves {steps:?}");
            seen_new |= steps == Some(new);
            // The next save works on whatever was left.
            save_steps(&disk, 99, 99).unwrap();
            assert_eq!(loaded_steps(&disk), Some(99));
        }
        if finished {
            assert!(seen_new && stop_at > 20);
            return;
        }
    }
}

#[test]
fn a_crash_anywhere_leaves_the_previous_or_the_new_one() {
    crash_everywhere(&[1, 2], 3, 3, &[Some(2), Some(3)]);
}

#[test]
fn a_crash_of_the_first_save_leaves_nothing_or_the_new_one() {
    crash_everywhere(&[], 3, 3, &[None, Some(3)]);
}

#[test]
fn a_crash_while_the_only_checkpoint_is_replaced_leaves_the_old_or_the_new_one() {
    crash_everywhere(&[2], 2, 7, &[Some(2), Some(7)]);
}

/// `LATEST` comes last: at no instant does it name what is not whole, so that no reader has to fall back.
#[test]
fn latest_never_names_what_is_not_whole() {
    let parent = Path::new(PARENT);
    for before in [&[1, 2][..], &[]] {
        for stop_at in 1.. {
            let fs = disk_with(before);
            fs.stop_at.set(stop_at);
            let finished = save_steps(&fs, 3, 3).is_ok() && fs.num_operations.get() < stop_at;
            for crash in CRASHES {
                let disk = fs.after(crash);
                if let Ok(Some(name)) = read_pointer(&disk, parent, LATEST) {
                    let named = read_checkpoint(&disk, &parent.join(name), LoadOptions::default());
                    assert!(named.is_ok(), "{crash:?} before operation {stop_at}: {:?}", named.err());
                }
            }
            if finished {
                break;
            }
        }
    }
}

/// Fails the n-th operation, reading ones included, for n = 1, 2, 3, … until none fails.
fn fail_everywhere(before: &[u64], name: u64, new: u64, old: Option<u64>) {
    for fail_at in 1.. {
        let fs = disk_with(before);
        fs.fail_at.set(fail_at);
        let result = save_steps(&fs, name, new);
        fs.fail_at.set(usize::MAX);
        let steps = loaded_steps(&fs);
        if !fs.has_failed.get() {
            assert!(result.is_ok() && fail_at > 40);
            return;
        }
        match result {
            Ok(()) => assert_eq!(steps, Some(new), "operation {fail_at} failed in a save that succeeded"),
            Err(_) => assert!(steps == old || steps == Some(new), "operation {fail_at} failed: {steps:?}"),
        }
        // The failure passes; the next save succeeds and power may be lost at once.
        save_steps(&fs, 99, 99).unwrap();
        assert_eq!(loaded_steps(&fs.after(Crash::Power)), Some(99));
    }
}

#[test]
fn any_failing_operation_leaves_the_previous_or_the_new_one() {
    fail_everywhere(&[1, 2], 3, 3, Some(2));
    fail_everywhere(&[], 3, 3, None);
    fail_everywhere(&[2], 2, 7, Some(2));
}

#[test]
fn a_crash_while_pruning_leaves_the_newest() {
    for stop_at in 1.. {
        let fs = disk_with(&[1, 2, 3, 4]);
        fs.stop_at.set(stop_at);
        let finished = prune_in(&fs, Path::new(PARENT), 2, &|_| None).is_ok();
        for crash in CRASHES {
            assert_eq!(loaded_steps(&fs.after(crash)), Some(4));
        }
        if finished {
            return;
        }
    }
}

/// A disk that is full after every number of bytes: the previous checkpoint stays, nothing half-written does, and the save
/// works once there is room again.
#[test]
fn a_disk_full_at_any_byte_leaves_the_previous_one() {
    let total: u64 = bytes_of(&snapshot(3)).values().map(|bytes| bytes.len() as u64).sum();
    for capacity in (0..=2 * total + 64).step_by(61) {
        let fs = disk_with(&[2]);
        fs.capacity.set(total + capacity);
        let saved = save_steps(&fs, 3, 3);
        let names = fs.list_dir(Path::new(PARENT)).unwrap();
        assert!(!names.iter().any(|name| name.starts_with('.')), "{capacity}: {names:?}");
        assert_eq!(loaded_steps(&fs), Some(if saved.is_ok() { 3 } else { 2 }), "{capacity}");
        fs.capacity.set(u64::MAX);
        save_steps(&fs, 3, 3).unwrap();
        assert_eq!(loaded_steps(&fs.after(Crash::Power)), Some(3), "{capacity}");
    }
}

#[test]
fn too_little_space_is_found_before_anything_is_written() {
    let fs = disk_with(&[2]);
    fs.tells_free_space.set(true);
    fs.capacity.set(40_000);
    let error = save_steps(&fs, 3, 3).unwrap_err();
    let message = error.to_string();
    assert!(
        matches!(error, CheckpointError::NoSpace { .. }) && message.contains("KiB are free"),
        "{message}"
    );
    assert_eq!(fs.num_operations.get(), 1, "only the parent was made");
    fs.capacity.set(10_000_000);
    save_steps(&fs, 3, 3).unwrap();
    assert_eq!(loaded_steps(&fs), Some(3));
}
