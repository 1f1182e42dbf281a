"""What the checker found, in words."""

from __future__ import annotations

import dataclasses
import textwrap
from typing import Literal

Severity = Literal["error", "warning", "note"]
_ORDER: dict[Severity, int] = {"error": 0, "warning": 1, "note": 2}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Where:
    """A place: which method, which part of what it returned, which step, which line of the user's code."""

    #: `reset`, `step`, `__init__`, …
    method: str
    #: Part of the result, for example `observation['camera'][0]`; empty for the whole call.
    field: str = ""
    #: The agent concerned, as `repr` shows its id; empty where there is one agent, or all are meant.
    agent: str = ""
    #: Step of the episode, from 1; 0 for none.
    step: int = 0
    #: `file.py:42`; empty if unknown.
    line: str = ""

    def __str__(self) -> str:
        parts = [f"{self.method}()" + (f" at {self.line}" if self.line else "")]
        if self.step:
            parts.append(f"step {self.step} of an episode")
        of_agent = f" of agent {self.agent}" if self.agent else ""
        if self.field or self.agent:
            parts.append((self.field + of_agent).strip())
        return ", ".join(parts)


@dataclasses.dataclass(kw_only=True)
class Finding:
    """One fault: what was expected, what was found, where, and what to do."""

    severity: Severity
    #: A word for the kind of fault; the table is in docs/check_env.md.
    code: str
    expected: str
    found: str
    where: Where
    advice: str
    #: How often it was seen.
    count: int = 1
    #: The exception of the user's own code that it tells of.
    cause: BaseException | None = None

    @property
    def key(self) -> tuple[str, str, str]:
        """Findings with the same key are one; what both reset and step do wrong with a field is one as well, and so is what agents
        of whom the same is expected do wrong."""
        return self.code, self.where.field or self.where.method, self.expected if self.where.agent else ""

    def __str__(self) -> str:
        times = f" (seen {self.count} times; this was the first)" if self.count > 1 else ""
        return (
            f"{self.severity} [{self.code}] {self.where}: expected {self.expected}; found {self.found}{times}. {self.advice}"
        )


@dataclasses.dataclass
class Report:
    """All findings about one environment, and how much of it was tried."""

    #: What was checked, for example `Corridor (corridor.py:12)`.
    subject: str = ""
    findings: list[Finding] = dataclasses.field(default_factory=list)
    #: Steps and finished episodes that the checker played.
    num_steps: int = 0
    num_episodes: int = 0
    #: Seconds that the check took.
    seconds: float = 0.0
    #: Whether every rule was tried; not so if the environment could not be played on, or time ran out.
    complete: bool = False

    @property
    def errors(self) -> list[Finding]:
        """What keeps the environment from being trained on, or makes what is learned wrong."""
        return [finding for finding in self.findings if finding.severity == "error"]

    @property
    def warnings(self) -> list[Finding]:
        """What is legal and probably not meant."""
        return [finding for finding in self.findings if finding.severity == "warning"]

    @property
    def notes(self) -> list[Finding]:
        """What is worth knowing, and what could not be checked."""
        return [finding for finding in self.findings if finding.severity == "note"]

    @property
    def ok(self) -> bool:
        """No errors."""
        return not self.errors

    def add(self, finding: Finding) -> None:
        """Keeps a finding; one of the same kind in the same place is only counted."""
        for known in self.findings:
            if known.key == finding.key:
                known.count += 1
                return
        self.findings.append(finding)

    def has(self, code: str) -> bool:
        """Whether a finding with that code is there."""
        return any(finding.code == code for finding in self.findings)

    def text(self, width: int = 100) -> str:
        """The report as it is printed: errors first, a paragraph each."""
        tried = f"{self.num_steps} steps and {self.num_episodes} whole episodes in {self.seconds:.1f} s"
        lines = [f"{self.subject}: {self._verdict()} Tried: {tried}."]
        for finding in sorted(self.findings, key=lambda finding: _ORDER[finding.severity]):
            lines += ["", textwrap.fill(str(finding), width, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)]
        if not self.complete and self.errors:
            lines += ["", "More rules wait behind these errors: correct them, then check again."]
        return "\n".join(lines)

    def _verdict(self) -> str:
        if not self.findings:
            return "nothing wrong was found."
        counts = [(len(self.errors), "error"), (len(self.warnings), "warning"), (len(self.notes), "note")]
        words = [f"{count} {word}{'s' if count > 1 else ''}" for count, word in counts if count]
        return ", ".join(words) + "."

    def __str__(self) -> str:
        return self.text()
