#!/usr/bin/env python3
"""Runs two commands in turn, A B A B ..., and compares what they report. Standard library only.

    pairs.py [-n PAIRS] [--warmup N] [--out FILE] "COMMAND A" "COMMAND B"

Each command must print at least one JSON object on a line of its own; the last one counts. Numbers in it that both
commands report are compared, nested ones under a path such as `env_runners/episode_return_mean`. Three figures of the
whole process are added: process_wall_s, process_cpu_s (with its children) and max_rss_mb. The commands run
without a shell; `NAME=VALUE` words in front set the environment.

Printed per field: the median of A, the median of B, and the median over the pairs of A/B with its lowest and highest
value. Pairs are taken next to each other in time, so that a slow spell of the machine strikes both.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

STDERR_TAIL_LINES = 20


def split_command(command: str) -> tuple[dict[str, str], list[str]]:
    """The leading NAME=VALUE words as an environment, and the rest as arguments."""
    words = shlex.split(command)
    environment = dict(os.environ)
    while words and "=" in words[0] and words[0].split("=", 1)[0].isidentifier():
        name, value = words.pop(0).split("=", 1)
        environment[name] = value
    if not words:
        raise SystemExit(f"nothing to run in {command!r}")
    return environment, words


def run(command: str) -> dict:
    """One run of a command: its last JSON line and the figures of its process."""
    environment, words = split_command(command)
    with tempfile.TemporaryFile("w+") as stdout, tempfile.TemporaryFile("w+") as stderr:
        start = time.perf_counter()
        try:
            process = subprocess.Popen(words, stdout=stdout, stderr=stderr, stdin=subprocess.DEVNULL, env=environment)
        except OSError as error:
            raise SystemExit(f"{command}\ncannot be started: {error}") from error
        _, status, usage = os.wait4(process.pid, 0)
        wall_s = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        stdout.seek(0)
        line = last_json_object(stdout.read())
        if process.returncode != 0 or line is None:
            stderr.seek(0)
            tail = "\n".join(stderr.read().splitlines()[-STDERR_TAIL_LINES:])
            problem = f"exit status {process.returncode}" if process.returncode else "no JSON object on its output"
            raise SystemExit(f"{command}\n{problem}; end of its error output:\n{tail}")
    line["process_wall_s"] = round(wall_s, 4)
    line["process_cpu_s"] = round(usage.ru_utime + usage.ru_stime, 4)
    line["max_rss_mb"] = round(usage.ru_maxrss / 1024, 1)
    return line


def last_json_object(text: str) -> dict | None:
    for line in reversed(text.splitlines()):
        if line.lstrip().startswith("{"):
            try:
                return json.loads(line)
            except json.JSONDecodeError:
                continue
    return None


def numbers(line: dict, prefix: str = "") -> dict[str, float]:
    """The numeric fields, nested ones under slash-separated paths."""
    found: dict[str, float] = {}
    for name, value in line.items():
        if isinstance(value, dict):
            found |= numbers(value, f"{prefix}{name}/")
        elif isinstance(value, (int, float)) and not isinstance(value, bool):
            found[prefix + name] = float(value)
    return found


def median_of(runs: list[dict[str, float]], name: str) -> float:
    return statistics.median(run[name] for run in runs)


def ratios(runs_a: list[dict[str, float]], runs_b: list[dict[str, float]], name: str) -> list[float]:
    return [a[name] / b[name] for a, b in zip(runs_a, runs_b) if b[name] != 0]


def print_table(runs_a: list[dict[str, float]], runs_b: list[dict[str, float]]) -> None:
    """Fields that every run of one command reports; the ratio where both commands do."""
    in_all_a = set.intersection(*(set(run) for run in runs_a))
    in_all_b = set.intersection(*(set(run) for run in runs_b))
    print(f"{'field':<34} {'A median':>14} {'B median':>14} {'A/B median':>11}   (lowest to highest)")
    for name in sorted(in_all_a | in_all_b):
        a = f"{median_of(runs_a, name):.5g}" if name in in_all_a else "-"
        b = f"{median_of(runs_b, name):.5g}" if name in in_all_b else "-"
        shares = ratios(runs_a, runs_b, name) if name in in_all_a & in_all_b else []
        ratio = f"{statistics.median(shares):>11.4g}   ({min(shares):.4g} to {max(shares):.4g})" if shares else f"{'-':>11}"
        print(f"{name:<34} {a:>14} {b:>14} {ratio}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-n", "--pairs", type=int, default=5)
    parser.add_argument("--warmup", type=int, default=0, help="pairs that are run first and not counted")
    parser.add_argument("--out", type=Path, help="append every run as a JSON line")
    parser.add_argument("a", metavar="COMMAND_A")
    parser.add_argument("b", metavar="COMMAND_B")
    args = parser.parse_args()
    if args.pairs < 1:
        parser.error("--pairs: expected at least 1")
    print(f"A: {args.a}\nB: {args.b}")
    print(f"{args.pairs} pairs; {os.cpu_count()} processors, load average {os.getloadavg()[0]:.2f} at the start")
    runs: dict[str, list[dict]] = {"A": [], "B": []}
    for pair in range(-args.warmup, args.pairs):
        for side, command in (("A", args.a), ("B", args.b)):
            line = run(command)
            if pair < 0:
                continue
            runs[side].append(line)
            if args.out:
                with args.out.open("a") as out:
                    out.write(json.dumps({"side": side, "pair": pair, "command": command} | line) + "\n")
        print(f"\rpair {max(pair + 1, 0)}/{args.pairs}", end="", file=sys.stderr)
    print(file=sys.stderr)
    print_table([numbers(line) for line in runs["A"]], [numbers(line) for line in runs["B"]])


if __name__ == "__main__":
    main()
