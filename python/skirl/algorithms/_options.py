"""The options of an algorithm, as the engine defines them: names, sections, documentation, defaults."""

from dataclasses import dataclass
from functools import cache
from typing import Any

from skirl import _native


@dataclass(frozen=True)
class Option:
    """One option of one section."""

    section: str
    name: str
    doc: str
    type: str
    #: What is accepted, in words.
    accepts: str
    choices: tuple[str, ...]
    #: RLlib's other names with the same meaning.
    synonyms: tuple[str, ...]
    default: Any

    @property
    def path(self) -> str:
        """Dotted path: `training.lr`, `training.optimizer.eps`."""
        return f"{self.section}.{self.name}"


class OptionTable:
    """Every option of an algorithm, in the engine's order."""

    def __init__(self, algorithm: str) -> None:
        described = _native.options(algorithm)
        self.options = [_option(each) for each in described]
        #: Sections without a dot, in order, each with its options by name.
        self.sections: dict[str, dict[str, Option]] = {}
        #: Groups inside sections (`training.optimizer`), each with its options by name.
        self.groups: dict[str, dict[str, Option]] = {}
        for option in self.options:
            place = self.groups if "." in option.section else self.sections
            place.setdefault(option.section, {})[option.name] = option
        self._flat = {option.name: option for section in self.sections.values() for option in section.values()}
        for option in list(self._flat.values()):
            for synonym in option.synonyms:
                self._flat.setdefault(synonym, option)

    def find(self, name: str) -> Option | None:
        """The option of this flat name or synonym."""
        return self._flat.get(name)

    def in_section(self, section: str, name: str) -> Option | None:
        """The option of this name or synonym in a section or group."""
        options = self.sections.get(section) or self.groups.get(section) or {}
        named = (option for option in options.values() if name == option.name or name in option.synonyms)
        return next(named, None)

    def group(self, section: str | None, name: str) -> str | None:
        """Path of the group of this name, inside a section or in any."""
        for path in self.groups:
            outer, _, group = path.rpartition(".")
            if group == name and section in (None, outer):
                return path
        return None

    def names(self) -> list[str]:
        """All flat names: options and groups."""
        return [*self._flat, *(path.rpartition(".")[2] for path in self.groups)]


def _option(described: dict[str, Any]) -> Option:
    return Option(
        section=described["section"],
        name=described["name"],
        doc=described["doc"],
        type=described["type"],
        accepts=described["accepts"],
        choices=tuple(described["choices"]),
        synonyms=tuple(described["synonyms"]),
        default=described["default"],
    )


@cache
def options_of(algorithm: str) -> OptionTable:
    """The options of an algorithm; asked for once per process."""
    return OptionTable(algorithm)
