"""Prints what NumPy draws for some seeds, for tests/seeding.rs: python seeding.py > seeding.json. Needs NumPy."""

import json

import numpy as np

SEEDS = [0, 1, 42, 123456789, 2**32 - 1, 2**32, 2**63 + 12345, 2**64 - 1]


def draws(seed):
    rng = np.random.default_rng(seed)
    return {
        "seed": str(seed),
        "sequence": [str(word) for word in np.random.SeedSequence(seed).generate_state(4, np.uint64)],
        "spawned": [
            str(word) for word in np.random.SeedSequence(seed, spawn_key=(3, 7)).generate_state(4, np.uint64)
        ],
        "random": rng.random(5).tolist(),
        "uniform": rng.uniform([-0.05, 1.0, -np.pi], [0.05, 1e6, np.pi]).tolist(),
        "small": [int(rng.integers(0, 5)) for _ in range(7)],
        "one": [int(rng.integers(3, 4)) for _ in range(2)],
        "between": rng.random(),
        "bytes": [int(rng.integers(0, 2**32)) for _ in range(3)],
        "large": [str(rng.integers(-(2**40), 2**41)) for _ in range(4)],
        "all": [str(rng.integers(-(2**63), 2**63 - 1, endpoint=True)) for _ in range(3)],
        "odd": [int(rng.integers(0, 3_000_000_001)) for _ in range(20)],
        "last": rng.random(),
    }


print(json.dumps([draws(seed) for seed in SEEDS], indent=1))
