"""Rules about the class: what it derives from, which methods it has, what they take, how it draws."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from skirl.check.case import CannotGoOn, Case
from skirl.check.same import shown
from skirl.check.source import unwrapped
from skirl.env._agents import has_several


def check_interface(case: Case) -> None:
    """All rules of this file. Raises `CannotGoOn` if there is nothing that could be played."""
    _check_kind(case)
    _check_methods(case)
    _check_reset_arguments(case)
    _check_step_arguments(case)
    _check_render_mode(case)


def _check_kind(case: Case) -> None:
    import gymnasium as gym

    env = case.env
    bases = [f"{base.__module__}.{base.__qualname__}" for base in type(unwrapped(env)).__mro__]
    if isinstance(env, gym.vector.VectorEnv):
        _wrong_kind(case, "vector_env", "a vector environment", "Check the single environment that it is made of.")
    if any(base.endswith(".AECEnv") for base in bases):
        _wrong_kind(
            case, "multi_agent", "an AECEnv of PettingZoo, whose agents are asked one after another",
            "Check and train pettingzoo.utils.conversions.aec_to_parallel(env), or write it as a MultiAgentEnv.",
        )  # fmt: skip
    if any(base.startswith("gym.") for base in bases):
        _wrong_kind(
            case, "old_gym", "an environment of the old package gym", "Write: import gymnasium as gym, and see its migration guide."
        )
    case.several = _has_several(env)
    if not isinstance(env, gym.Env) and not case.several:
        case.add(
            "not_gymnasium", "__init__", "a class that derives from gymnasium.Env", f"{shown(type(env))}",
            "Derive from gymnasium.Env: wrappers and other libraries ask for it. The methods are checked all the same.",
            severity="warning",
        )  # fmt: skip


def _has_several(env: Any) -> bool:
    try:
        return has_several(env)
    except Exception:  # noqa: BLE001: a property of the user's own may raise anything.
        return False


def _wrong_kind(case: Case, code: str, found: str, advice: str) -> None:
    case.add(code, "__init__", "a gymnasium.Env for one agent, or a MultiAgentEnv", found, advice)
    raise CannotGoOn


def _check_methods(case: Case) -> None:
    import gymnasium as gym

    missing = [name for name in ("reset", "step") if not callable(getattr(case.env, name, None))]
    owner = type(unwrapped(case.env))
    missing += [name for name in ("reset", "step") if getattr(owner, name, None) is getattr(gym.Env, name)]
    for name in missing:
        step = "step(self, action_dict)" if case.several else "step(self, action)"
        signature = {"reset": "reset(self, *, seed=None, options=None)", "step": step}[name]
        case.add("no_method", name, f"a method {signature}", "none", f"Add {name} to the class.")
    if "step" in missing or getattr(case.env, "reset", None) is None:
        raise CannotGoOn


def _check_reset_arguments(case: Case) -> None:
    parameters = _parameters(unwrapped(case.env).reset)
    if parameters is None:
        return
    case.takes_seed = _takes(parameters, "seed")
    case.takes_options = _takes(parameters, "options")
    lacking = [name for name in ("seed", "options") if not _takes(parameters, name)]
    required = [
        name
        for name, parameter in parameters.items()
        if parameter.default is inspect.Parameter.empty
        and parameter.kind not in (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)
    ]
    if lacking:
        found = f"reset({', '.join(['self', *map(str, parameters.values())])}), which does not take {' and '.join(lacking)}"
    elif required:
        found = f"that {required[0]} has no default value"
    else:
        return
    case.add(
        "reset_signature", "reset", "reset(self, *, seed=None, options=None)", found,
        "Write this line as expected, and begin with super().reset(seed=seed), which makes self.np_random: without a seed no run "
        "can be repeated.",
    )  # fmt: skip


def _check_step_arguments(case: Case) -> None:
    parameters = _parameters(unwrapped(case.env).step)
    if parameters is None:
        return
    try:
        inspect.Signature(list(parameters.values())).bind(None)
    except TypeError:
        case.add(
            "step_signature", "step", "step(self, action)", f"step({', '.join(['self', *map(str, parameters.values())])})",
            "Let step take one argument, the action.",
        )  # fmt: skip
        raise CannotGoOn from None


def _check_render_mode(case: Case) -> None:
    env = unwrapped(case.env)
    metadata = getattr(env, "metadata", None)
    if case.several and metadata is None:
        return
    if not isinstance(metadata, dict):
        case.add(
            "metadata", "__init__", "metadata to be a dict of the class", shown(metadata),
            'Write metadata = {"render_modes": []} in the class.',
        )  # fmt: skip
        return
    mode = getattr(env, "render_mode", None)
    modes = metadata.get("render_modes")
    if mode is not None and (modes is None or mode not in modes):
        case.add(
            "render_mode", "__init__", "that render_mode is None or one of metadata['render_modes']",
            f"render_mode={mode!r}, and render_modes {shown(modes)} in metadata",
            f'Write metadata = {{"render_modes": [{mode!r}]}} in the class.', field="render_mode",
        )  # fmt: skip


def _parameters(method: Callable[..., Any]) -> dict[str, inspect.Parameter] | None:
    try:
        return dict(inspect.signature(method).parameters)
    except (TypeError, ValueError):
        return None


def _takes(parameters: dict[str, inspect.Parameter], name: str) -> bool:
    positional_only = inspect.Parameter.POSITIONAL_ONLY
    named = name in parameters and parameters[name].kind is not positional_only
    return named or any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in parameters.values())
