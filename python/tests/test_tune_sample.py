"""Samplers against closed forms; how grids and samples become trials."""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from skirl import tune
from skirl.errors import ConfigError
from skirl.tune.sample import Domain
from skirl.tune.variants import expand
from tune_fakes import FakeConfig

DRAWS = 4000


def drawn(domain: Domain) -> list[Any]:
    rng = np.random.default_rng(7)
    return [domain.sample(rng=rng) for _ in range(DRAWS)]


def assert_distributed(values: list[float], cdf: Callable[[float], float]) -> None:
    """Kolmogorov and Smirnov: the largest distance of the two distribution functions; 2/√n has a chance of 0.0007."""
    expected = np.array([cdf(x) for x in sorted(values)])
    seen = np.arange(1, len(values) + 1) / len(values)
    assert np.max(np.abs(expected - seen)) < 2 / math.sqrt(len(values))


def assert_frequencies(values: list[Any], expected: dict[Any, float]) -> None:
    """Each frequency within 4.5 standard deviations, and nothing else drawn."""
    counts = Counter(values)
    assert set(counts) <= set(expected)
    for value, p in expected.items():
        assert abs(counts[value] - DRAWS * p) < 4.5 * math.sqrt(DRAWS * p * (1 - p)), value


def normal_cdf(mean: float, sd: float) -> Callable[[float], float]:
    return lambda x: 0.5 * (1 + math.erf((x - mean) / (sd * math.sqrt(2))))


def test_continuous_samplers() -> None:
    assert_distributed(drawn(tune.uniform(-2, 3)), lambda x: (x + 2) / 5)
    assert_distributed(drawn(tune.loguniform(1e-5, 1e-1)), lambda x: math.log(x / 1e-5) / math.log(1e4))
    assert_distributed(drawn(tune.randn(5, 2)), normal_cdf(5, 2))


def test_whole_number_samplers() -> None:
    assert_frequencies(drawn(tune.randint(3, 8)), {k: 1 / 5 for k in range(3, 8)})
    assert_frequencies(drawn(tune.qrandint(2, 10, 2)), {k: 1 / 5 for k in (2, 4, 6, 8, 10)})
    assert_frequencies(drawn(tune.qrandint(2, 5)), {k: 1 / 3 for k in (2, 3, 4)})
    log = math.log(16)
    assert_frequencies(drawn(tune.lograndint(1, 16)), {k: math.log((k + 1) / k) / log for k in range(1, 16)})
    total = math.log(5)
    assert_frequencies(drawn(tune.qlograndint(10, 40, 10)), {10 * k: math.log((k + 1) / k) / total for k in range(1, 5)})
    assert all(type(value) is int for value in drawn(tune.randint(0, 3)))


def test_quantized_samplers() -> None:
    p = {0.0: 1 / 8, 0.5: 1 / 4, 1.0: 1 / 4, 1.5: 1 / 4, 2.0: 1 / 8}
    assert_frequencies(drawn(tune.quniform(0, 2, 0.5)), p)
    cdf = normal_cdf(0, 1)
    counts = Counter(drawn(tune.qrandn(0, 1, 0.5)))
    for k in range(-4, 5):
        x = 0.5 * k
        p_x = cdf(x + 0.25) - cdf(x - 0.25)
        assert abs(counts[x] - DRAWS * p_x) < 4.5 * math.sqrt(DRAWS * p_x)
    log = math.log(4)
    edges = {1.0: math.log(1.5), 2.0: math.log(2.5 / 1.5), 3.0: math.log(3.5 / 2.5), 4.0: math.log(4 / 3.5)}
    assert_frequencies(drawn(tune.qloguniform(1, 4, 1)), {k: v / log for k, v in edges.items()})


def test_choice_keeps_types() -> None:
    values = drawn(tune.choice([1, "a", None]))
    assert_frequencies(values, {1: 1 / 3, "a": 1 / 3, None: 1 / 3})
    assert {type(v) for v in values} == {int, str, type(None)}


@pytest.mark.parametrize(
    "make",
    [
        lambda: tune.uniform(2, 1),
        lambda: tune.loguniform(0, 1),
        lambda: tune.quniform(0, 1, 0.3),
        lambda: tune.randint(3, 3),
        lambda: tune.qrandint(1, 3, 5),
        lambda: tune.choice([]),
        lambda: tune.grid_search([]),
        lambda: tune.uniform(0, math.inf),
        lambda: tune.randn(0, -1),
        lambda: tune.sample_from(lambda a, b: 0),
    ],
)
def test_impossible_ranges_are_refused(make: Callable[[], Any]) -> None:
    with pytest.raises(ConfigError):
        make()


def params(space: Any, num_samples: int = 1, seed: int = 0) -> list[Any]:
    return [variant.params for variant in expand(space, num_samples, seed)]


def test_grids_expand_in_rays_order() -> None:
    # As generate_variants of Ray 2.60 gives them: sorted by name, the first fastest.
    space = {"z": tune.grid_search([1, 2]), "b": tune.grid_search(["x", "y"]), "a": {"q": tune.grid_search([7, 8])}}
    seen = [(p["a"]["q"], p["b"], p["z"]) for p in params(space)]
    assert seen == [(q, b, z) for z in (1, 2) for b in ("x", "y") for q in (7, 8)]


def test_grids_inside_of_grids_and_lists() -> None:
    nested = {
        "n": tune.grid_search([{"k": tune.grid_search([1, 2])}, {"k": 9}]),
        "m": tune.grid_search([0, 5]),
    }
    seen = [(p["n"]["k"], p["m"]) for p in params(nested)]
    assert seen == [(1, 0), (2, 0), (1, 5), (2, 5), (9, 0), (9, 5)]
    assert [p["l"] for p in params({"l": [tune.grid_search([7, 8]), 3]})] == [[7, 3], [8, 3]]
    assert [p["t"] for p in params({"t": (0, tune.grid_search([7, 8]))})] == [(0, 7), (0, 8)]


def test_samples_repeat_the_grid_with_new_draws() -> None:
    seen = params({"g": tune.grid_search([1, 2]), "u": tune.uniform(0, 1)}, num_samples=3)
    assert [p["g"] for p in seen] == [1, 2] * 3
    assert len({p["u"] for p in seen}) == 6


def test_a_trial_does_not_depend_on_how_many_there_are() -> None:
    space = {"u": tune.uniform(0, 1), "i": tune.randint(0, 1000)}
    assert params(space, 5, seed=3)[:2] == params(space, 2, seed=3)
    assert params(space, 2, seed=3) != params(space, 2, seed=4)
    seeds = [variant.seed for variant in expand(space, 5, 3)]
    assert len(set(seeds)) == 5
    assert seeds[:2] == [variant.seed for variant in expand(space, 2, 3)]


def test_sample_from_sees_other_values_in_any_order() -> None:
    space = {
        "c": tune.sample_from(lambda config: config["b"] + 1),
        "b": tune.sample_from(lambda spec: spec.config.a * 10),
        "a": tune.randint(1, 5),
        "d": tune.sample_from(lambda: 4),
    }
    (p,) = params(space)
    assert (p["b"], p["c"], p["d"]) == (p["a"] * 10, p["a"] * 10 + 1, 4)
    circle = {"a": tune.sample_from(lambda c: c["b"]), "b": tune.sample_from(lambda c: c["a"])}
    with pytest.raises(ConfigError, match="wait for each other"):
        params(circle)


def test_sample_from_finds_seeded_global_generators() -> None:
    space = {"a": tune.sample_from(lambda: (random.random(), np.random.rand()))}
    before = random.getstate()
    assert params(space, 2, seed=1) == params(space, 2, seed=1)
    assert len(set(params(space, 2, seed=1)[i]["a"] for i in range(2))) == 2
    assert random.getstate() == before


def test_configuration_objects_keep_what_is_not_searched() -> None:
    config = FakeConfig(lr=tune.grid_search([0.1, 0.2]), gamma=tune.sample_from(lambda c: c["lr"] / 2), clip=[1, 2])
    variants = list(expand(config, 1, 0))
    assert [v.params.options["training"] for v in variants] == [
        {"lr": lr, "gamma": lr / 2, "sleep": 0.0, "clip": [1, 2]} for lr in (0.1, 0.2)
    ]
    assert variants[0].varied == {"training/lr": 0.1, "training/gamma": 0.05}
    assert isinstance(config.to_dict()["lr"], dict), "the space itself is not changed"


def test_what_is_not_there_is_said() -> None:
    with pytest.raises(AttributeError, match="has no 'grid_serch'; did you mean 'grid_search'"):
        tune.grid_serch  # noqa: B018
    with pytest.raises(AttributeError, match="has no 'with_resources'; it is the local part of Ray Tune"):
        tune.with_resources  # noqa: B018
