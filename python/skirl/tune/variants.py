"""From a search space to the configurations of trials: grids are combined, domains are drawn."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from skirl.errors import ConfigError

from .sample import Domain

Path = tuple[Any, ...]

# sample_from functions may wait for each other's values; more rounds than this are a circle.
_MAX_ROUNDS = 20


@dataclass(frozen=True)
class Variant:
    """One trial's configuration, and which of its values the search chose."""

    params: Any
    """The configuration: of the same type as the search space, without anything left to draw."""
    varied: dict[str, Any]
    """Chosen values by their path, for example `{"training/lr": 0.001}`."""
    seed: int
    """Derived from the experiment's seed and the trial's number; below 2^31."""


class _NotYetKnown(Exception):
    """A sample_from function asked for a value that is still to be drawn."""


class ConfigView(dict[str, Any]):
    """What sample_from functions see: values as items and as attributes; Ray's old `spec.config.lr` works as well."""

    def __getitem__(self, key: str) -> Any:
        return _known(super().__getitem__(key), key)

    def get(self, key: str, default: Any = None) -> Any:
        return self[key] if key in self else default

    def __getattr__(self, name: str) -> Any:
        if name in self:
            return self[name]
        if name == "config":
            return self
        raise AttributeError(f"no value called {name!r} in this configuration")


def _known(value: Any, key: str) -> Any:
    if _is_search(value):
        raise _NotYetKnown(key)
    return ConfigView(value) if isinstance(value, dict) and not isinstance(value, ConfigView) else value


def is_grid(value: Any) -> bool:
    """Whether this is what `grid_search` returns."""
    return isinstance(value, dict) and len(value) == 1 and isinstance(value.get("grid_search"), (list, tuple))


def _is_search(value: Any) -> bool:
    return isinstance(value, Domain) or is_grid(value)


def search_values(space: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Everything in nested dicts, lists and tuples that is to be drawn, in the order of the space."""
    if _is_search(space):
        yield path, space
    elif isinstance(space, Mapping):
        for key, value in space.items():
            yield from search_values(value, (*path, key))
    elif type(space) in (list, tuple):
        for index, value in enumerate(space):
            yield from search_values(value, (*path, index))


def _assign(node: Any, path: Path, value: Any) -> Any:
    """A copy with one value changed; what does not change is shared."""
    if not path:
        return value
    key = path[0]
    if isinstance(node, Mapping):
        return {**node, key: _assign(node[key], path[1:], value)}
    changed = list(node)
    changed[key] = _assign(node[key], path[1:], value)
    return type(node)(changed)


def _combinations(grids: list[tuple[Path, list[Any]]]) -> Iterator[list[Any]]:
    """Every combination, the first grid varying fastest."""
    if not grids:
        yield []
        return
    for rest in _combinations(grids[1:]):
        for value in grids[0][1]:
            yield [value, *rest]


class _Expansion:
    """One pass over a space; each trial draws from a stream of its own, so trial i does not depend on the others."""

    def __init__(self, seed: int, base: Mapping[str, Any] | None) -> None:
        self.seed = seed
        self.base = base
        self.count = 0

    def stream(self, depth: int) -> list[int]:
        return [self.seed, self.count, depth]

    def expand(self, space: Any, varied: dict[Path, Any], depth: int = 0) -> Iterator[tuple[Any, dict[Path, Any]]]:
        found = list(search_values(space))
        if not found:
            self.count += 1
            yield space, varied
            return
        grids = [(path, list(value["grid_search"])) for path, value in found if is_grid(value)]
        grids.sort(key=lambda grid: self.order(grid[0]))
        domains = [(path, value) for path, value in found if isinstance(value, Domain)]
        for values in _combinations(grids):
            chosen = {path: value for (path, _), value in zip(grids, values, strict=True)}
            combined = space
            for path, value in chosen.items():
                combined = _assign(combined, path, value)
            combined, drawn = self.draw(combined, domains, self.stream(depth))
            yield from self.expand(combined, {**varied, **chosen, **drawn}, depth + 1)

    def order(self, path: Path) -> list[tuple[bool, int, str]]:
        """As Ray orders grids: by name. An option of a configuration object counts by its own name, without its section."""
        first = path[0] if self.base is None else str(path[0]).rpartition(".")[2]
        parts = (first, *path[1:])
        return [(False, part, "") if isinstance(part, int) else (True, 0, str(part)) for part in parts]

    def draw(
        self, space: Any, domains: list[tuple[Path, Domain]], stream: list[int]
    ) -> tuple[Any, dict[Path, Any]]:
        drawn: dict[Path, Any] = {}
        waiting = domains
        rng = np.random.default_rng(np.random.SeedSequence(stream))
        with _global_generators(np.random.SeedSequence([*stream, 1])):
            for _ in range(_MAX_ROUNDS):
                still = []
                for path, domain in waiting:
                    try:
                        value = domain.draw(self.view(space), rng)
                    except _NotYetKnown:
                        still.append((path, domain))
                        continue
                    except Exception as error:
                        raise ConfigError(f"{name_of(path)}: drawing from {domain!r} failed: {error!r}") from error
                    space = _assign(space, path, value)
                    drawn[path] = value
                if not still:
                    return space, drawn
                waiting = still
        names = ", ".join(name_of(path) for path, _ in waiting)
        raise ConfigError(f"sample_from functions wait for each other's values: {names}; let one of them depend on no other")

    def view(self, space: Any) -> ConfigView:
        if self.base is None:
            return ConfigView(space) if isinstance(space, Mapping) else ConfigView()
        return ConfigView({**self.base, **{key.rpartition(".")[2]: value for key, value in space.items()}, **space})


@contextmanager
def _global_generators(seeds: np.random.SeedSequence) -> Iterator[None]:
    """sample_from functions use `random` and `numpy.random`: these are seeded for them, and put back afterwards."""
    python_state, numpy_state = random.getstate(), np.random.get_state()
    words = seeds.generate_state(2)
    random.seed(int(words[0]))
    np.random.seed(int(words[1]))
    try:
        yield
    finally:
        random.setstate(python_state)
        np.random.set_state(numpy_state)


def name_of(path: Path) -> str:
    """A path as text: keys joined by slashes."""
    return "/".join(str(key).replace(".", "/") for key in path)


def expand(param_space: Any, num_samples: int, seed: int) -> Iterator[Variant]:
    """The trials' configurations: for each sample all combinations of the grids, domains drawn anew for each trial.

    `param_space` is a nested dict, or a configuration object with `_search_space()` and `_with(path, value)`.
    """
    if isinstance(param_space, Mapping):
        space: dict[str, Any] = dict(param_space)
        expansion = _Expansion(seed, None)
    else:
        space = dict(param_space._search_space())
        expansion = _Expansion(seed, param_space.to_dict())
    for _ in range(num_samples):
        for values, varied in expansion.expand(space, {}):
            params = values if isinstance(param_space, Mapping) else _put(param_space, values)
            trial_seed = np.random.SeedSequence([seed, expansion.count - 1]).generate_state(1)[0] % 2**31
            yield Variant(params, {name_of(path): value for path, value in varied.items()}, int(trial_seed))


def _put(config: Any, values: Mapping[str, Any]) -> Any:
    config = config.copy()
    for path, value in values.items():
        config = config._with(path, value)
    return config
