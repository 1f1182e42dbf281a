"""One check under way: where findings go, and how the user's code is called."""

from __future__ import annotations

import dataclasses
from typing import Any

from skirl.check.report import Finding, Report, Severity, Where
from skirl.check.same import shown
from skirl.check.source import line_of, line_of_exception
from skirl.check.subject import Subject
from skirl.check.watch import Abandoned, OutOfTime, Watch

# Not the environment's doing: they end the check itself.
_OURS = (OutOfTime, Abandoned, KeyboardInterrupt)


class CannotGoOn(Exception):
    """The environment cannot be played any further; the reason is among the findings."""


@dataclasses.dataclass
class Case:
    """What all rules share."""

    subject: Subject
    report: Report
    watch: Watch
    #: Steps of the main rollouts, all seeds together.
    steps: int
    seed: int
    #: Which arguments the environment's `reset` takes.
    takes_seed: bool = True
    takes_options: bool = True
    #: Whether the environment has several agents.
    several: bool = False
    #: Environments that the checker made and has to close.
    made: list[Any] = dataclasses.field(default_factory=list)
    #: The environment that findings point into.
    env: Any = None

    def add(
        self,
        code: str,
        method: str,
        expected: str,
        found: str,
        advice: str,
        *,
        severity: Severity = "error",
        field: str = "",
        agent: str = "",
        step: int = 0,
        line: str | None = None,
        cause: BaseException | None = None,
    ) -> None:
        """Keeps a finding. `line` is the first line of the method if none is given."""
        line = line_of(self.env, method) if line is None else line
        where = Where(method=method, field=field, agent=agent, step=step, line=line)
        self.report.add(
            Finding(
                severity=severity, code=code, expected=expected, found=found, where=where, advice=advice, cause=cause
            )
        )

    def make(self) -> Any:
        """Another environment. Raises `CannotGoOn` if none can be had."""
        if self.subject.make is None:
            raise CannotGoOn
        try:
            env = self.watch.call("__init__", self.subject.make)
        except _OURS:
            raise
        except BaseException as error:
            self._cannot_make(error)
            raise CannotGoOn from None
        self.made.append(env)
        return env

    def _cannot_make(self, error: BaseException) -> None:
        another = " another time, beside the first" if self.made or self.subject.given is not None else ""
        self.add(
            "init_raises", "__init__", f"that the environment can be built{another}", described(error),
            "Correct the constructor; if it needs arguments, pass them as env_config.",
            line=line_of_exception(error), cause=error,
        )  # fmt: skip

    def call(
        self, env: Any, method: str, context: str, *arguments: Any, step: int = 0, key_advice: str = "", **named: Any
    ) -> Any:
        """Calls a method of the environment. An exception becomes a finding, then `CannotGoOn`; `key_advice` is for a `KeyError`."""
        try:
            return self.watch.call(method, getattr(env, method), *arguments, **named)
        except _OURS:
            raise
        except BaseException as error:
            self.add(
                f"{method}_raises", method, f"no exception {context}", described(error), _advice_for(error, key_advice),
                step=step, line=line_of_exception(error) or None, cause=error,
            )  # fmt: skip
            raise CannotGoOn from None


def described(error: BaseException) -> str:
    """An exception in a line: `ValueError: too many sheep`."""
    return f"{type(error).__name__}: {shown_text(str(error))}" if str(error) else type(error).__name__


def shown_text(text: str) -> str:
    """Text without line breaks, cut to a length that can be read."""
    return shown(_Bare(text), 300)


class _Bare(str):
    """Text that shows itself without quotes."""

    def __repr__(self) -> str:
        return str(self)


def _advice_for(error: BaseException, key_advice: str) -> str:
    if isinstance(error, KeyError) and key_advice:
        return key_advice
    if isinstance(error, SystemExit):
        return "An environment must not call sys.exit; end the episode instead, or raise an exception that says what is wrong."
    return "Any exception stops the run (or costs an environment that is built anew); handle the case, or end the episode."
