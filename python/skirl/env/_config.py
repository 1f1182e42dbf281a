"""An `env_config` as JSON, which the engine carries and checkpoints hold, and back.

JSON has no tuples, no arrays, no functions. Tuples and arrays are written as small objects and come back equal. Anything
else stays in this process: the JSON holds a placeholder with its number, and the creator gets the object itself. Environment
runners in processes of their own get a pickled copy of it.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from typing import Any

from skirl.errors import EnvError

TUPLE, ARRAY, NUMBER, OBJECT = "$tuple", "$array", "$number", "$object"

#: Arrays with more elements are kept in this process: a checkpoint is no place for them.
MAX_ARRAY_ELEMENTS = 10_000

#: Objects that placeholders stand for; the position is the number.
_kept: list[Any] = []

#: In an environment runner's process: these objects as they were sent, or why they could not be.
_sent: list[bytes | str] = []
#: Those of them that were asked for: one copy for all environments of the process.
_arrived: dict[int, Any] = {}


def pickled() -> list[bytes | str]:
    """The kept objects on their way to an environment runner. One that cannot travel is an error only where it is asked for."""
    return [_pickled(value) for value in _kept]


def receive(sent: list[bytes | str]) -> None:
    """Makes the objects of the process that trains known in this one."""
    _sent[:] = sent
    _arrived.clear()


def to_json(env_config: Mapping[str, Any]) -> dict[str, Any]:
    """`env_config` in plain values, with placeholders where there are none."""
    return {str(key): _encode(value) for key, value in env_config.items()}


def from_json(env_config: Mapping[str, Any]) -> dict[str, Any]:
    """What `to_json` was given. An object that is not in this process is an error that names it."""
    return {key: _decode(value, key) for key, value in env_config.items()}


def is_plain(env_config: Mapping[str, Any]) -> bool:
    """Whether every value is a number, a string, a truth value or None."""
    return all(value is None or isinstance(value, (bool, int, float, str)) for value in env_config.values())


def _encode(value: Any) -> Any:
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, int) and type(value) is int:
        return value if -(2**63) <= value < 2**64 else {NUMBER: str(value)}
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else {NUMBER: str(float(value))}
    if type(value) is list:
        return [_encode(item) for item in value]
    if type(value) is tuple:
        return {TUPLE: [_encode(item) for item in value]}
    if type(value) is dict and all(isinstance(key, str) and not key.startswith("$") for key in value):
        return {key: _encode(item) for key, item in value.items()}
    numpy = sys.modules.get("numpy")
    if numpy is not None and isinstance(value, (numpy.integer, numpy.floating, numpy.bool_)):
        return _encode(value.item())
    if numpy is not None and type(value) is numpy.ndarray and _is_small(value):
        return {ARRAY: {"dtype": str(value.dtype), "shape": list(value.shape), "data": _encode(value.ravel().tolist())}}
    return _keep(value)


def _is_small(array: Any) -> bool:
    return array.dtype.kind in "fiub" and array.size <= MAX_ARRAY_ELEMENTS


def _keep(value: Any) -> dict[str, Any]:
    number = next((number for number, kept in enumerate(_kept) if kept is value), len(_kept))
    if number == len(_kept):
        _kept.append(value)
    kind = value if isinstance(value, type) or hasattr(value, "__qualname__") else type(value)
    return {OBJECT: f"{kind.__module__}.{kind.__qualname__}", "number": number}


def _decode(value: Any, place: str) -> Any:
    if isinstance(value, list):
        return [_decode(item, f"{place}[{index}]") for index, item in enumerate(value)]
    if not isinstance(value, dict):
        return value
    if TUPLE in value:
        return tuple(_decode(value[TUPLE], place))
    if NUMBER in value:
        text = value[NUMBER]
        return float(text) if text.lstrip("-") in ("inf", "nan") else int(text)
    if ARRAY in value:
        import numpy

        array = value[ARRAY]
        return numpy.array(_decode(array["data"], place), dtype=array["dtype"]).reshape(array["shape"])
    if OBJECT in value:
        return _kept_object(value, place)
    return {key: _decode(item, f"{place}.{key}") for key, item in value.items()}


def _kept_object(placeholder: dict[str, Any], place: str) -> Any:
    number, kind = placeholder.get("number"), placeholder[OBJECT]
    if isinstance(number, int) and 0 <= number < len(_sent):
        return _sent_object(number, kind, place)
    value = _kept[number] if isinstance(number, int) and 0 <= number < len(_kept) else None
    if value is not None:
        own = value if isinstance(value, type) or hasattr(value, "__qualname__") else type(value)
        if f"{own.__module__}.{own.__qualname__}" == kind:
            return value
    raise EnvError(
        f"env_config[{place!r}] is {kind}, an object of the process that made this configuration; a checkpoint cannot hold "
        f"it. Give it again, in a config: from_checkpoint(path, config=config), or config.environment(env_config=...) and build from that"
    )


def _pickled(value: Any) -> bytes | str:
    import cloudpickle  # type: ignore[import-untyped]

    try:
        return bytes(cloudpickle.dumps(value))
    except Exception as error:
        return f"{type(error).__name__}: {error}"


def _sent_object(number: int, kind: str, place: str) -> Any:
    if number not in _arrived:
        import cloudpickle

        content = _sent[number]
        if isinstance(content, str):
            raise EnvError(
                f"env_config[{place!r}] is {kind}, which cannot be sent to an environment runner: {content}. Make it in the "
                "environment's constructor, or set num_env_runners to 0"
            )
        _arrived[number] = cloudpickle.loads(content)
    return _arrived[number]
