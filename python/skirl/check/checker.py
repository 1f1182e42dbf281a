"""The checker: plays an environment in every way that training does, and says in plain words what is wrong with it."""

from __future__ import annotations

import contextlib
import dataclasses
import shutil
import time
import warnings
from collections.abc import Iterator, Mapping
from typing import Any

from skirl.check.case import CannotGoOn, Case, described
from skirl.check.habits import (
    check_ends,
    check_large_seed,
    check_memory,
    check_step_after_end,
    close_all,
    try_every_action,
)
from skirl.check.interface import check_interface
from skirl.check.members import check_everybody_was_seen, check_members, try_every_action_of_each
from skirl.check.player import Player
from skirl.check.recording import globals_kept
from skirl.check.repeat import check_repeats, record_all
from skirl.check.report import Report
from skirl.check.source import line_of_exception
from skirl.check.spaces import check_spaces
from skirl.check.subject import NotAnEnvironment, subject_of
from skirl.check.team import TeamPlayer
from skirl.check.watch import OutOfTime, Watch
from skirl.errors import EnvError


def check_env(
    env: Any,
    *,
    env_config: Mapping[str, Any] | None = None,
    steps: int = 600,
    seed: int = 0,
    raise_on_error: bool = True,
    verbose: bool = True,
    max_seconds: float = 60.0,
    call_seconds: float | None = 10.0,
    memory: bool = True,
) -> Report:
    """Plays an environment and reports what is wrong with it, in plain words.

    Args:
        env: An environment, its class, a function that makes one, `"module:Class"`, or a registered name. A class or
            a function lets the checker build several, which finds more; an instance is played, left reset or not, and not closed.
        env_config: Options of the environment; handed over as in training (whole, to a function and to a class whose first
            parameter is named `config`, `env_config` or `env_context`; else as keywords).
        steps: Steps of the main rollouts; the other rules take about three times as many. Rare faults need more.
        seed: Seeds of the rollouts are `seed`, `seed + 1` and `seed + 2`.
        raise_on_error: Raise `EnvError`, whose message is the whole report, if there are errors. Warnings never raise.
        verbose: Print the report if nothing is raised.
        max_seconds: When this time is used up, no further call is made, and a note says so.
        call_seconds: A call that takes longer counts as hung; it is left behind and reported. To watch the calls, they are made on a
            thread of their own; `None` makes them on the caller's, unwatched, for environments that insist on it.
        memory: Look for memory that steps leave behind (the steps are some times slower meanwhile).

    Returns:
        The `Report`: `errors`, `warnings`, `notes`, each with code, place, what was expected, what was found, what to do.

    A call that ends the process, or never gives the interpreter back, cannot be survived.
    """
    report = Report(subject=env if isinstance(env, str) else "environment")
    start = time.monotonic()
    try:
        subject = subject_of(env, env_config)
    except NotAnEnvironment as error:
        raise EnvError(str(error)) from None
    except Exception as error:
        raise EnvError(f"{env!r} cannot be imported: {described(error)}. Correct its module first.") from error
    report.subject = subject.name
    watch = Watch(max_seconds, call_seconds)
    case = Case(subject, report, watch, max(3, steps), seed)
    with globals_kept(), _gymnasium_quiet():
        hung = watch.run(lambda: _check(case, memory))
    if hung is not None:
        report = _with_hung_call(case, *hung, call_seconds or 0.0)
    report.seconds = time.monotonic() - start
    _tell(report, raise_on_error, verbose)
    return report


def _check(case: Case, with_memory: bool) -> None:
    """All rules, in an order in which each finds its ground prepared."""
    try:
        case.env = case.subject.given if case.subject.given is not None else case.make()
        with _passive_checker_off(case.env):
            _play(case, with_memory)
        case.report.complete = True
    except CannotGoOn:
        pass
    except OutOfTime:
        _note_unchecked(case, "the time was used up", "Raise max_seconds to check the rest.")
    except Exception as error:  # noqa: BLE001: a rule that meets what it cannot handle must not hide what the others found.
        _note_unchecked(case, described(error), f"The checker gave up there ({line_of_exception(error) or 'no line known'}).")
    with contextlib.suppress(OutOfTime):
        close_all(case)


def _play(case: Case, with_memory: bool) -> None:
    check_interface(case)
    if case.several:
        team = TeamPlayer(case, case.env, check_members(case))
        player: Player = team
    else:
        check_spaces(case)
        player = Player(case, case.env)
    recordings = record_all(case, player)
    if case.several:
        try_every_action_of_each(case, team)
        check_everybody_was_seen(case, team)
    else:
        try_every_action(case, player)
    check_ends(case, player, recordings)
    check_large_seed(case, player)
    check_repeats(case, player, recordings)
    if not case.several:
        check_step_after_end(case, player, recordings)
    if with_memory:
        check_memory(case, player)


def _note_unchecked(case: Case, found: str, advice: str) -> None:
    case.add(
        "not_checked", "step", "that every rule can be tried", f"{found}; some rules were not tried", advice,
        severity="note", line="",
    )  # fmt: skip


def _with_hung_call(case: Case, method: str, line: str, seconds: float) -> Report:
    # The thread that hangs keeps the old report; nothing that it may still add reaches the user's.
    report = dataclasses.replace(case.report, findings=list(case.report.findings))
    dataclasses.replace(case, report=report).add(
        "hangs", method, f"that {method} returns within {seconds:g} s", "that it was still running then",
        "Give every wait in it a time limit. If it is merely slow, raise call_seconds.", line=line or None,
    )  # fmt: skip
    return report


def _tell(report: Report, raise_on_error: bool, verbose: bool) -> None:
    width = min(110, shutil.get_terminal_size((100, 24)).columns)
    if report.errors and raise_on_error:
        cause = next((finding.cause for finding in report.errors if finding.cause is not None), None)
        raise EnvError(report.text(width)) from cause
    if verbose:
        print(report.text(width))


@contextlib.contextmanager
def _gymnasium_quiet() -> Iterator[None]:
    """Without Gymnasium's own warnings: what they say, the report says."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*WARN: ")
        yield


@contextlib.contextmanager
def _passive_checker_off(env: Any) -> Iterator[None]:
    """Lets Gymnasium's `PassiveEnvChecker`, which `gym.make` puts around environments, believe that it has looked already."""
    flags = ("checked_reset", "checked_step", "checked_render")
    inner = env
    while inner is not None and type(inner).__name__ != "PassiveEnvChecker":
        inner = getattr(inner, "env", None)
    kept = {flag: getattr(inner, flag, None) for flag in flags}
    for flag in flags if inner is not None else ():
        setattr(inner, flag, True)
    try:
        yield
    finally:
        for flag, value in kept.items() if inner is not None else ():
            setattr(inner, flag, value)
