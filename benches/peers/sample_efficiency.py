"""Environment steps until CartPole-v1 is solved, for SB3 and CleanRL-style PPO on their own tuned settings.

Solved: the mean return of the last 100 training episodes reaches 475. One JSON line per seed is appended to --out;
seeds that are already there are skipped, so a run can be stopped and started again. `--summary` reads such files and
prints the interquartile mean per peer; a seed that did not solve within the budget counts with the whole budget, which
flatters the peer.

    sample_efficiency.py --peer sb3 --seeds 10 --out sample_efficiency.jsonl
    sample_efficiency.py --summary sample_efficiency.jsonl
"""

from __future__ import annotations

import argparse
import json
import statistics
from pathlib import Path

import measure
import ppo_tasks

TASK_NAME = "tuned_cartpole"
SETTINGS = {"sb3": ppo_tasks.SB3_TUNED_CARTPOLE, "cleanrl_style": ppo_tasks.CLEANRL_TUNED_CARTPOLE}


def trainer(peer: str):
    """The peer's `train` function; imported late, so that --summary needs no peer installed."""
    if peer == "sb3":
        import ppo_sb3 as module
    else:
        import ppo_cleanrl_style as module
    import torch

    torch.set_num_threads(1)
    return module.train


def read_lines(paths: list[Path]) -> list[dict]:
    return [json.loads(line) for path in paths if path.exists() for line in path.read_text().splitlines() if line]


def run_seeds(args: argparse.Namespace) -> None:
    task = SETTINGS[args.peer]
    train = trainer(args.peer)
    for seed in range(args.first_seed, args.first_seed + args.seeds):
        # Read again for every seed: several processes may share the file.
        if any(line["peer"] == args.peer and line["seed"] == seed for line in read_lines([args.out])):
            continue
        env_steps, clock, watch = train(task, seed, task.solve_budget, True)
        line = measure.record(args.peer, TASK_NAME, argparse.Namespace(threads=1, seed=seed), env_steps, clock, watch,
                              budget=task.solve_budget)
        with args.out.open("a") as out:
            out.write(json.dumps(line) + "\n")
        measure.emit(line)


def interquartile_mean(values: list[float]) -> float:
    """Mean of the middle half; the values at its edges count in part (Agarwal et al. 2021)."""
    ordered = sorted(values)
    low, high = len(ordered) / 4, len(ordered) * 3 / 4
    weights = [max(0.0, min(high, i + 1) - max(low, i)) for i in range(len(ordered))]
    return sum(w * v for w, v in zip(weights, ordered)) / sum(weights)


def summarise(paths: list[Path]) -> None:
    lines = list({(line["peer"], line["seed"]): line for line in read_lines(paths)}.values())
    for peer in sorted({line["peer"] for line in lines}):
        of_peer = [line for line in lines if line["peer"] == peer]
        steps = [line["solved_at_steps"] or line.get("budget") or line["env_steps"] for line in of_peer]
        solved = sum(line["solved_at_steps"] is not None for line in of_peer)
        print(json.dumps({"peer": peer, "seeds": len(steps), "solved": solved, "iqm_steps": round(interquartile_mean(steps)),
                          "median_steps": statistics.median(steps), "min_steps": min(steps), "max_steps": max(steps)}))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer", choices=list(SETTINGS))
    parser.add_argument("--seeds", type=int, default=10, help="number of seeds")
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("sample_efficiency.jsonl"))
    parser.add_argument("--summary", type=Path, nargs="+", metavar="FILE")
    args = parser.parse_args()
    if args.summary:
        summarise(args.summary)
    elif args.peer:
        run_seeds(args)
    else:
        parser.error("expected --peer or --summary")


if __name__ == "__main__":
    main()
