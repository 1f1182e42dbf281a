"""Named state that all environments of a run share, with callbacks and your own loop: counters, parameters, sums.

An environment takes its handle when it is made: `EnvContext.shared`, or `skirl.shared.counter(name)` in its constructor. Your
loop has `algorithm.shared_state`. An environment reads what was there when the training step began, and what it changes is made
after that step, in the order of the environments; so a run gives the same numbers every time. Your loop reads and writes at once.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from skirl.errors import SkirlError

if TYPE_CHECKING:
    import numpy as np

    from skirl._native import NativeSharedState

#: The handle of the environment that is being made.
_current: ContextVar[SharedState | None] = ContextVar("skirl_shared", default=None)


class SharedState:
    """A handle to what a run shares. Two things of one name and one kind are the same thing."""

    _native: NativeSharedState | None
    _is_remote: bool

    @classmethod
    def _over(cls, native: NativeSharedState | None, is_remote: bool = False) -> SharedState:
        shared = object.__new__(cls)
        shared._native, shared._is_remote = native, is_remote
        return shared

    def __init__(self) -> None:
        raise SkirlError("SharedState belongs to a run: take EnvContext.shared in an environment, algorithm.shared_state elsewhere")

    def counter(self, name: str) -> Counter:
        """The counter of this name; it starts at 0."""
        return Counter(self, name)

    def parameter_store(self, name: str) -> ParameterStore:
        """The parameter store of this name; it starts empty, with version 0."""
        return ParameterStore(self, name)

    def all_reduce(self, name: str) -> AllReduce:
        """The sum of this name over all who contribute in a training step. Nobody waits for anybody."""
        return AllReduce(self, name)

    def _reach(self) -> NativeSharedState:
        if self._is_remote:
            raise SkirlError(
                "shared state is used in an environment of a worker process, expected one of the process that trains: what "
                "environments share does not travel between processes yet. Set num_env_runners to 0"
            )
        if self._native is None:
            raise SkirlError("shared state is used in an environment that belongs to no run: nobody shares it with anybody")
        return self._native

    def __reduce__(self) -> Any:
        raise SkirlError("a handle to shared state cannot be pickled: take EnvContext.shared where the environment is made")


class _Shared:
    """One named thing."""

    def __init__(self, shared: SharedState, name: str) -> None:
        self._native, self.name = shared._reach(), name

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r})"


class Counter(_Shared):
    """An integer that everybody adds to."""

    def add(self, amount: int = 1) -> None:
        """Adds `amount`, which may be negative."""
        self._native.add(self.name, amount)

    def inc(self, amount: int = 1) -> None:
        """Another name of `add`."""
        self._native.add(self.name, amount)

    def get(self) -> int:
        """The sum so far, as this handle sees it."""
        return self._native.count(self.name)


class ParameterStore(_Shared):
    """Named arrays and plain values, with a version that counts the changes."""

    def put(self, values: Mapping[str, Any] | None = None, **named: Any) -> None:
        """Replaces these parameters and keeps the others.

        Args:
            values: Arrays of floats (kept in float32) or plain values, by name.
            **named: The same.
        """
        self._native.put(self.name, {**(values or {}), **named})

    def get(self) -> dict[str, Any]:
        """All parameters, as this handle sees them."""
        return self._read()[1]

    @property
    def version(self) -> int:
        """Number of changes so far."""
        return self._read()[0]

    def get_newer(self, known: int) -> tuple[int, dict[str, Any]] | None:
        """Version and parameters, or None if the version is still `known`."""
        return self._native.parameters(self.name, known)

    def _read(self) -> tuple[int, dict[str, Any]]:
        found = self._native.parameters(self.name)
        return (0, {}) if found is None else found


class AllReduce(_Shared):
    """A sum over all who contribute in a training step."""

    def contribute(self, values: Any) -> None:
        """Contributes numbers to this step's sum; all contributions of a step have the same length."""
        self._native.contribute(self.name, [float(value) for value in values])

    def get(self) -> tuple[int, np.ndarray[Any, Any]] | None:
        """Number of contributions and their sum, of the last step in which somebody contributed; None before that."""
        return self._native.reduced(self.name)

    def mean(self) -> np.ndarray[Any, Any] | None:
        """The mean over the contributions of the last step in which somebody contributed."""
        found = self.get()
        return None if found is None else found[1] / found[0]


@contextmanager
def making(shared: SharedState) -> Iterator[None]:
    """While an environment is made, `counter`, `parameter_store` and `all_reduce` of this module mean its handle."""
    token = _current.set(shared)
    try:
        yield
    finally:
        _current.reset(token)


def counter(name: str) -> Counter:
    """In the constructor of an environment: the counter of this name."""
    return _of_environment().counter(name)


def parameter_store(name: str) -> ParameterStore:
    """In the constructor of an environment: the parameter store of this name."""
    return _of_environment().parameter_store(name)


def all_reduce(name: str) -> AllReduce:
    """In the constructor of an environment: the sum of this name."""
    return _of_environment().all_reduce(name)


def _of_environment() -> SharedState:
    shared = _current.get()
    if shared is None:
        raise SkirlError(
            "skirl.shared is asked outside of the constructor of an environment: keep what you get there (self.steps = "
            "skirl.shared.counter('steps')); your own loop and callbacks use algorithm.shared_state"
        )
    return shared
