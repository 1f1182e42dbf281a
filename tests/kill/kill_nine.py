#!/usr/bin/env python3
"""Kills `skirl train` at random moments, resumes it, and proves that nothing was lost. Python 3 standard library only.

    python3 tests/kill/kill_nine.py --skirl target/release/skirl --count 1000 --seed 1
    python3 tests/kill/kill_nine.py --skirl target/release/skirl --count 100 --signal INT

A run saves a checkpoint after every iteration. It is killed after a random time, resumed, killed again, until it ends;
then the next run starts, until --count kills have hit. After every kill the directory must hold a checkpoint that loads (or none yet),
and no whole line of results that is wrong. At the end of every run its results (all but times) and the hash of its weights
must be those of a run that was never stopped. With --signal INT or TERM the command must also end with code 130.
"""

import argparse
import collections
import csv
import hashlib
import json
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time

# Differ between two runs of the same seed.
TIMES = ("timers/", "time_", "timestamp", "pid", "env_runners/num_env_steps_sampled_lifetime_throughput")
ITERATIONS = 24


def fail(what):
    sys.exit(f"FAILED: {what}")


def flat(value, path=""):
    for key, inner in value.items():
        name = f"{path}/{key}" if path else key
        if isinstance(inner, dict):
            yield from flat(inner, name)
        else:
            yield name, inner


def without_times(items):
    return {name: value for name, value in items if not name.startswith(TIMES) and value != ""}


def results(run, torn_allowed):
    """The iterations in result.jsonl; only the last line may be torn, and only after a kill."""
    path = run / "result.jsonl"
    text = path.read_bytes() if path.exists() else b""
    lines = text.split(b"\n")
    if lines.pop() and not torn_allowed:
        fail(f"{path} ends in half a line")
    parsed = [json.loads(line) for line in lines]
    check_iterations(path, [line["training_iteration"] for line in parsed])
    return [without_times(flat(line)) for line in parsed]


def rows(run, torn_allowed):
    """The iterations in progress.csv, likewise."""
    path = run / "progress.csv"
    text = path.read_text() if path.exists() else ""
    lines = text.split("\n")
    if lines.pop() and not torn_allowed:
        fail(f"{path} ends in half a line")
    parsed = list(csv.DictReader(lines))
    check_iterations(path, [int(row["training_iteration"]) for row in parsed])
    return [without_times(row.items()) for row in parsed]


def check_iterations(path, iterations):
    if iterations != list(range(1, len(iterations) + 1)):
        fail(f"{path} has the iterations {iterations}")


def weights_hash(run):
    newest = (run / "checkpoints" / "LATEST").read_text().strip()
    files = sorted((run / "checkpoints" / newest / "learner_group").rglob("*.safetensors"))
    if not files:
        fail(f"no weights in {newest}")
    whole = hashlib.sha256()
    for file in files:
        whole.update(file.read_bytes())
    return whole.hexdigest()


class Loop:
    def __init__(self, arguments, scratch):
        self.skirl = os.path.abspath(arguments.skirl)
        self.signal = getattr(signal, "SIG" + arguments.signal)
        self.random = random.Random(arguments.seed)
        self.count = arguments.count
        self.scratch = scratch
        self.counts = collections.Counter()

    def start_command(self, run):
        return [
            self.skirl, "train", "--run=PPO", "--env=CartPole-v1", "--seed", "7",
            "--config", '{"train_batch_size": 256, "minibatch_size": 64, "num_epochs": 2, "fcnet_hiddens": [32, 32]}',
            "--set", "env_runners.observation_filter=MeanStdFilter",
            "--set", "checkpointing.num_to_keep=3",
            "--set", "checkpointing.checkpoint_score_attribute=env_runners/episode_return_mean",
            "--stop", json.dumps({"training_iteration": ITERATIONS}), "--checkpoint-freq", "1", "--output", str(run),
        ]

    def command(self, run):
        is_begun = (run / "config.json").exists()
        return [self.skirl, "train", "--resume", str(run)] if is_begun else self.start_command(run)

    def spawn(self, command):
        return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, cwd=self.scratch)

    def uninterrupted(self):
        run = self.scratch / "uninterrupted"
        started = time.monotonic()
        subprocess.run(self.start_command(run), check=True, stdout=subprocess.DEVNULL, cwd=self.scratch)
        self.duration = time.monotonic() - started
        self.expected = (results(run, False), rows(run, False), weights_hash(run))
        if len(self.expected[0]) != ITERATIONS:
            fail("the uninterrupted run is incomplete")

    def moment(self):
        """Seconds until the kill: a tenth falls into the first milliseconds, the rest anywhere in a whole run."""
        early = self.random.random() < 0.1
        return self.random.uniform(0, 0.003 if early else self.duration / 3)

    def one_run(self, number):
        """Starts, kills and resumes one run until it ends."""
        run = self.scratch / f"run-{number}"
        while True:
            may_kill = self.counts["kills"] < self.count
            process = self.spawn(self.command(run))
            killed = False
            try:
                process.wait(self.moment() if may_kill else 600)
            except subprocess.TimeoutExpired:
                process.send_signal(self.signal)
                killed = True
            said = process.communicate()[1].decode()
            code = process.returncode
            if code == 0:
                break
            self.check_end(killed, code, said)
            self.check_directory(run)
        found = (results(run, False), rows(run, False), weights_hash(run))
        for what, expected, got in zip(("result.jsonl", "progress.csv", "weights"), self.expected, found):
            if expected != got:
                fail(f"{what} of {run} differ from the uninterrupted run's")
        self.counts["runs"] += 1
        shutil.rmtree(run)

    def check_end(self, killed, code, said):
        if not killed:
            fail(f"a command that was not killed ended with {code}: {said}")
        # Before the handler is there, a signal simply ends the process.
        if code not in (-self.signal, 130):
            fail(f"{self.signal.name} ended the command with {code}: {said}")
        if code == 130 and self.signal is signal.SIGKILL:
            fail("a killed process cannot exit")
        self.counts["kills"] += 1
        self.counts["saved at the signal"] += code == 130

    def check_directory(self, run):
        checkpoints = run / "checkpoints"
        names = sorted(os.listdir(checkpoints)) if checkpoints.exists() else []
        if any(name.startswith(".tmp-") for name in names):
            self.counts["in the middle of a save"] += 1
        results(run, True)
        rows(run, True)
        if not [name for name in names if not name.startswith(".tmp-")]:
            self.counts["before the first checkpoint"] += 1
            return
        output = subprocess.run(
            [self.skirl, "evaluate", str(run), "--episodes", "1", "--json"], capture_output=True, text=True, check=False
        )
        if output.returncode != 0:
            fail(f"after the kill {run} does not load: {output.stderr}")
        self.counts["loaded"] += 1
        self.counts["with a warning"] += bool(json.loads(output.stdout)["warnings"])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--skirl", default="target/release/skirl", help="the command [%(default)s]")
    parser.add_argument("--count", type=int, default=1000, help="kills [%(default)s]")
    parser.add_argument("--seed", type=int, default=1, help="seed of the moments [%(default)s]")
    parser.add_argument("--signal", choices=["KILL", "INT", "TERM"], default="KILL", help="[%(default)s]")
    arguments = parser.parse_args()
    started = time.monotonic()
    scratch = pathlib.Path(tempfile.mkdtemp(prefix="skirl-kill-"))
    loop = Loop(arguments, scratch)
    loop.uninterrupted()
    number = 0
    while loop.counts["kills"] < arguments.count:
        number += 1
        loop.one_run(number)
    # A run that failed stays where it is, to be looked at.
    shutil.rmtree(scratch)
    counts = ", ".join(f"{name}: {count}" for name, count in sorted(loop.counts.items()))
    print(f"SIG{arguments.signal} in {time.monotonic() - started:.0f} s: {counts}")


if __name__ == "__main__":
    main()
