"""The process of one trial: `python -m skirl.tune._trial`. The trial arrives on standard input, results leave on standard output."""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import traceback
from collections.abc import Mapping
from typing import Any, BinaryIO, TextIO

from skirl.tune import session
from skirl.tune.session import Link, Session, TrialInterrupted, TrialStopped, TuneContext
from skirl.tune.trainable import Trainable, wants_reporter


def main() -> None:
    """Runs the trial and exits."""
    commands, results = _take_streams()
    # Until the link knows better.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    header = json.loads(commands.readline() or "null")
    if header is None:
        return
    blob = commands.read(header["size"])
    sys.path[:] = header["sys_path"]
    _restore_environment(header["environment"])
    link = Link(results, commands)
    try:
        _run(blob, link)
    except TrialStopped:
        pass
    except BaseException as error:  # noqa: BLE001 - whatever ends the trial is reported
        link.send("failed", summary=_summary(error), traceback=_traceback(error))
        link.is_ending = True
        sys.exit(1)
    link.is_ending = True
    link.send("done")


def _take_streams() -> tuple[BinaryIO, TextIO]:
    """Keeps the pipes for the parent. What the user's code prints goes to standard error; it can read nothing."""
    commands = os.fdopen(os.dup(0), "rb")
    results = os.fdopen(os.dup(1), "w", encoding="utf-8")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    sys.stdout.reconfigure(line_buffering=True, errors="replace")  # type: ignore[union-attr]
    return commands, results


def _restore_environment(environment: Mapping[str, str | None]) -> None:
    """Undoes what the parent changed so that this process finds skirl."""
    for name, value in environment.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


def _run(blob: bytes, link: Link) -> None:
    import cloudpickle  # type: ignore[import-untyped]

    spec = cloudpickle.loads(blob)
    current = Session(link, TuneContext(**spec["context"]))
    session.begin(current)
    _seed(spec["seed"])
    for name, creator in spec["envs"].items():
        from skirl.tune.registry import register_env

        register_env(name, creator)
    trainable: Trainable = spec["trainable"]
    if trainable.is_function:
        _run_function(trainable.target, spec["params"], link)
    else:
        _run_algorithm(trainable, spec["params"], current)


def _seed(seed: int | None) -> None:
    """Python's and NumPy's global generators, for functions that use them."""
    if seed is not None:
        import numpy as np

        random.seed(seed)
        np.random.seed(seed)


def _run_function(function: Any, params: Any, link: Link) -> None:
    arguments = [params, session.report] if wants_reporter(function) else [params]
    with link.interruptible():
        returned = function(*arguments)
    if isinstance(returned, Mapping):
        session.report(returned)


def _run_algorithm(trainable: Trainable, params: Any, current: Session) -> None:
    algorithm = trainable.build(params)
    try:
        while True:
            try:
                with current.link.interruptible():
                    result = algorithm.train()
            except TrialInterrupted:
                current.interrupted(algorithm.save_to_path)
            else:
                current.exchange(result, algorithm.save_to_path)
    finally:
        algorithm.stop()


def _summary(error: BaseException) -> str:
    return "".join(traceback.format_exception_only(type(error), error)).strip()


def _traceback(error: BaseException) -> str:
    """Without the frames of this package that lead to the user's code."""
    frames = error.__traceback__
    here = os.path.dirname(os.path.abspath(__file__))
    while frames is not None and frames.tb_frame.f_code.co_filename.startswith(here):
        frames = frames.tb_next
    shown = frames or error.__traceback__
    return "".join(traceback.format_exception(type(error), error, shown))


if __name__ == "__main__":
    main()
