#!/usr/bin/env python3
"""Whole processes of the command with a shipped configuration: time, steps, greedy return on unseen episodes, memory.

    benches/wall_clock.py cartpole --seeds 10
    benches/wall_clock.py pendulum --seeds 10

Needs `cargo build --release -p skirl-cli` and nothing but the standard library. Wall-clock time is of the whole process,
from start to exit, checkpoint written and synced. The first result is the time until the first line of output that holds
one. Greedy return: `skirl evaluate` on 100 episodes that training never saw.
"""

import argparse
import json
import os
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

COMMAND = Path(__file__).resolve().parent.parent / "target" / "release" / "skirl"


def run(config: str, seed: int, extra: list[str]) -> dict:
    with tempfile.TemporaryDirectory() as directory:
        output = f"{directory}/run"
        started = time.perf_counter()
        arguments = [COMMAND, "train", config, "--seed", str(seed), "--output", output, "--json", *extra]
        process = subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        first_result, last = None, {}
        for line in process.stdout:
            event = json.loads(line)
            if event.get("event") == "result" and first_result is None:
                first_result = time.perf_counter() - started
            last = event if event.get("event") == "result" else last
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != 0:
            raise SystemExit(f"seed {seed}: exit code {process.returncode}")
        # `evaluate` reads the checkpoint; seed 999 gives episodes that no training run has seen.
        evaluation = subprocess.run(
            [COMMAND, "evaluate", output, "--episodes", "100", "--seed", "999", "--json"],
            check=True, capture_output=True, text=True,
        )
        result = last.get("result", last)
        return {
            "seed": seed,
            "wall_s": wall,
            "first_result_s": first_result,
            "env_steps": result["num_env_steps_sampled_lifetime"],
            "return_mean": result["env_runners"]["episode_return_mean"],
            "greedy_return": greedy(json.loads(evaluation.stdout.splitlines()[-1])),
            "max_rss_mb": usage.ru_maxrss / 1024,
        }


def greedy(event: dict) -> float:
    """The mean return, wherever the event keeps it."""
    if "episode_return_mean" in event:
        return event["episode_return_mean"]
    return next(found for value in event.values() if isinstance(value, dict) for found in [greedy(value)])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", help="shipped configuration (cartpole, pendulum, …) or a file")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--set", action="append", default=[], metavar="OPTION=VALUE", help="passed on to the command")
    options = parser.parse_args()
    extra = [word for setting in options.set for word in ("--set", setting)]
    run(options.config, 1, extra)  # warm-up: the binary comes from the disk cache from here on
    rows = [run(options.config, seed, extra) for seed in range(1, options.seeds + 1)]
    for row in rows:
        print(json.dumps({key: round(value, 4) if isinstance(value, float) else value for key, value in row.items()}))
    steps = sorted(row["env_steps"] for row in rows)
    quarter = len(steps) // 4
    middle = steps[quarter : len(steps) - quarter]
    summary = {name: statistics.median(row[name] for row in rows) for name in ("wall_s", "first_result_s", "max_rss_mb")}
    summary |= {
        "config": options.config,
        "seeds": len(rows),
        "max_wall_s": max(row["wall_s"] for row in rows),
        "env_steps_interquartile_mean": sum(middle) / len(middle),
        "worst_greedy_return": min(row["greedy_return"] for row in rows),
    }
    print(json.dumps(summary))


if __name__ == "__main__":
    main()
