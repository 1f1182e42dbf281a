"""From what a config was given to the engine's callbacks."""

import warnings
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, Final

from skirl._native import hooks as native_hooks
from skirl.callbacks.arguments import Run
from skirl.callbacks.callbacks import SkirlCallback
from skirl.callbacks.dispatch import Dispatcher
from skirl.callbacks.worker_run import WorkerRun
from skirl.errors import ConfigError, SkirlWarning

#: Names of hooks in older versions of RLlib.
OLDER_HOOKS: Final = {
    "on_postprocess_traj": "on_postprocess_trajectory",
    "on_sub_environment_created": "on_environment_created",
    "on_trainer_init": "on_algorithm_init",
}
#: Hooks of RLlib that nothing here would call.
NOT_CALLED: Final = (
    "on_create_policy",
    "on_evaluate_offline_end",
    "on_evaluate_offline_start",
    "on_offline_eval_runners_recreated",
)
#: Hooks of older versions of RLlib that were given other arguments than those that took their place.
REPLACED: Final = {"on_workers_recreated": "on_env_runners_recreated"}


def check(name: str, value: Any) -> None:
    """What can be said of `config.callbacks(name=value)` before anything is built.

    Raises:
        ConfigError: There is no such hook, or what was given is no callbacks.
    """
    dispatchers({name: value}, make=False)


def dispatchers(
    given: Mapping[str, Any], *, algorithm: Any = None, config: Any = None, make: bool = True
) -> list[Dispatcher]:
    """What the engine calls.

    Args:
        given: `callbacks_class` (a class, an instance, a list of them, or a map of functions by hook), and functions by hook.
        algorithm: The algorithm that hooks are given.
        config: Its config.
        make: Make instances of classes; else their methods are looked at, and not called.
    """
    return _dispatchers(given, Run(algorithm, config, given), make)


def worker_dispatchers(given: Mapping[str, Any], config: Any, no_config: str | None, worker_index: int) -> list[Dispatcher]:
    """The same in an environment runner's process: classes are made anew there."""
    return _dispatchers(given, WorkerRun(given, config, no_config, worker_index), True)


def _dispatchers(given: Mapping[str, Any], run: Run, make: bool) -> list[Dispatcher]:
    made: list[Dispatcher] = []
    functions: dict[str, list[Callable[..., Any]]] = {}
    for name, value in given.items():
        if name == "callbacks_class":
            for part in _parts(value):
                if isinstance(part, Mapping):
                    _add_functions(functions, part)
                else:
                    made.append(_of_object(part, run, make))
        else:
            _add_functions(functions, {name: value})
    if functions:
        made.append(Dispatcher("functions", functions, run))
    _tell_apart(made)
    if any(each.logs() for each in made):
        made[0].logs_metrics = True
    return made


def _parts(value: Any) -> Iterator[Any]:
    if value is None:
        return
    if isinstance(value, (list, tuple)):
        for part in value:
            yield from _parts(part)
    else:
        yield value


def _add_functions(functions: dict[str, list[Callable[..., Any]]], given: Mapping[str, Any]) -> None:
    for name, value in given.items():
        if value is None:
            continue
        hook = _hook(name)
        for function in value if isinstance(value, (list, tuple)) else (value,):
            if not callable(function):
                raise ConfigError(f"callbacks: expected a function for {name}, found {function!r}")
            functions.setdefault(hook, []).append(function)


def _hook(name: str) -> str:
    hook = OLDER_HOOKS.get(name, name)
    if hook in native_hooks():
        return hook
    if name in NOT_CALLED:
        raise ConfigError(f"callbacks: {name} is a hook of RLlib that nothing in skirl would call: remove it")
    if name in REPLACED:
        raise ConfigError(f"callbacks: {_replaced(name)}")
    from difflib import get_close_matches

    near = get_close_matches(name, native_hooks(), 1)
    meant = f"; did you mean {near[0]}?" if near else f"; expected one of {', '.join(native_hooks())}"
    raise ConfigError(f"callbacks: there is no hook {name!r}{meant}")


def _replaced(name: str) -> str:
    return (
        f"{name} is the former name of a hook of RLlib: expected {REPLACED[name]}, which is given algorithm, env_runner_group, "
        "env_runner_indices and is_evaluation; rename it, with its arguments"
    )


def _of_object(given: Any, run: Run, make: bool) -> Dispatcher:
    target = given() if isinstance(given, type) and make else given
    functions: dict[str, list[Callable[..., Any]]] = {}
    for name in (*native_hooks(), *OLDER_HOOKS):
        method = getattr(target, name, None)
        if method is not None and _is_overridden(target, name):
            if isinstance(target, type):
                method = partial(method, None)  # A class is looked at: `self` is no argument.
            functions.setdefault(OLDER_HOOKS.get(name, name), []).append(method)
    is_ours = issubclass(target, SkirlCallback) if isinstance(target, type) else isinstance(target, SkirlCallback)
    if not functions and not is_ours:
        raise ConfigError(
            f"callbacks: expected a subclass of SkirlCallback, a list of them, or functions by hook, found {given!r}, which has "
            "no hook"
        )
    if make and not run.is_worker:
        _warn_of_uncalled(target if isinstance(target, type) else type(target))
    return Dispatcher(_name_of(target), functions, run, target)


def _warn_of_uncalled(cls: type) -> None:
    """Methods that look like hooks, and that nothing calls."""
    from difflib import get_close_matches

    hooks = (*native_hooks(), *OLDER_HOOKS)
    for name in (name for name in dir(cls) if name.startswith("on_") and name not in hooks):
        near = get_close_matches(name, hooks, 1, cutoff=0.85)
        if name in NOT_CALLED:
            warnings.warn(f"{cls.__qualname__}.{name}: nothing in skirl calls this hook of RLlib", SkirlWarning, stacklevel=3)
        elif name in REPLACED:
            warnings.warn(f"{cls.__qualname__}.{name} is not called: {_replaced(name)}", SkirlWarning, stacklevel=3)
        elif near:
            warnings.warn(f"{cls.__qualname__}.{name}: there is no such hook; did you mean {near[0]}?", SkirlWarning, stacklevel=3)


def _is_overridden(target: Any, name: str) -> bool:
    if not isinstance(target, type) and name in getattr(target, "__dict__", {}):
        return True
    cls = target if isinstance(target, type) else type(target)
    return getattr(cls, name, None) is not getattr(SkirlCallback, name, None)


def _name_of(target: Any) -> str:
    cls = target if isinstance(target, type) else type(target)
    return str(getattr(cls, "__qualname__", cls.__name__)).rpartition(".")[2]


def _tell_apart(made: list[Dispatcher]) -> None:
    """Two objects of one class get numbers."""
    seen: dict[str, int] = {}
    for each in made:
        count = seen[each.name] = seen.get(each.name, 0) + 1
        if count > 1:
            each.name = f"{each.name}#{count}"



