//! The best checkpoints among those that are kept.

use std::path::Path;

use super::sim_fs::{Crash, SimFs};
use super::*;
use crate::checkpoint::list::list_in;
use crate::checkpoint::save::save_in;

const PARENT: &str = "/runs/a/checkpoints";

fn save_scored(fs: &SimFs, ranking: &Ranking, steps: u64, score: Option<f64>) {
    let mut snapshot = snapshot(steps);
    ranking.mark(&mut snapshot, score);
    save_in(fs, Path::new(PARENT), &step_name(steps), &snapshot).unwrap();
}

/// Steps of what is there, in order, and of the best.
fn kept(fs: &SimFs) -> (Vec<u64>, Option<u64>) {
    let entries = list_in(fs, Path::new(PARENT)).unwrap();
    let steps = |entry: &Entry| entry.name.strip_prefix("step-").unwrap().parse().unwrap();
    (entries.iter().map(steps).collect(), entries.iter().find(|entry| entry.is_best).map(steps))
}

/// Saves these scores in turn, keeping 3, with a new `Ranking` (a resumed run) each time or the same.
fn run(is_max: bool, resumed: bool, scores: &[Option<f64>]) -> (Vec<u64>, Option<u64>) {
    let fs = SimFs::new();
    let new = || Ranking::new("env_runners/episode_return_mean", is_max);
    let mut ranking = new();
    for (steps, score) in (1..).zip(scores) {
        save_scored(&fs, &ranking, steps, *score);
        ranking.update_in(&fs, Path::new(PARENT), Some(3)).unwrap();
        if resumed {
            ranking = new();
        }
    }
    kept(&fs)
}

#[test]
fn the_newest_and_the_best_stay() {
    let scores = [Some(3.0), Some(9.0), None, Some(5.0), Some(5.0), Some(1.0), Some(2.0)];
    for resumed in [false, true] {
        assert_eq!(run(true, resumed, &scores), (vec![2, 5, 7], Some(2)));
        assert_eq!(run(false, resumed, &scores), (vec![1, 6, 7], Some(6)));
        assert_eq!(run(true, resumed, &[None; 5]), (vec![3, 4, 5], None));
    }
}

#[test]
fn scores_of_another_metric_and_infinite_ones_do_not_count() {
    let fs = SimFs::new();
    let other = Ranking::new("other", true);
    save_scored(&fs, &other, 1, Some(100.0));
    let mut ranking = Ranking::new("mine", true);
    save_scored(&fs, &ranking, 2, Some(f64::INFINITY));
    save_scored(&fs, &ranking, 3, Some(-4.0));
    ranking.update_in(&fs, Path::new(PARENT), None).unwrap();
    assert_eq!(kept(&fs), (vec![1, 2, 3], Some(3)));
}

#[test]
fn a_crash_anywhere_leaves_a_best_one_that_exists() {
    for stop_at in 1.. {
        let fs = SimFs::new();
        let mut ranking = Ranking::new("m", true);
        for (steps, score) in [(1, 5.0), (2, 4.0), (3, 9.0), (4, 1.0)] {
            save_scored(&fs, &ranking, steps, Some(score));
            if steps < 3 {
                ranking.update_in(&fs, Path::new(PARENT), Some(2)).unwrap();
            }
        }
        fs.stop_at.set(fs.num_operations.get() + stop_at);
        let finished = ranking.update_in(&fs, Path::new(PARENT), Some(2)).is_ok();
        for crash in [Crash::Kill, Crash::Power, Crash::PowerWithNames] {
            let disk = fs.after(crash);
            let best = list_in(&disk, Path::new(PARENT)).unwrap().into_iter().find(|entry| entry.is_best);
            assert!(
                best.is_some_and(|best| ["step-000000000001", "step-000000000003"].contains(&&*best.name))
            );
        }
        if finished {
            assert_eq!(kept(&fs), (vec![3, 4], Some(3)));
            return;
        }
    }
}

#[test]
fn damaged_checkpoints_are_not_counted() {
    let directory = tempfile::tempdir().unwrap();
    for steps in 1..=4 {
        save(directory.path(), &step_name(steps), &snapshot(steps)).unwrap();
    }
    let file = directory.path().join(step_name(3)).join(module_file("default_policy", MODULE_STATE));
    std::fs::write(file, "short").unwrap();
    let removed = prune(directory.path(), 1).unwrap();
    assert_eq!(
        removed,
        [directory.path().join(step_name(1))],
        "the newest and a sound one to fall back on stay"
    );
}
