"""Results as text (RLlib: `ray.tune.logger.pretty_print`)."""

import json
from collections.abc import Mapping
from typing import Any


def pretty_print(result: Mapping[str, Any], exclude: set[str] | None = None) -> str:
    """A result in YAML's block form: one line for each number, nested by indentation, without entries that are None.

    Args:
        result: What `train` returned.
        exclude: Keys of the first level to leave out.
    """
    shown = {key: value for key, value in result.items() if key not in (exclude or set()) and key != "config"}
    return "\n".join(_lines(shown, "")) + "\n"


def _lines(entries: Mapping[str, Any], indent: str) -> list[str]:
    lines: list[str] = []
    for key in sorted(entries, key=str):
        value = entries[key]
        if isinstance(value, Mapping) and value:
            lines += [f"{indent}{key}:", *_lines(value, indent + "  ")]
        elif value is not None:
            lines.append(f"{indent}{key}: {_scalar(value)}")
    return lines


def _scalar(value: Any) -> str:
    if isinstance(value, str):
        return value
    return json.dumps(value, default=str)
