"""Numbers that hooks log, reduced once for each result."""

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from skirl.errors import SkirlError

#: How values become one number.
REDUCTIONS = ("ema", "mean", "min", "max", "sum", "lifetime_sum", "item", "percentiles")
DEFAULT_EMA_COEFF = 0.01
DEFAULT_PERCENTILES = (0, 50, 75, 90, 95, 99, 100)

Key = str | tuple[str, ...]


class _Stats:
    """The values of one key."""

    def __init__(self, reduce: str, window: int | None, ema_coeff: float, percentiles: Sequence[float]) -> None:
        self.reduce, self.window, self.ema_coeff, self.percentiles = reduce, window, ema_coeff, tuple(percentiles)
        #: Values since the last result, or the last `window` ones; of a running reduction the one value so far.
        self.values: list[float] = []

    def push(self, value: float) -> None:
        if self.window is None and self.reduce == "ema" and self.values:
            self.values = [(1.0 - self.ema_coeff) * self.values[0] + self.ema_coeff * value]
        elif self.reduce == "lifetime_sum" and self.values:
            self.values = [self.values[0] + value]
        elif self.reduce == "item":
            self.values = [value]
        else:
            self.values.append(value)
            if self.window is not None:
                del self.values[: -self.window]

    def peek(self) -> Any:
        if not self.values:
            return None
        if self.reduce in ("ema", "mean"):
            return math.fsum(self.values) / len(self.values)
        if self.reduce == "percentiles":
            ordered = sorted(self.values)
            return {f"p{rank:g}": _percentile(ordered, rank) for rank in self.percentiles}
        return {"min": min, "max": max}.get(self.reduce, math.fsum)(self.values)

    def after_result(self) -> None:
        """What has no window and does not run on begins anew."""
        if self.window is None and self.reduce not in ("ema", "lifetime_sum", "item"):
            self.values = []


class MetricsLogger:
    """Logs numbers by key; every result has one number for each, under `env_runners` where hooks of episodes log.

    `reduce` says how: `"ema"` (the default), an exponential moving average with `ema_coeff` (0.01), or the mean over `window`
    values where that is given; `"mean"`, `"min"`, `"max"`, `"sum"` and `"percentiles"`, over the last `window` values, or over
    those since the last result; `"lifetime_sum"`; `"item"`, the last value.
    """

    def __init__(self) -> None:
        self._stats: dict[tuple[str, ...], _Stats] = {}
        self._started: dict[tuple[str, ...], float] = {}

    def log_value(
        self,
        key: Key,
        value: Any,
        *,
        reduce: str | None = None,
        window: int | None = None,
        ema_coeff: float | None = None,
        percentiles: Sequence[float] | bool = False,
        clear_on_reduce: bool = False,
    ) -> None:
        """Logs one number (or what `float` takes).

        Args:
            key: Its name; a tuple of names is a path, and so is a name with slashes.
            value: The number.
            reduce: How values become one, see the class.
            window: How many of the last values count.
            ema_coeff: Weight of a new value, in (0, 1].
            percentiles: Which ones, in [0, 100], with `reduce="percentiles"`.
            clear_on_reduce: Values count for one result only: the mean where no `reduce` is given.
        """
        path = path_of(key)
        stats = self._stats.get(path)
        if stats is None:
            how = reduce or ("percentiles" if percentiles else "mean" if clear_on_reduce else "ema")
            if how not in REDUCTIONS:
                raise SkirlError(f"reduce={reduce!r}: expected one of {', '.join(REDUCTIONS)}")
            if window is not None and window < 1:
                raise SkirlError(f"window={window}: expected a number of values of at least 1")
            ranks = percentiles if isinstance(percentiles, Sequence) else DEFAULT_PERCENTILES
            coeff = DEFAULT_EMA_COEFF if ema_coeff is None else ema_coeff
            stats = self._stats[path] = _Stats(how, window, coeff, ranks)
        number = float(value)
        if math.isnan(number):
            return
        stats.push(number)

    def log_dict(self, stats_dict: Mapping[str, Any], *, key: Key | None = None, **how: Any) -> None:
        """Logs every number of a nested dict."""
        prefix = () if key is None else path_of(key)
        for name, value in stats_dict.items():
            if isinstance(value, Mapping):
                self.log_dict(value, key=(*prefix, str(name)), **how)
            else:
                self.log_value((*prefix, str(name)), value, **how)

    @contextmanager
    def log_time(self, key: Key, **how: Any) -> Iterator[None]:
        """Logs the seconds that a `with` block takes."""
        started = time.perf_counter()
        yield
        self.log_value(key, time.perf_counter() - started, **how)

    def peek(self, key: Key, default: Any = None) -> Any:
        """The number of a key as a result would have it now."""
        stats = self._stats.get(path_of(key))
        value = stats.peek() if stats is not None else None
        return default if value is None else value

    def delete(self, *key: str) -> None:
        """Forgets a key."""
        self._stats.pop(path_of(key), None)

    def reset(self) -> None:
        """Forgets everything."""
        self._stats.clear()

    def is_empty(self) -> bool:
        """Whether nothing was logged."""
        return not self._stats

    def after_rollout(self) -> None:
        """What counts for one result only begins anew."""
        for stats in self._stats.values():
            stats.after_result()

    def report_into(self, result: dict[str, Any]) -> None:
        """Puts one number for each key into a nested dict, and begins the next result."""
        for path, stats in self._stats.items():
            value = stats.peek()
            if value is not None:
                *outer, last = path
                place = result
                for name in outer:
                    place = place.setdefault(name, {})
                place[last] = value
            stats.after_result()

    def get_state(self) -> dict[str, Any]:
        """Everything as plain values."""
        return {
            "/".join(path): [stats.reduce, stats.window, stats.ema_coeff, list(stats.percentiles), list(stats.values)]
            for path, stats in self._stats.items()
        }

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Takes back what `get_state` gave."""
        self._stats = {}
        for key, (reduce, window, ema_coeff, percentiles, values) in state.items():
            stats = self._stats[path_of(key)] = _Stats(reduce, window, ema_coeff, percentiles)
            stats.values = list(values)


def path_of(key: Key | Sequence[str]) -> tuple[str, ...]:
    """The names of a key, one for each level of the result."""
    parts = (key,) if isinstance(key, str) else tuple(key)
    return tuple(name for part in parts for name in str(part).split("/"))


def _percentile(ordered: list[float], rank: float) -> float:
    """Linear interpolation between neighbours."""
    place = (len(ordered) - 1) * rank / 100.0
    low = math.floor(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)
