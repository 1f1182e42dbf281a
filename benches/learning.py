#!/usr/bin/env python3
"""What the shipped configurations learn: each trained with several seeds, its last checkpoint evaluated on unseen episodes.

    benches/learning.py                                   all of configs/*/*.toml, seeds 1 to 10
    benches/learning.py configs/ppo/cartpole.toml --seeds 100 --first-seed 11
    benches/learning.py --plots docs/learning             also draws the learning curves, one picture per environment

Needs `cargo build --release -p skirl-cli` and nothing but the standard library (Python 3.11). Prints one JSON line for each
run and then a table in Markdown. A run stops as its configuration says. The return is the mean over 100 episodes with the
most likely actions and raw rewards (`skirl evaluate`, seed 999: no training run has seen these episodes). Seconds are of the
whole training process, on the wall and of processor time. Runs are kept in --runs, which is emptied first.
"""

import argparse
import json
import resource
import shutil
import statistics
import subprocess
import sys
import time
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
COMMAND = ROOT / "target" / "release" / "skirl"
EVALUATION_SEED = 999
# Least mean return that counts as learned.
BOUNDS = {
    "CartPole-v1": 475,
    "Acrobot-v1": -100,
    "Pendulum-v1": -200,
    "MountainCar-v0": -120,
    "MountainCarContinuous-v0": 90,
}


def skirl(*arguments):
    """Standard output of the command; ends the program where it fails."""
    done = subprocess.run([COMMAND, *arguments], capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"skirl {' '.join(map(str, arguments))}: exit code {done.returncode}\n{done.stderr[-2000:]}")
    return done.stdout


def train_and_evaluate(config, run, seed, output, episodes):
    started, busy = time.perf_counter(), processor_seconds()
    lines = skirl("train", config, "--seed", str(seed), "--output", output, "--json").splitlines()
    wall, busy = time.perf_counter() - started, processor_seconds() - busy
    results = [event for event in map(json.loads, lines) if event.get("event") == "result"]
    last = results[-1].get("result", results[-1])
    evaluated = skirl("evaluate", output, "--episodes", str(episodes), "--seed", str(EVALUATION_SEED), "--json")
    return {
        "algorithm": run["run"],
        "environment": run["env"],
        "seed": seed,
        "return": round(mean_return(json.loads(evaluated.splitlines()[-1])), 2),
        "env_steps": last["num_env_steps_sampled_lifetime"],
        "wall_s": round(wall, 3),
        "processor_s": round(busy, 3),
    }


def processor_seconds():
    """Of all processes that this one has started and that have ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def mean_return(event):
    """The mean return, wherever the event keeps it."""
    if "episode_return_mean" in event:
        return event["episode_return_mean"]
    return next(found for value in event.values() if isinstance(value, dict) for found in [mean_return(value)])


def table(rows):
    """One line for each environment and algorithm."""
    lines = [
        "| environment | algorithm | bound | return: median | worst | seeds at the bound | environment steps: median | most | seconds: median | of processor time |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    groups = {}
    for row in rows:
        groups.setdefault((list(BOUNDS).index(row["environment"]), row["algorithm"]), []).append(row)
    for (place, algorithm), group in sorted(groups.items(), key=lambda item: (item[0][0], item[0][1] != "PPO", item[0][1])):
        environment = list(BOUNDS)[place]
        bound = BOUNDS[environment]
        returns, steps = [row["return"] for row in group], [row["env_steps"] for row in group]
        over = sum(value >= bound for value in returns)
        lines.append(
            f"| {environment} | {algorithm} | {bound} | {statistics.median(returns):.1f} | {min(returns):.1f} | {over} of {len(group)} "
            f"| {statistics.median(steps):,.0f} | {max(steps):,} | {statistics.median(row['wall_s'] for row in group):.2f} "
            f"| {statistics.median(row['processor_s'] for row in group):.2f} |"
        )
    return "\n".join(lines)


def draw(groups, directory):
    """One picture for each environment, one curve for each algorithm: of the return that ends the runs, of training or evaluation."""
    directory.mkdir(parents=True, exist_ok=True)
    curves = {}
    for (environment, algorithm), (path, stop) in groups.items():
        metric = next(name for name in stop if name.endswith("episode_return_mean"))
        curves.setdefault((environment, metric), []).append(f"{algorithm}={path}")
    for (environment, metric), named in curves.items():
        picture = directory / f"{environment}.svg"
        skirl("plot", *named, "--metric", metric, "--after-end", "hold", "--size", "400x260", "--output", picture)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", nargs="*", type=Path, help="configuration files [default: all that ship]")
    parser.add_argument("--seeds", type=int, default=10, help="number of seeds [default: 10]")
    parser.add_argument("--first-seed", type=int, default=1)
    parser.add_argument("--episodes", type=int, default=100, help="evaluation episodes [default: 100]")
    parser.add_argument("--plots", type=Path, metavar="DIR", help="draw learning curves into this directory")
    parser.add_argument("--runs", type=Path, metavar="DIR", help="directory for the runs", default=ROOT / "target" / "learning")
    options = parser.parse_args()
    configs = options.config or sorted((ROOT / "configs").glob("*/*.toml"))
    shutil.rmtree(options.runs, ignore_errors=True)
    rows, groups = [], {}
    for config in configs:
        run = tomllib.loads(config.read_text())
        group = options.runs / f"{run['run']}_{run['env']}"
        groups[run["env"], run["run"]] = (group, run["stop"])
        for seed in range(options.first_seed, options.first_seed + options.seeds):
            row = train_and_evaluate(config, run, seed, group / f"seed_{seed}", options.episodes)
            rows.append(row)
            print(json.dumps(row), flush=True)
    print(f"\n{table(rows)}")
    if options.plots:
        draw(groups, options.plots)


if __name__ == "__main__":
    main()
