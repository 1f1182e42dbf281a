"""Values that a search draws: `tune.uniform(0.9, 1.0)` and the like, with Ray Tune's names and meanings."""

from __future__ import annotations

import inspect
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from skirl.errors import ConfigError


class Domain(ABC):
    """A value that is drawn anew for each trial."""

    # By this mark configurations know that a value is still to be drawn.
    _skirl_search = True

    def sample(self, config: Mapping[str, Any] | None = None, rng: np.random.Generator | None = None) -> Any:
        """Draws one value; `config` is what is known of the trial's other values."""
        return self.draw({} if config is None else config, np.random.default_rng() if rng is None else rng)

    @abstractmethod
    def draw(self, config: Mapping[str, Any], rng: np.random.Generator) -> Any:
        """Draws one value from `rng`."""

    def __repr__(self) -> str:
        inside = ", ".join(f"{name}={value!r}" for name, value in vars(self).items())
        return f"{type(self).__name__}({inside})"


class Choice(Domain):
    """One of several values, each as likely as the others."""

    def __init__(self, categories: Sequence[Any]) -> None:
        self.categories = list(categories)
        if not self.categories:
            raise ConfigError("tune.choice: expected at least one value to choose from, found an empty list")

    def draw(self, config: Mapping[str, Any], rng: np.random.Generator) -> Any:
        return self.categories[int(rng.integers(len(self.categories)))]


class Float(Domain):
    """A number between two bounds, uniform or uniform in its logarithm; with `q` a multiple of `q`, both bounds included."""

    def __init__(self, lower: float, upper: float, *, log: bool = False, q: float | None = None) -> None:
        _check_bounds(lower, upper, log)
        if q is not None:
            _check_divides(q, lower, upper)
        self.lower, self.upper, self.log, self.q = float(lower), float(upper), log, q

    def draw(self, config: Mapping[str, Any], rng: np.random.Generator) -> float:
        if self.log:
            value = math.exp(rng.uniform(math.log(self.lower), math.log(self.upper)))
            # The exponential of a logarithm may leave the bounds by a last bit.
            value = min(max(value, self.lower), self.upper)
        else:
            value = float(rng.uniform(self.lower, self.upper))
        return _rounded(value, self.q)


class Normal(Domain):
    """A number from a normal distribution; with `q` rounded to a multiple of `q`."""

    def __init__(self, mean: float, sd: float, *, q: float | None = None) -> None:
        if not (math.isfinite(mean) and math.isfinite(sd) and sd >= 0):
            raise ConfigError(f"tune.randn: expected a finite mean and a deviation of at least 0, found {mean}, {sd}")
        if q is not None:
            _check_quantum(q)
        self.mean, self.sd, self.q = float(mean), float(sd), q

    def draw(self, config: Mapping[str, Any], rng: np.random.Generator) -> float:
        return _rounded(float(rng.normal(self.mean, self.sd)), self.q)


class Integer(Domain):
    """A whole number, uniform or uniform in its logarithm. The upper bound is excluded, but with `q` > 1 it is included."""

    def __init__(self, lower: int, upper: int, *, log: bool = False, q: int = 1) -> None:
        _check_quantum(q)
        _check_bounds(lower, upper, log)
        self.lower, self.upper, self.log, self.q = int(lower), int(upper), log, int(q)
        first, end = self._steps()
        if first >= end:
            raise ConfigError(
                f"expected bounds with a multiple of {q} between them, found {lower} and {upper}; "
                "the upper bound is excluded unless q > 1"
            )

    def _steps(self) -> tuple[int, int]:
        """The range of multiples of `q`, its end excluded."""
        first = -(-self.lower // self.q)
        last = self.upper // self.q
        return first, last if self.q == 1 else last + 1

    def draw(self, config: Mapping[str, Any], rng: np.random.Generator) -> int:
        first, end = self._steps()
        if not self.log:
            return int(rng.integers(first, end)) * self.q
        drawn = math.floor(math.exp(rng.uniform(math.log(first), math.log(end))))
        return min(max(drawn, first), end - 1) * self.q


class Function(Domain):
    """What a function returns: of nothing, or of the trial's configuration so far."""

    def __init__(self, func: Callable[..., Any]) -> None:
        if not callable(func):
            raise ConfigError(f"tune.sample_from: expected a function, found {func!r}")
        self.func = func
        self.takes_config = _takes_argument(func)

    def draw(self, config: Mapping[str, Any], rng: np.random.Generator) -> Any:
        return self.func(config) if self.takes_config else self.func()


def grid_search(values: Sequence[Any]) -> dict[str, list[Any]]:
    """Each of these values once for every sample. Several grids are combined; the first by name varies fastest."""
    try:
        values = list(values)
    except TypeError:
        raise ConfigError(f"tune.grid_search: expected a list of values, found {values!r}; write [{values!r}] for one") from None
    if not values:
        raise ConfigError("tune.grid_search: expected at least one value, found an empty list")
    return {"grid_search": values}


def choice(categories: Sequence[Any]) -> Choice:
    """One of `categories`."""
    return Choice(categories)


def uniform(lower: float, upper: float) -> Float:
    """A number between `lower` and `upper`."""
    return Float(lower, upper)


def quniform(lower: float, upper: float, q: float) -> Float:
    """A multiple of `q` between `lower` and `upper`, both included; the two bounds are half as likely as the rest."""
    return Float(lower, upper, q=q)


def loguniform(lower: float, upper: float) -> Float:
    """A number between `lower` > 0 and `upper` whose logarithm is uniform."""
    return Float(lower, upper, log=True)


def qloguniform(lower: float, upper: float, q: float) -> Float:
    """As `loguniform`, rounded to a multiple of `q`; both bounds included."""
    return Float(lower, upper, log=True, q=q)


def randint(lower: int, upper: int) -> Integer:
    """A whole number from `lower` to `upper` - 1."""
    return Integer(lower, upper)


def qrandint(lower: int, upper: int, q: int = 1) -> Integer:
    """A multiple of `q` from `lower` to `upper`, each as likely; `upper` is included unless `q` is 1."""
    return Integer(lower, upper, q=q)


def lograndint(lower: int, upper: int) -> Integer:
    """A whole number from `lower` > 0 to `upper` - 1 whose logarithm is uniform."""
    return Integer(lower, upper, log=True)


def qlograndint(lower: int, upper: int, q: int) -> Integer:
    """As `lograndint` over the multiples of `q`; `upper` is included unless `q` is 1."""
    return Integer(lower, upper, log=True, q=q)


def randn(mean: float = 0.0, sd: float = 1.0) -> Normal:
    """A number from the normal distribution with this mean and standard deviation."""
    return Normal(mean, sd)


def qrandn(mean: float, sd: float, q: float) -> Normal:
    """As `randn`, rounded to a multiple of `q`."""
    return Normal(mean, sd, q=q)


def sample_from(func: Callable[..., Any]) -> Function:
    """What `func()` or `func(config)` returns, where `config["lr"]` is the value that this trial has drawn for `lr`."""
    return Function(func)


def _takes_argument(func: Callable[..., Any]) -> bool:
    try:
        signature = inspect.signature(func)
    except (TypeError, ValueError):
        return True
    choices: tuple[tuple[Any, ...], ...] = (({},), ())
    for arguments in choices:
        try:
            signature.bind(*arguments)
        except TypeError:
            continue
        return bool(arguments)
    raise ConfigError(f"tune.sample_from: expected a function of nothing or of the configuration, found {func!r}{signature}")


def _rounded(value: float, q: float | None) -> float:
    return value if q is None else round(value / q) * q


def _check_bounds(lower: float, upper: float, log: bool) -> None:
    if not (math.isfinite(lower) and math.isfinite(upper) and lower <= upper):
        raise ConfigError(f"expected finite bounds with lower <= upper, found {lower} and {upper}")
    if log and lower <= 0:
        raise ConfigError(
            f"expected a lower bound above 0 for a logarithmic range, found {lower}; give the value itself, not its logarithm"
        )


def _check_quantum(q: float) -> None:
    if not (math.isfinite(q) and q > 0):
        raise ConfigError(f"expected q above 0, found {q}")


def _check_divides(q: float, *bounds: float) -> None:
    _check_quantum(q)
    for bound in bounds:
        if not math.isclose(bound / q, round(bound / q), abs_tol=1e-9):
            raise ConfigError(f"expected bounds that are multiples of q = {q}, found {bound}")
