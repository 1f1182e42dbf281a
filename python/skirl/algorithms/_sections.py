"""The section methods of a config (`environment(...)`, `training(...)`, ...), made from the engine's option definitions."""

from collections.abc import Callable
from inspect import Parameter, Signature
from typing import Any, Final

from skirl.algorithms._options import Option, OptionTable

SECTION_DOCS: Final = {
    "environment": "What the agent acts in.",
    "env_runners": "How experience is collected.",
    "training": "What the algorithm learns from a batch, and how.",
    "learners": "Who learns.",
    "evaluation": "When and how the policy is evaluated, in environments of its own.",
    "multi_agent": "Policies, and which of them acts for which agent.",
    "rl_module": "The networks.",
    "callbacks": "Your own code in the run.",
    "reporting": "What one result covers.",
    "checkpointing": "When the state is saved, and where.",
    "debugging": "Reproducibility and logging.",
    "resources": "What the run may use of the machine.",
    "fault_tolerance": "What happens when environments or their processes fail.",
}
OTHER_DOC: Final = """RLlib's section `{section}`.

What skirl does anyway is accepted and changes nothing; every other option is an error that says what it is.

Raises:
    ConfigError: Everything that is wrong with the options, at once.
"""
#: The option that may be given without its name.
FIRST: Final = {"environment": "env", "framework": "framework"}
#: Options that the engine does not have: read by `AlgorithmConfig` itself.
EXTRA: Final = {
    "training": {"model": "RLlib's older place for the options of `rl_module`."},
    "multi_agent": {
        "policy_mapping_fn": (
            "RLlib's function `f(agent_id, episode, **kwargs)` in place of `policy_mapping`. It is asked once for each agent "
            "that can appear, when the algorithm is built; one that looks at the episode is an error."
        )
    },
    "rl_module": {"model_config": "The options of this section as one map, as RLlib has them."},
}

#: Stands for an option that was not given: None is a value.
NOT_GIVEN: Final = type("NotGiven", (), {"__repr__": lambda self: "..."})()


def section_method(table: OptionTable, section: str) -> Callable[..., Any]:
    """The method that sets the options of `section`, with a signature and a docstring that name them all."""
    options = table.sections.get(section, {})
    first = FIRST.get(section)

    def method(self: Any, *args: Any, **given: Any) -> Any:
        if args:
            if first is None or len(args) > 1 or first in given:
                expected = f"at most one, {first}" if first else "names for all options"
                raise TypeError(f"{section}(): expected {expected}; found {len(args)} without a name")
            given = {first: args[0], **given}
        return self._set_section(section, {name: value for name, value in given.items() if value is not NOT_GIVEN})

    method.__name__ = section
    method.__doc__ = _doc(table, section, options)
    method.__signature__ = _signature(table, section, first)  # type: ignore[attr-defined]
    return method


def parameters(table: OptionTable, section: str) -> list[str]:
    """Names of all options and groups of a section, in order."""
    groups = [path.rpartition(".")[2] for path in table.groups if path.rpartition(".")[0] == section]
    return [*table.sections.get(section, {}), *groups, *EXTRA.get(section, {})]


def _signature(table: OptionTable, section: str, first: str | None) -> Signature:
    own = [Parameter("self", Parameter.POSITIONAL_OR_KEYWORD)]
    names = parameters(table, section)
    for name in names or [name for name in (first,) if name]:
        kind = Parameter.POSITIONAL_OR_KEYWORD if name == first else Parameter.KEYWORD_ONLY
        own.append(Parameter(name, kind, default=NOT_GIVEN))
    if not names:
        # A section of RLlib's of which nothing is served: every name gets its answer.
        own.append(Parameter("options", Parameter.VAR_KEYWORD))
    return Signature(own)


def _doc(table: OptionTable, section: str, options: dict[str, Option]) -> str:
    if not options:
        return OTHER_DOC.format(section=section)
    lines = [SECTION_DOCS.get(section, f"Options of section `{section}`."), "", "Args:"]
    for option in options.values():
        lines += _entry(option)
    for path, inside in table.groups.items():
        outer, _, group = path.rpartition(".")
        if outer == section:
            lines.append(f"    {group}: A map with these options:")
            lines += [line for option in inside.values() for line in _entry(option, "        ")]
    lines += [f"    {name}: {doc}" for name, doc in EXTRA.get(section, {}).items()]
    lines += ["", "Returns:", "    This config.", "", "Raises:", "    ConfigError: Everything that is wrong with the options, at once."]
    return "\n".join(lines)


def _entry(option: Option, indent: str = "    ") -> list[str]:
    doc = " ".join(option.doc.split())
    default = "None" if option.default is None else repr(option.default)
    return [f"{indent}{option.name}: {doc}", f"{indent}    {option.accepts}; default {default}."]
