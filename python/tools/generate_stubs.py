"""Writes the stubs of the configs, `python/skirl/algorithms/*.pyi`, from the engine's option definitions.

    python python/tools/generate_stubs.py            # writes them
    python python/tools/generate_stubs.py --check    # says which are out of date
"""

import sys
from pathlib import Path

from skirl.algorithms._common_sections import DOCUMENTED_BY, NOT_HERE
from skirl.algorithms._options import Option, OptionTable, options_of
from skirl.algorithms._rllib_options import OTHER_SECTIONS
from skirl.algorithms._sections import FIRST, parameters

DIRECTORY = Path(__file__).resolve().parents[1] / "skirl" / "algorithms"
ALGORITHMS = ("PPO", "A2C", "PG")
HEAD = "# Written by python/tools/generate_stubs.py from the engine's option definitions.\n"

#: The engine's words for a type -> Python's. Words of a fixed set are `Literal`.
TYPES = {
    "integer": "int",
    'integer or "auto"': 'int | Literal["auto"]',
    "integer or none": "int | None",
    "list of 2 numbers": "Sequence[float]",
    "list of integer": "Sequence[int]",
    "list of integer or none": "Sequence[int] | None",
    "list of names, or map from name to options": "Sequence[str] | Mapping[str, Mapping[str, Any]]",
    "list of string": "Sequence[str]",
    "list of string or none": "Sequence[str] | None",
    "map": "Mapping[str, Any]",
    "map from agent to policy": "Mapping[str, str]",
    "map or none": "Mapping[str, Any] | None",
    "number": "float",
    "number or none": "float | None",
    "number or schedule [[0, v0], [env_steps, v1], …]": "float | Sequence[Sequence[float]]",
    "string": "str",
    "string or none": "str | None",
    "true or false": "bool",
    "true, false, number or none": "bool | float | None",
}
#: Options that take Python objects as well.
BY_PATH = {
    "environment.env": "str | type | Callable[..., Any] | None",
    "evaluation.custom_evaluation_function": "str | Callable[..., Any] | None",
}
#: Options that the engine does not have and that are no maps.
OTHERS = {"policy_mapping_fn": "Callable[..., str] | None"}


def type_of(option: Option) -> str:
    """The type of an option, with the search spaces that may take its place."""
    if option.path in BY_PATH:
        known = BY_PATH[option.path]
    elif option.choices:
        words = ", ".join(f'"{word}"' for word in option.choices)
        known = f"Literal[{words}]" + (" | None" if option.type.endswith("none") else "")
    else:
        known = TYPES[option.type]
    return f"{known} | SearchSpace"


def method(table: OptionTable, section: str) -> str:
    """The signature of a section method."""
    names = parameters(table, section)
    first = FIRST.get(section)
    if not names:
        given = f"{first}: Any = ..., " if first else ""
        return f"    def {section}(self, {given}**options: Any) -> Self: ...\n"
    lines = [f"    def {section}(\n        self,\n"]
    if first in names:
        lines.append(f"        {first}: {_annotation(table, section, first)} = ...,\n")
    lines.append("        *,\n")
    lines += [f"        {name}: {_annotation(table, section, name)} = ...,\n" for name in names if name != first]
    return "".join(lines) + "    ) -> Self: ...\n"


def _annotation(table: OptionTable, section: str, name: str) -> str:
    option = table.in_section(section, name)
    # Groups, and the maps that stand for another section.
    return type_of(option) if option else OTHERS.get(name, "Mapping[str, Any]")


def common_stub() -> str:
    """`_common_sections.pyi`."""
    table = options_of(DOCUMENTED_BY)
    sections = sorted({*table.sections, *OTHER_SECTIONS}.difference(NOT_HERE))
    methods = "".join(method(table, section) for section in sections)
    return (
        f"{HEAD}from collections.abc import Callable, Mapping, Sequence\nfrom typing import Any, Final, Literal\n\n"
        "from typing_extensions import Self\n\nfrom skirl.algorithms._search import SearchSpace\n\n"
        "DOCUMENTED_BY: Final[str]\nNOT_HERE: Final[tuple[str, ...]]\n\n"
        f"class CommonSections:\n{methods}"
    )


def algorithm_stub(algorithm: str) -> str:
    """The stub of one algorithm's module."""
    table = options_of(algorithm)
    return (
        f"{HEAD}from collections.abc import Callable, Mapping, Sequence\nfrom typing import Any, Literal\n\n"
        "from typing_extensions import Self\n\nfrom skirl.algorithms._search import SearchSpace\nfrom skirl.algorithms.algorithm import Algorithm\n"
        "from skirl.algorithms.algorithm_config import AlgorithmConfig\n\n"
        f"class {algorithm}Config(AlgorithmConfig):\n"
        f"{method(table, 'training')}"
        f"    def build_algo(self, env: Any = None, logger_creator: Callable[..., Any] | None = None) -> {algorithm}: ...\n"
        f"    def build(self, env: Any = None, logger_creator: Callable[..., Any] | None = None) -> {algorithm}: ...\n\n"
        f"class {algorithm}(Algorithm): ...\n\n"
        f'__all__ = ["{algorithm}", "{algorithm}Config"]\n'
    )


def stubs() -> dict[Path, str]:
    """Every generated file with its text."""
    made = {DIRECTORY / f"{algorithm.lower()}.pyi": algorithm_stub(algorithm) for algorithm in ALGORITHMS}
    return made | {DIRECTORY / "_common_sections.pyi": common_stub()}


def main() -> int:
    """Writes the stubs, or with `--check` tells which differ."""
    outdated = [path for path, text in stubs().items() if not path.exists() or path.read_text(encoding="utf-8") != text]
    if "--check" in sys.argv:
        for path in outdated:
            print(f"{path} is out of date: run python python/tools/generate_stubs.py")
        return int(bool(outdated))
    for path in outdated:
        path.write_text(stubs()[path], encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
