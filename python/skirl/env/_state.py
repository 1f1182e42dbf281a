"""The whole state of an environment, for exact resume.

An environment takes part with `get_state()` and `set_state(state)`, where the state is made of plain values, NumPy arrays
and bytes. Its random generator and the counter of Gymnasium's `TimeLimit` are saved beside it.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np

#: Wrappers of Gymnasium that keep nothing from step to step, or whose state is saved here.
_KNOWN = ("OrderEnforcing", "PassiveEnvChecker", "TimeLimit")
_DTYPES = "f4 f8 i1 i2 i4 i8 u1 u2 u4 u8 b1".split()


def save(env: Any) -> tuple[str, list[np.ndarray[Any, Any]]] | None:
    """JSON and the arrays that it points to; None where the environment, or a wrapper around it, cannot save itself."""
    arrays: list[np.ndarray[Any, Any]] = []
    layers = []
    for layer in _layers(env):
        own = _own_state(layer)
        if own is None:
            return None
        layers.append(_encode(own, arrays))
    return json.dumps(layers), arrays


def restore(env: Any, text: str, arrays: list[np.ndarray[Any, Any]]) -> None:
    """Puts back what `save` gave."""
    states, layers = json.loads(text), _layers(env)
    if len(states) != len(layers):
        raise ValueError(f"the saved state has {len(states)} layers of wrappers, this environment has {len(layers)}")
    for layer, state in zip(layers, states):
        _restore_layer(layer, _decode(state, arrays))


def _layers(env: Any) -> list[Any]:
    layers = [env]
    inner = env.unwrapped if hasattr(env, "unwrapped") else env
    while layers[-1] is not inner and hasattr(layers[-1], "env"):
        layers.append(layers[-1].env)
    return layers


def _is_wrapper(layer: Any) -> bool:
    from gymnasium import Wrapper

    return isinstance(layer, Wrapper)


def _own_state(layer: Any) -> dict[str, Any] | None:
    if _is_wrapper(layer) and type(layer).__module__.startswith("gymnasium.") and type(layer).__name__ in _KNOWN:
        return {"elapsed": getattr(layer, "_elapsed_steps", None)}
    # A wrapper passes attributes on: only its own methods count.
    if not all(callable(getattr(type(layer), name, None)) for name in ("get_state", "set_state")):
        return None
    generator = getattr(layer, "_np_random", None)
    return {
        "state": layer.get_state(),
        "generator": None if generator is None else generator.bit_generator.state,
    }


def _restore_layer(layer: Any, state: dict[str, Any]) -> None:
    if "elapsed" in state:
        if state["elapsed"] is not None:
            layer._elapsed_steps = state["elapsed"]
        return
    layer.set_state(state["state"])
    if state["generator"] is not None:
        if getattr(layer, "_np_random", None) is None:
            from gymnasium.utils import seeding

            layer._np_random, _ = seeding.np_random(0)
        layer._np_random.bit_generator.state = state["generator"]


def _encode(value: Any, arrays: list[np.ndarray[Any, Any]]) -> Any:
    if value is None or isinstance(value, (bool, str)) or type(value) in (int, float):
        return value
    if isinstance(value, (np.ndarray, np.generic)) and value.dtype.str[1:] in _DTYPES:
        arrays.append(np.ascontiguousarray(value).reshape(-1))
        return {"$array": len(arrays) - 1, "shape": list(value.shape), "scalar": isinstance(value, np.generic)}
    if isinstance(value, bytes):
        arrays.append(np.frombuffer(value, dtype=np.uint8))
        return {"$bytes": len(arrays) - 1}
    if isinstance(value, (list, tuple)):
        items = [_encode(item, arrays) for item in value]
        return items if isinstance(value, list) else {"$tuple": items}
    if isinstance(value, dict) and all(isinstance(key, str) for key in value):
        return {"$dict": {key: _encode(item, arrays) for key, item in value.items()}}
    raise TypeError(
        f"get_state returned {type(value).__qualname__}, expected plain values, NumPy arrays, bytes, lists, tuples and dicts "
        f"with string keys"
    )


def _decode(value: Any, arrays: list[np.ndarray[Any, Any]]) -> Any:
    if isinstance(value, list):
        return [_decode(item, arrays) for item in value]
    if not isinstance(value, dict):
        return value
    if "$array" in value:
        array = arrays[value["$array"]].reshape(value["shape"])
        return array[()] if value["scalar"] else array
    if "$bytes" in value:
        return arrays[value["$bytes"]].tobytes()
    if "$tuple" in value:
        return tuple(_decode(value["$tuple"], arrays))
    return {key: _decode(item, arrays) for key, item in value["$dict"].items()}
