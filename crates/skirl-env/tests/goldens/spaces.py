"""Prints Gymnasium's spaces, values and their flattened form, for tests/spaces.rs: python spaces.py > spaces.json.

Needs gymnasium and NumPy. `leaves` holds each value depth first, one flat list for each primitive part.
"""

import json

import numpy as np
from gymnasium import spaces

SPACES = [
    spaces.Discrete(5),
    spaces.Discrete(3, start=-2),
    spaces.MultiDiscrete([2, 3, 4]),
    spaces.MultiDiscrete(np.array([[2, 3], [4, 1]]), start=np.array([[1, 0], [-3, 5]])),
    spaces.MultiBinary(4),
    spaces.MultiBinary([2, 3]),
    spaces.Box(-1.0, 1.0, (3,), np.float32),
    spaces.Box(np.array([[-1.0, -np.inf], [0.0, -5.0]], np.float32), np.array([[1.0, np.inf], [np.inf, 5.0]], np.float32)),
    spaces.Box(0, 255, (2, 2, 3), np.uint8),
    spaces.Box(-1e9, 1e9, (2,), np.float64),
    spaces.Box(-5, 5, (3,), np.int16),
    spaces.Dict({"zeta": spaces.Discrete(3), "alpha": spaces.Box(0.0, 1.0, (2,), np.float32), "mid": spaces.MultiBinary(2)}),
    spaces.Tuple((spaces.Discrete(2), spaces.Dict({"b": spaces.MultiDiscrete([2, 2]), "a": spaces.Box(-1, 1, (1,), np.float32)}))),
]


def describe(space):
    if isinstance(space, spaces.Discrete):
        return {"type": "Discrete", "n": int(space.n), "start": int(space.start)}
    if isinstance(space, spaces.MultiDiscrete):
        return {
            "type": "MultiDiscrete",
            "nvec": space.nvec.flatten().tolist(),
            "start": space.start.flatten().tolist(),
            "shape": list(space.shape),
        }
    if isinstance(space, spaces.MultiBinary):
        return {"type": "MultiBinary", "shape": list(space.shape)}
    if isinstance(space, spaces.Box):
        return {
            "type": "Box",
            "shape": list(space.shape),
            "dtype": str(space.dtype),
            "low": bounds(space.low),
            "high": bounds(space.high),
        }
    if isinstance(space, spaces.Dict):
        return {"type": "Dict", "spaces": {key: describe(part) for key, part in space.spaces.items()}}
    return {"type": "Tuple", "spaces": [describe(part) for part in space.spaces]}


def bounds(values):
    names = {np.inf: "inf", -np.inf: "-inf"}
    return [names.get(value, value) for value in values.flatten().tolist()]


def leaves(space, value):
    if isinstance(space, spaces.Dict):
        return [leaf for key, part in space.spaces.items() for leaf in leaves(part, value[key])]
    if isinstance(space, spaces.Tuple):
        return [leaf for part, inner in zip(space.spaces, value) for leaf in leaves(part, inner)]
    return [np.asarray(value).flatten().tolist()]


def golden(space):
    space.seed(7)
    values = [space.sample() for _ in range(3)]
    return {
        "space": describe(space),
        "flat_width": spaces.flatdim(space),
        "values": [leaves(space, value) for value in values],
        "flat": [np.asarray(spaces.flatten(space, value), dtype=np.float32).tolist() for value in values],
    }


print(json.dumps([golden(space) for space in SPACES]))
