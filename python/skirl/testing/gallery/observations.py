"""Exhibits: observations that their space does not allow."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np

from skirl.testing.gallery.entry import exhibit
from skirl.testing.gallery.sound import Counters, Pair, Rooms, Step, Walk


@exhibit("observation_shape", "(3,)", "(2,)")
class WrongShape(Walk):
    """The observation has three elements where two are declared."""

    def observe(self) -> Any:
        return np.zeros(3, np.float32)


@exhibit("observation_shape", "(1, 2)", "(2,)")
class BatchAxis(Walk):
    """The observation has an axis for a batch."""

    def observe(self) -> Any:
        return super().observe()[None]


@exhibit("observation_shape", "()", "(2,)")
class ScalarObservation(Walk):
    """The observation is a single number in an array without axes; libraries repeat it silently."""

    def observe(self) -> Any:
        return np.array(0.5, np.float32)


@exhibit("observation_shape", "(0,)", "step()")
class EmptyAtTheEnd(Walk):
    """The last observation of an episode is empty."""

    def step(self, action: Any) -> Step:
        observation, *rest = super().step(action)
        return (np.zeros(0, np.float32) if rest[1] or rest[2] else observation), *rest


@exhibit("observation_dtype", "float64", "float32", severity="warning")
class Float64Observation(Walk):
    """The observation is float64 in a space of float32, and both bounds are infinite."""

    def __init__(self) -> None:
        super().__init__()
        self.observation_space = gym.spaces.Box(-np.inf, np.inf, (2,), np.float32)

    def observe(self) -> Any:
        return np.array([self.place / 5, self.elapsed / 40])


@exhibit("observation_dtype", "float32", "uint8")
class FractionsInAnImage(Walk):
    """The observation holds fractions; its space holds bytes."""

    def __init__(self) -> None:
        super().__init__()
        self.observation_space = gym.spaces.Box(0, 255, (2,), np.uint8)

    def observe(self) -> Any:
        return np.abs(super().observe())


@exhibit("observation_dtype", "complex64")
class ComplexObservation(Walk):
    """The observation is complex: the result of a Fourier transform."""

    def observe(self) -> Any:
        return np.fft.fft(super().observe())


@exhibit("observation_type", "NumPy array", "list", "converts", severity="warning")
class ListObservation(Walk):
    """The observation is a Python list."""

    def observe(self) -> Any:
        return [self.place / 5, self.elapsed / 40]


@exhibit("observation_type", "NumPy array", "NoneType", "step()")
class NothingAtTheEnd(Walk):
    """The observation is None when the episode has ended."""

    def step(self, action: Any) -> Step:
        observation, *rest = super().step(action)
        return (None if rest[1] or rest[2] else observation), *rest


@exhibit("observation_type", "NumPy array", "torch.Tensor", "CPU", severity="warning", needs=("torch",))
class TensorObservation(Walk):
    """The observation is a tensor of torch."""

    def observe(self) -> Any:
        import torch

        return torch.from_numpy(super().observe())


@exhibit("observation_bounds", "-1.0 to 1.0", "bounds")
class OutOfBounds(Walk):
    """The observation leaves the bounds that its space declares."""

    def observe(self) -> Any:
        return np.array([self.place, self.elapsed / 40], np.float32)


@exhibit("observation_not_finite", "observation[1]", "nan", "division by zero")
class NanObservation(Walk):
    """The observation holds NaN now and then."""

    def observe(self) -> Any:
        observation = super().observe()
        if self.elapsed == 3:
            observation[1] = np.nan
        return observation


@exhibit("observation_not_finite", "inf")
class InfiniteObservation(Walk):
    """The observation holds infinity, and so do the bounds of its space."""

    def __init__(self) -> None:
        super().__init__()
        self.observation_space = gym.spaces.Box(-np.inf, np.inf, (2,), np.float32)

    def observe(self) -> Any:
        return np.array([self.place, np.inf if self.elapsed == 2 else 0], np.float32)


@exhibit("observation_not_finite", "1e+300", "float32")
class TooLargeForFloat32(Walk):
    """The observation is a float64 that float32 cannot hold."""

    def __init__(self) -> None:
        super().__init__()
        self.observation_space = gym.spaces.Box(-np.inf, np.inf, (2,), np.float32)

    def observe(self) -> Any:
        return np.array([self.place / 5, 1e300])


@exhibit("observation_keys", "missing", "'time'")
class MissingKey(Rooms):
    """One of the observation's keys is missing."""

    def observe(self) -> Any:
        return {"place": self.place + 5}


@exhibit("observation_keys", "extra", "'lives'")
class ExtraKey(Rooms):
    """The observation has a key that its space does not have."""

    def observe(self) -> Any:
        return {**super().observe(), "lives": 3}


@exhibit("observation_shape", "observation['time']", "(2,)", "(1,)")
class WrongInnerShape(Rooms):
    """A part of the observation has the wrong shape."""

    def observe(self) -> Any:
        return {"place": self.place + 5, "time": np.zeros(2, np.float32)}


@exhibit("observation_type", "dict", "ndarray")
class ArrayForADict(Rooms):
    """The observation is an array; its space is a Dict."""

    def observe(self) -> Any:
        return np.zeros(2, np.float32)


@exhibit("observation_length", "2 elements", "length 3")
class TupleTooLong(Pair):
    """The observation is a tuple with one element too many."""

    def observe(self) -> Any:
        return *super().observe(), 0


@exhibit("observation_bounds", "observation['place']", "0 to 10")
class PlaceNotCounted(Rooms):
    """A Discrete part of the observation runs below 0."""

    def observe(self) -> Any:
        return {**super().observe(), "place": self.place}


@exhibit("observation_type", "observation['place']", "whole number", "float")
class FractionForDiscrete(Rooms):
    """A Discrete part of the observation is a float."""

    def observe(self) -> Any:
        return {**super().observe(), "place": self.place / 5}


@exhibit("observation_bounds", "observation[1]", "0 to 20")
class CounterRunsOver(Counters):
    """A MultiDiscrete observation counts further than its space."""

    def observe(self) -> Any:
        return np.array([self.place + 5, 3 * self.elapsed])


@exhibit("observation_reused", "same array", "copy()", severity="warning")
class OneBuffer(Walk):
    """Every observation is the same array, overwritten in each step."""

    def __init__(self) -> None:
        super().__init__()
        self.buffer = np.zeros(2, np.float32)

    def observe(self) -> Any:
        self.buffer[:] = super().observe()
        return self.buffer
