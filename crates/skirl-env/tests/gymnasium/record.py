"""Records Gymnasium's classic control environments, or checks the stored recordings against the installed Gymnasium.

    python record.py            writes recordings/*.json
    python record.py --check    runs Gymnasium again and compares; exit code 1 and a list of differences if any

A recording holds, for each seed, one hash over everything that whole episodes gave (observations as f32 bits, rewards
as f64 bits, flags, and the f64 state at each end), and a few steps in full so that a difference can be read.
`tests/gymnasium.rs` plays the same actions through the native environments and compares. Needs the packages of
requirements.txt.
"""

import argparse
import json
import multiprocessing
import struct
import sys
from pathlib import Path

import gymnasium
import numpy as np

MASK = (1 << 64) - 1
FOLDER = Path(__file__).parent / "recordings"
SHOWN_SEEDS = 3
SHOWN_STEPS = 12
# Seeds below this play a second episode after a reset without a seed.
SECOND_EPISODES = 200

# The state behind the observation, `float64` where the observation is `float32`, enters the hash at every episode's end.
STATES = {
    "CartPole": ["x", "x_dot", "theta", "theta_dot"],
    "Pendulum": ["theta", "theta_dot"],
    "MountainCar": ["position", "velocity"],
    "MountainCarContinuous": ["position", "velocity"],
    "Acrobot": ["theta1", "theta2", "theta1_dot", "theta2_dot"],
}

# file name: (environment, keyword arguments, seeds, continuous half range or None, actions, indices of the policy's feature)
CASES = {
    "CartPole-v0": ("CartPole-v0", {}, 1000, None, 2, [2, 3]),
    "CartPole-v1": ("CartPole-v1", {}, 1000, None, 2, [2, 3]),
    "CartPole-v1-sutton": ("CartPole-v1", {"sutton_barto_reward": True}, 100, None, 2, [2, 3]),
    "Pendulum-v1": ("Pendulum-v1", {}, 1000, 2.5, None, [2]),
    "Pendulum-v1-g": ("Pendulum-v1", {"g": 9.81}, 100, 2.5, None, [2]),
    "MountainCar-v0": ("MountainCar-v0", {}, 1000, None, 3, [1]),
    "MountainCar-v0-goal": ("MountainCar-v0", {"goal_velocity": 0.03}, 100, None, 3, [1]),
    "MountainCarContinuous-v0": ("MountainCarContinuous-v0", {}, 1000, 1.25, None, [1]),
    "MountainCarContinuous-v0-goal": ("MountainCarContinuous-v0", {"goal_velocity": 0.02}, 100, 1.25, None, [1]),
    "Acrobot-v1": ("Acrobot-v1", {}, 1000, None, 3, [5]),
}


class SplitMix64:
    """Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014."""

    def __init__(self, seed):
        self.state = seed

    def next(self):
        self.state = (self.state + 0x9E3779B97F4A7C15) & MASK
        z = self.state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
        return z ^ (z >> 31)


def fnv(state, words):
    """FNV-1a over 64-bit words."""
    for word in words:
        state = ((state ^ word) * 0x100000001B3) & MASK
    return state


def float_bits(value):
    return struct.unpack("<Q", struct.pack("<d", float(value)))[0]


def choose(rng, seed, observation, half_range, num_actions, feature):
    """Even seeds act at random; odd ones mostly follow the sign of a feature, which reaches the goals."""
    draw = rng.next()
    value = observation[feature[0]]
    for index in feature[1:]:
        value = value + observation[index]
    follow = seed % 2 == 1 and draw % 8 < 7
    if num_actions is not None:
        if follow:
            return (num_actions - 1) if value >= 0 else 0
        return (draw >> 8) % num_actions
    unit = (draw >> 40) / 16777216.0
    if follow:
        unit = 0.5 + 0.5 * unit if value >= 0 else 0.5 - 0.5 * unit
    return np.array([(2.0 * unit - 1.0) * half_range], dtype=np.float32)


def observation_words(observation):
    assert observation.dtype == np.float32, observation.dtype
    return observation.view(np.uint32).tolist()


def record(name):
    env_name, kwargs, seeds, half_range, num_actions, feature = CASES[name]
    env = gymnasium.make(env_name, **kwargs)
    hashes, shown, terminals = [], [], 0
    for seed in range(seeds):
        rng = SplitMix64(seed)
        state = 0xCBF29CE484222325
        steps = []
        for episode in range(2 if seed < SECOND_EPISODES else 1):
            observation, _ = env.reset(seed=seed if episode == 0 else None)
            state = fnv(state, observation_words(observation))
            if episode == 0:
                steps.append({"observation": observation.tolist()})
            ended = False
            while not ended:
                action = choose(rng, seed, observation, half_range, num_actions, feature)
                observation, reward, terminated, truncated, _ = env.step(action)
                flags = int(terminated) | int(truncated) << 1
                state = fnv(state, observation_words(observation) + [float_bits(reward), flags])
                ended = terminated or truncated
                terminals += terminated
                if len(steps) <= SHOWN_STEPS:
                    steps.append({
                        "action": float(action if num_actions is not None else action[0]),
                        "observation": observation.tolist(),
                        "reward": float(reward),
                    })
            state = fnv(state, [float_bits(value) for value in env.unwrapped.state])
        hashes.append(f"{state:016x}")
        if seed < SHOWN_SEEDS:
            shown.append(steps)
    return {
        "env": env_name,
        "kwargs": kwargs,
        "half_range": half_range,
        "num_actions": num_actions,
        "feature": feature,
        "state": STATES[env_name.split("-")[0]],
        "second_episodes": SECOND_EPISODES,
        "gymnasium": gymnasium.__version__,
        "numpy": np.__version__,
        "terminated_episodes": int(terminals),
        "shown": shown,
        "hashes": hashes,
    }


def write(name, recording):
    lines = [f" {json.dumps(key)}: {json.dumps(value)}" for key, value in recording.items()]
    (FOLDER / f"{name}.json").write_text("{\n" + ",\n".join(lines) + "\n}\n")


def differences(name, recording):
    stored = json.loads((FOLDER / f"{name}.json").read_text())
    bad = [seed for seed, pair in enumerate(zip(stored["hashes"], recording["hashes"])) if pair[0] != pair[1]]
    if len(stored["hashes"]) != len(recording["hashes"]):
        bad.append("number of seeds")
    if bad:
        found = f"gymnasium {recording['gymnasium']}, numpy {recording['numpy']}"
        wanted = f"gymnasium {stored['gymnasium']}, numpy {stored['numpy']}"
        return f"{name}: {len(bad)} seeds differ between {found} and the recording of {wanted}, first: {bad[:5]}"
    return None


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="compare instead of writing")
    arguments = parser.parse_args()
    FOLDER.mkdir(exist_ok=True)
    # The slowest first, so that the cores end together.
    names = sorted(CASES, key=lambda name: not name.startswith("Acrobot"))
    failed = False
    with multiprocessing.Pool() as pool:
        for name, recording in zip(names, pool.imap(record, names)):
            if not arguments.check:
                write(name, recording)
                continue
            difference = differences(name, recording)
            failed |= difference is not None
            print(difference or f"{name}: {len(recording['hashes'])} seeds equal", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
