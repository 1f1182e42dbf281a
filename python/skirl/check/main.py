"""The checker as a command: `python -m skirl.check module:Class`."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence

from skirl.check.checker import check_env
from skirl.errors import EnvError


def main(argv: Sequence[str] | None = None) -> int:
    """Checks the environment that the arguments name. Returns 0 without errors, 1 with errors, 2 if there is nothing to check."""
    arguments = _parser().parse_args(argv)
    # A file in the working directory is found, however this was started.
    sys.path.insert(0, os.getcwd())
    try:
        report = check_env(
            arguments.env,
            env_config=arguments.env_config,
            steps=arguments.steps,
            seed=arguments.seed,
            raise_on_error=False,
            max_seconds=arguments.max_seconds,
            call_seconds=arguments.call_seconds,
        )
    except EnvError as error:
        print(error, file=sys.stderr)
        return 2
    return 0 if report.ok else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m skirl.check", description="Plays an environment and says in plain words what is wrong with it."
    )
    parser.add_argument("env", help="module:Class, module:function, or a name of Gymnasium's registry")
    parser.add_argument("--env-config", type=_json, default=None, metavar="JSON", help="options of the environment")
    parser.add_argument("--steps", type=int, default=600, help="steps of the main rollouts (%(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the first rollout (%(default)s)")
    parser.add_argument("--max-seconds", type=float, default=60.0, help="time for everything (%(default)s)")
    parser.add_argument(
        "--call-seconds", type=float, default=10.0, help="a call that takes longer counts as hung (%(default)s)"
    )
    return parser


def _json(text: str) -> dict[str, object]:
    value = json.loads(text)
    if not isinstance(value, dict):
        raise argparse.ArgumentTypeError(f"expected an object, like {{\"size\": 5}}, found {text}")
    return value
