"""A config as text: what differs from the defaults, written as the calls that make it so."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from skirl.algorithms.algorithm_config import AlgorithmConfig


def fluent(config: "AlgorithmConfig") -> str:
    """`PPOConfig()` and a call for each section that differs from the defaults."""
    lines = [f"{type(config).__name__}()"]
    for section in config._table.sections:
        if changed := _changed(config, section):
            given = ", ".join(f"{name}={value!r}" for name, value in changed.items())
            lines.append(f"    .{section}({given})")
    return "\n".join(lines)


def _changed(config: "AlgorithmConfig", section: str) -> dict[str, Any]:
    changed: dict[str, Any] = {}
    for name, option in config._table.sections[section].items():
        value = config[option.path]
        if value != option.default:
            changed[name] = _plain(value)
    for path, options in config._table.groups.items():
        outer, _, group = path.rpartition(".")
        values = {name: config[f"{path}.{name}"] for name, option in options.items() if config[f"{path}.{name}"] != option.default}
        if outer == section and values:
            changed[group] = values
    if section == "callbacks":
        changed |= {name: _plain(value) for name, value in config._objects.callbacks().items()}
    return changed


def _plain(value: Any) -> Any:
    """Classes and functions by their name."""
    name = getattr(value, "__qualname__", None)
    return _Name(name) if name else value


class _Name(str):
    """A text that is shown without quotes."""

    def __repr__(self) -> str:
        return str(self)
