"""Reads the event files of a run back with the `tensorboard` package and compares them with its `result.jsonl`.

    python read_events.py RUN_DIRECTORY

Every numeric metric of every result must be there once, under its slash-separated path, at
`num_env_steps_sampled_lifetime`, rounded to a 32-bit float; and nothing else. Needs `pip install tensorboard`.
"""

import json
import struct
import sys
from pathlib import Path

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

STEPS = "num_env_steps_sampled_lifetime"
ITERATION = "training_iteration"


def leaves(value, path=""):
    """Yields (path, number) of a nested result."""
    for key, inner in value.items():
        name = f"{path}/{key}" if path else key
        if isinstance(inner, dict):
            yield from leaves(inner, name)
        elif isinstance(inner, (int, float)) and not isinstance(inner, bool):
            yield name, inner


def as_float32(number):
    return struct.unpack("<f", struct.pack("<f", number))[0]


def expected_scalars(run):
    scalars = {}
    for line in (run / "result.jsonl").read_text(encoding="utf-8").splitlines():
        result = json.loads(line)
        step = result.get(STEPS, result.get(ITERATION, 0))
        for tag, number in leaves(result):
            scalars.setdefault(tag, []).append((step, as_float32(number)))
    return scalars


def found_scalars(run):
    events = EventAccumulator(str(run), size_guidance={"scalars": 0})
    events.Reload()
    return {tag: [(e.step, e.value) for e in events.Scalars(tag)] for tag in events.Tags()["scalars"]}


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    run = Path(sys.argv[1])
    expected, found = expected_scalars(run), found_scalars(run)
    if not expected:
        sys.exit(f"{run / 'result.jsonl'} holds no results")
    for tag in sorted(expected.keys() | found.keys()):
        if expected.get(tag) != found.get(tag):
            sys.exit(f"{tag}: result.jsonl has {expected.get(tag)}, the event files have {found.get(tag)}")
    num_points = sum(map(len, found.values()))
    print(f"{len(found)} scalars with {num_points} points read back by tensorboard, equal to result.jsonl")


if __name__ == "__main__":
    main()
