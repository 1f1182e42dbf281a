"""Rules about repeating: the same seed and actions give the same episodes, in every instance, whatever goes on beside it."""

from __future__ import annotations

import itertools

import numpy as np

from skirl.check.case import Case
from skirl.check.player import Player
from skirl.check.recording import (
    Difference,
    Recording,
    globals_state,
    record,
    repeat,
    repetition,
    seed_globals,
)
from skirl.check.report import Severity
from skirl.check.same import same

_NO_SEED = "Draw all randomness from self.np_random, which super().reset(seed=seed) makes."


def record_all(case: Case, player: Player) -> list[Recording]:
    """The main rollouts, one for each of three seeds. Tells if they draw from the process's own generators."""
    seed_globals(12345)
    before = globals_state()
    each = max(1, case.steps // 3)
    recordings = [record(player, case.seed + index, each, with_options=index == 0) for index in range(3)]
    if globals_state() != before:
        _draws_globally(case, "that the generator's state has changed", "warning")
    return recordings


def check_repeats(case: Case, player: Player, recordings: list[Recording]) -> None:
    """All rules of this file; they need an environment that takes a seed."""
    if not case.takes_seed:
        return
    if not _check_same_instance(case, player, recordings[0]):
        return
    _check_reused_action(case, player, recordings[0])
    _check_unseeded_resets(case, player, recordings)
    _check_other_instances(case, player, recordings)


def _draws_globally(case: Case, found: str, severity: Severity) -> None:
    known = [finding for finding in case.report.findings if finding.code == "global_random"]
    for finding in known:
        case.report.findings.remove(finding)
    case.add(
        "global_random", "step", "that random numbers come from the environment's own generator, self.np_random",
        f"{found}: numpy.random, random or torch draw from a global generator that belongs to the whole process",
        f"{_NO_SEED} Otherwise other code changes what happens here, and what happens here changes other code.",
        severity=severity, line="" if severity == "warning" else None,
    )  # fmt: skip


def _check_same_instance(case: Case, player: Player, recording: Recording) -> bool:
    seed_globals(54321)
    difference = repeat(player, recording)
    if difference is None:
        return True
    seed_globals(7)
    again = record(player, recording.seed, len(recording.calls))
    seed_globals(7)
    if repeat(player, again) is None:
        _draws_globally(case, f"another result for the same seed ({difference.text})", "error")
    else:
        _report(
            case, "not_deterministic", difference, f"the same episode again after reset(seed={recording.seed}) with the same actions",
            "Something else than the seed decides: a generator that reset does not seed, state that reset does not clear, the "
            f"clock, or the order of a set. {_NO_SEED} Running means of a wrapper are such state, too: leave them to skirl, with "
            'observation_filter="MeanStdFilter".',
        )  # fmt: skip
    return False


def _check_other_instances(case: Case, player: Player, recordings: list[Recording]) -> None:
    if case.subject.make is None:
        case.add(
            "one_instance", "__init__", "that a second environment can be made, to compare the two",
            "an instance that cannot be copied", "Hand over the class, or a function that makes one, and these checks run too.",
            severity="note",
        )  # fmt: skip
        return
    first, second = player.like(case.make()), player.like(case.make())
    difference = repeat(first, recordings[0])
    if difference is not None:
        _report(
            case, "instances_differ", difference, f"the same episode for seed {recordings[0].seed} in every instance",
            f"Something is drawn or counted when an instance is built. Do it in reset instead. {_NO_SEED}",
        )  # fmt: skip
        return
    _check_side_by_side(case, [first, second], recordings)


def _check_side_by_side(case: Case, players: list[Player], recordings: list[Recording]) -> None:
    """Two instances, stepped in turns with different seeds."""
    turns = [repetition(player, recording) for player, recording in zip(players, recordings, strict=False)]
    for difference in itertools.chain.from_iterable(zip(*turns, strict=False)):
        if difference is None:
            continue
        if case.report.has("global_random"):
            _draws_globally(case, f"that two instances disturb each other ({difference.text})", "error")
        else:
            _report(
                case, "shared_state", difference, "that two instances, stepped in turns, do not disturb each other",
                "They share something: a list or an array kept on the class or the module, or a default argument. Make it in "
                "__init__ and keep it on self.",
            )  # fmt: skip
        return


def _check_reused_action(case: Case, player: Player, recording: Recording) -> None:
    if not isinstance(recording.calls[1].action, np.ndarray):
        return
    difference = repeat(player, recording, spoil_actions=True)
    if difference is not None:
        _report(
            case, "action_kept", difference, "that the array which holds an action may be used again after the call",
            "The environment keeps the action it was given and reads it later. Keep a copy: self.last_action = action.copy(). "
            "skirl makes a new array for each action; other libraries use one again.",
            severity="warning",
        )  # fmt: skip


def _check_unseeded_resets(case: Case, player: Player, recordings: list[Recording]) -> None:
    starts = [recording.calls[0].outcome.observation for recording in recordings]
    if all(same(start, starts[0]) for start in starts):
        return
    for seed in (case.seed, case.seed + 1):
        first = player.reset(seed).observation
        # Six times: an environment with few places to start from draws the same one by chance.
        if not all(same(player.reset().observation, first) for _ in range(6)):
            return
    case.add(
        "always_the_same_start", "reset", "that reset() without a seed goes on to another episode",
        "that it starts the same one again, although other seeds start others",
        "Seed only if a seed is given; super().reset(seed=seed) does so. Now all of training sees a single episode's start.",
        severity="warning",
    )  # fmt: skip


def _report(
    case: Case, code: str, difference: Difference, expected: str, advice: str, severity: Severity = "error"
) -> None:
    call = difference.call
    without_seed = f", in episode {call.episode + 1}, which starts by reset() without a seed" if call.episode else ""
    case.add(
        code, call.method, expected, f"a difference{without_seed}: {difference.text}", advice,
        field=difference.field, step=call.step, severity=severity,
    )  # fmt: skip
