"""`skirl.check_env` finds every fault of the gallery, says so in words, and finds nothing where nothing is."""

from __future__ import annotations

import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from skirl.check import Report, check_env, main
from skirl.env.registry import register_env, unregister_env
from skirl.errors import EnvError
from skirl.testing import FaultyEnv, PlantedFault
from skirl.testing.gallery import EXHIBITS, SOUND, Exhibit
from skirl.testing.gallery.observations import OneBuffer, WrongShape
from skirl.testing.gallery.sound import Drift, Rooms, Walk

# Exhibits in which one fault shows in two ways.
ALSO = {
    "ResetNeedsSeed": {"reset_raises"},
    "ResetWithoutReturn": {"observation_type"},
    "TooLargeForFloat32": {"observation_dtype"},
    "SpaceGrows": {"observation_shape"},
    "LowAboveHigh": {"observation_bounds"},
    "BoundsTurnedRound": {"observation_bounds"},
    # Whom nobody takes to have ended walks on.
    "FlagInWords": {"observation_bounds"},
}
CLASSIC = sorted(
    name
    for name, spec in gym.registry.items()
    if str(spec.entry_point).startswith(("gymnasium.envs.classic_control", "gymnasium.envs.toy_text"))
)


def check(env: Any, **options: Any) -> Report:
    """Short, without printing, raising, and looking at memory, unless that is asked for."""
    options = {"verbose": False, "raise_on_error": False, "memory": False, "steps": 240, **options}
    return check_env(env, **options)


def codes(report: Report) -> set[str]:
    return {finding.code for finding in report.findings}


# The gallery.


@pytest.mark.parametrize("exhibit", EXHIBITS, ids=lambda exhibit: exhibit.name)
def test_finds_every_fault_of_the_gallery(exhibit: Exhibit, capfd: pytest.CaptureFixture[str]) -> None:
    for package in exhibit.needs:
        pytest.importorskip(package)
    report = check(
        exhibit.make, steps=150, memory=exhibit.code == "memory_grows", call_seconds=0.5 if exhibit.code == "hangs" else 10
    )
    found = [finding for finding in report.findings if finding.code == exhibit.code]
    assert found, f"{exhibit.wrong}\n{report}"
    assert found[0].severity == exhibit.severity
    for word in exhibit.words:
        assert word in str(found[0])
    assert codes(report) - {exhibit.code} == ALSO.get(exhibit.name, set()), report
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("exhibit", [each for each in EXHIBITS if each.severity != "error"], ids=lambda exhibit: exhibit.name)
def test_what_is_no_error_trains(exhibit: Exhibit) -> None:
    for package in exhibit.needs:
        pytest.importorskip(package)
    from skirl import PPOConfig

    config = PPOConfig().environment(exhibit.make).env_runners(num_env_runners=0)
    config.training(train_batch_size=60, minibatch_size=60, num_epochs=1).rl_module(fcnet_hiddens=[4])
    if agents := getattr(exhibit.make, "possible_agents", None) is not None and exhibit.make().possible_agents:
        config.multi_agent(policies={str(agent) for agent in agents}, policy_mapping_fn=str)
    with config.build_algo() as algorithm:
        assert algorithm.train()["num_env_steps_sampled_lifetime"] == 60


def test_gallery_is_a_gallery() -> None:
    assert len(EXHIBITS) >= 30
    assert len({exhibit.name for exhibit in EXHIBITS}) == len(EXHIBITS)
    assert all(exhibit.wrong.endswith(".") and exhibit.words for exhibit in EXHIBITS)


@pytest.mark.parametrize("sound", SOUND, ids=lambda sound: sound.__name__)
def test_finds_nothing_in_a_sound_environment(sound: Any) -> None:
    report = check(sound, memory=True)
    assert report.findings == [] and report.complete, report


@pytest.mark.parametrize("name", CLASSIC)
def test_gymnasiums_own_environments_have_no_errors(name: str) -> None:
    report = check(name, steps=300, memory=True)
    assert report.errors == [] and report.complete, report
    # The slippery cliff has no time limit, and nobody reaches its goal by chance.
    assert codes(report) <= ({"never_ends"} if name == "CliffWalkingSlippery-v1" else set()), report


def test_faulty_env() -> None:
    assert check(FaultyEnv, steps=120).findings == []
    for options, code in [
        ({"raise_at": 40}, "step_raises"),
        ({"raise_at": 4, "in_reset": True}, "reset_raises"),
        ({"nan_obs_at": 40}, "observation_not_finite"),
        ({"nan_reward_at": 40}, "reward_not_finite"),
        ({"out_of_bounds_at": 40}, "observation_bounds"),
        ({"shape_at": 40}, "observation_shape"),
        ({"dtype_at": 40}, "observation_dtype"),
        ({"system_exit_at": 40}, "step_raises"),
        ({"reuses_buffer": True}, "observation_reused"),
        ({"init_fails": True}, "init_raises"),
        ({"close_fails": True}, "close_raises"),
    ]:
        assert code in codes(check(FaultyEnv, env_config=options, steps=120)), options


# What a report says.


def test_a_finding_points_at_the_line_of_the_user() -> None:
    report = check(WrongShape)
    source = Path(sys.modules[Walk.__module__].__file__ or "").read_text().splitlines()
    place, line = report.errors[0].where.line.rsplit(":", 1)
    assert place.endswith("sound.py") and "def reset" in source[int(line) - 1]


def test_a_finding_points_at_the_line_that_raised() -> None:
    class Broken(Walk):
        def move(self, action: Any) -> None:
            raise ValueError("no such place")  # here

    report = check(Broken)
    place, line = report.errors[0].where.line.removesuffix(" in move").rsplit(":", 1)
    assert place.endswith("test_check_env.py")
    assert Path(__file__).read_text().splitlines()[int(line) - 1].endswith("# here")
    assert isinstance(report.errors[0].cause, ValueError)
    assert "ValueError: no such place" in str(report.errors[0])


def test_errors_raise_all_together_and_keep_the_cause() -> None:
    class Broken(Walk):
        def reset(self) -> Any:  # type: ignore[override]
            return super().reset()

        def reward(self) -> Any:
            return None

        def arrived(self) -> Any:
            if self.elapsed > 5:
                raise RuntimeError("lost")
            return 0

    with pytest.raises(EnvError) as raised:
        check_env(Broken)
    for code in ("reset_signature", "reward_type", "flag_type", "step_raises"):
        assert f"[{code}]" in str(raised.value)
    assert "More rules wait" in str(raised.value)
    assert isinstance(raised.value.__cause__, RuntimeError)


def test_warnings_do_not_raise_and_are_printed(capsys: pytest.CaptureFixture[str]) -> None:
    report = check_env(OneBuffer)
    assert report.ok and report.warnings
    assert "[observation_reused]" in capsys.readouterr().out


def test_the_same_fault_is_one_finding() -> None:
    report = check(WrongShape)
    assert len(report.findings) == 1
    assert report.findings[0].count > 100
    assert "times" in str(report.findings[0])


def test_a_clean_report(capsys: pytest.CaptureFixture[str]) -> None:
    report = check_env("CartPole-v1")
    assert report.ok and report.num_steps > 1000 and report.num_episodes > 20
    assert "nothing wrong" in capsys.readouterr().out


def test_lines_fit_the_width() -> None:
    for width in (60, 110):
        text = check(WrongShape).text(width).splitlines()
        assert max(map(len, text[2:])) <= width


# What can be handed over.


def creator_with_config(config: Any) -> gym.Env[Any, Any]:
    return FaultyEnv(config)


class Keywords(FaultyEnv):
    def __init__(self, length: int = 10) -> None:
        super().__init__(episode_length=length)


@pytest.mark.parametrize(
    ("env", "config"),
    [
        (FaultyEnv, {"episode_length": 4}),
        (creator_with_config, {"episode_length": 4}),
        (Keywords, {"length": 4}),
        (lambda: FaultyEnv(episode_length=4), None),
        (lambda _: FaultyEnv(episode_length=4), None),
        ("skirl.testing:FaultyEnv", {"episode_length": 4}),
        (FaultyEnv(episode_length=4), None),
        ("gymnasium:CartPole-v1", {"render_mode": "rgb_array"}),
        ("gymnasium.envs.classic_control:CartPoleEnv", None),
    ],
)
def test_forms_of_an_environment(env: Any, config: Any) -> None:
    report = check(env, env_config=config, steps=100)
    assert report.ok and report.complete, report
    if "CartPole" not in str(env):
        assert report.num_episodes > 20


@pytest.mark.parametrize(
    ("env", "words"),
    [
        (5, "found a int"),
        ("native:CartPole-v1", "written in Rust"),
        ("no_such_module:Corridor", "module no_such_module"),
    ],
)
def test_what_is_no_environment(env: Any, words: str) -> None:
    with pytest.raises(EnvError, match=words):
        check_env(env)


def test_a_registered_name() -> None:
    register_env("planted", lambda context: FaultyEnv(context))
    try:
        assert codes(check("planted", env_config={"raise_at": 3})) == {"step_raises"}
    finally:
        unregister_env("planted")


def test_a_module_that_cannot_be_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "half_written.py").write_text("def (")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(EnvError, match="SyntaxError") as raised:
        check_env("half_written:Env")
    assert isinstance(raised.value.__cause__, SyntaxError)


def test_an_unknown_name_is_a_finding() -> None:
    report = check("CartPole-v9")
    assert codes(report) == {"init_raises"} and "v9" in str(report)


def test_an_instance_stays_open_and_its_copies_are_closed() -> None:
    closed: list[int] = []

    class Closing(Walk):
        def close(self) -> None:
            closed.append(id(self))

    env = Closing()
    check(env)
    assert len(closed) == 2 and id(env) not in closed


def test_an_instance_that_cannot_be_copied() -> None:
    class Single(Walk):
        def __deepcopy__(self, memo: Any) -> Any:
            raise TypeError("cannot copy a socket")

    report = check(Single())
    assert codes(report) == {"one_instance"} and report.ok


def test_gymnasiums_passive_checker_does_not_interfere() -> None:
    gym.register("Planted-v0", WrongShape)
    try:
        env = gym.make("Planted-v0")
        assert codes(check(env)) == {"observation_shape"}
        # It has not looked at anything in our place.
        assert not env.env.checked_step  # type: ignore[attr-defined]
    finally:
        del gym.registry["Planted-v0"]


def test_wrappers_are_looked_through() -> None:
    report = check(lambda: gym.wrappers.TimeLimit(WrongShape(), 7))
    assert codes(report) == {"observation_shape"}
    endless = check(lambda: gym.wrappers.TimeLimit(Endless(), 7))
    assert endless.findings == []
    assert codes(check(Endless)) == {"never_ends"}


class Endless(Walk):
    def step(self, action: Any) -> Any:
        observation, reward, _, _, info = super().step(action)
        self.elapsed %= 19
        return observation, reward, False, False, info


@pytest.mark.parametrize("kind", [gym.vector.VectorEnv, "AECEnv"])
def test_kinds_that_are_checked_elsewhere(kind: Any) -> None:
    if kind == "AECEnv":
        assert codes(check(type("AECEnv", (Walk,), {}))) == {"multi_agent"}
    else:
        assert codes(check(lambda: gym.make_vec("CartPole-v1", num_envs=2))) == {"vector_env"}


def test_the_old_gym() -> None:
    old = type("Env", (), {"__module__": "gym.core"})
    assert codes(check(type("Old", (Walk, old), {}))) == {"old_gym"}


# Spaces of every kind.


@pytest.mark.parametrize(
    "space",
    [
        gym.spaces.Box(-1, 1, (), np.float32),
        gym.spaces.Box(0, 255, (4, 4, 3), np.uint8),
        gym.spaces.Box(-np.inf, np.inf, (3,), np.float64),
        gym.spaces.Discrete(5, start=-2),
        gym.spaces.MultiBinary((2, 2)),
        gym.spaces.MultiDiscrete([3, 4], start=[1, 5]),
        gym.spaces.Dict({"a": gym.spaces.Tuple((gym.spaces.Discrete(2), gym.spaces.Box(0, 1, (2,))))}),
    ],
    ids=str,
)
def test_samples_of_a_space_belong_to_it(space: Any) -> None:
    class Sampling(Walk):
        def __init__(self) -> None:
            super().__init__()
            self.observation_space = space

        def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
            if seed is not None:
                space.seed(seed)
            return super().reset(seed=seed)

        def observe(self) -> Any:
            return space.sample()

    # The space, and so its generator, is one object for all instances.
    assert codes(check(Sampling, steps=60)) == {"shared_state"}


@pytest.mark.parametrize(
    "space",
    [gym.spaces.MultiDiscrete([3, 2]), gym.spaces.MultiBinary(3), gym.spaces.Box(-2, 2, (2, 2)), gym.spaces.Discrete(3, start=4)],
    ids=str,
)
def test_only_legal_actions_are_played(space: Any) -> None:
    class Strict(Walk):
        def __init__(self) -> None:
            super().__init__()
            self.action_space = space

        def move(self, action: Any) -> None:
            if not space.contains(action):
                raise ValueError(f"illegal: {action!r}")
            self.place += 1 if np.sum(action) > 2 else -1

    assert check(Strict, steps=60).findings == []


def test_a_space_that_draws_what_it_does_not_hold() -> None:
    class Odd(gym.spaces.Discrete):
        def sample(self, *_: Any, **__: Any) -> Any:
            return np.int64(self.n)

    env = Walk()
    env.action_space = Odd(2)
    assert codes(check(env)) == {"space_sample"}


def test_action_masks_are_kept_to() -> None:
    class Masked(Walk):
        def reset(self, **named: Any) -> Any:
            return super().reset(**named)[0], self.mask()

        def step(self, action: Any) -> Any:
            if not self.mask()["action_mask"][int(action)]:
                raise ValueError("masked")
            return *super().step(action)[:4], self.mask()

        def mask(self) -> Any:
            return {"action_mask": np.array([self.place > -4, self.place < 4], np.int8)}

    assert check(Masked).findings == []


def test_bounds_are_checked_in_the_precision_of_the_space() -> None:
    class Rounded(Walk):
        def observe(self) -> Any:
            return np.array([np.pi, 0])

        def __init__(self) -> None:
            super().__init__()
            self.observation_space = gym.spaces.Box(-np.pi, np.pi, (2,), np.float32)

    # float32's pi is above float64's by less than its last digit.
    assert codes(check(Rounded)) == {"observation_dtype"}


# It never hangs, crashes, or leaves traces.


@pytest.mark.parametrize("method", ["__init__", "reset", "step", "close"])
def test_a_call_that_hangs(method: str) -> None:
    def wait(*_: Any, **__: Any) -> Any:
        while True:
            time.sleep(0.01)

    slow = type("Slow", (Walk,), {method: wait})
    start = time.monotonic()
    report = check(slow, call_seconds=0.2)
    assert time.monotonic() - start < 5
    assert codes(report) == {"hangs"} and f"{method}()" in str(report)
    assert "test_check_env.py" in report.errors[0].where.line


def test_a_busy_loop_is_ended() -> None:
    counts: list[int] = []

    class Busy(Walk):
        def step(self, action: Any) -> Any:
            while True:
                counts.append(1)
                time.sleep(0)

    assert codes(check(Busy, call_seconds=0.2)) == {"hangs"}
    time.sleep(0.2)
    before = len(counts)
    time.sleep(0.1)
    assert len(counts) == before


def test_time_is_limited() -> None:
    start = time.monotonic()
    report = check(lambda: FaultyEnv(sleep=0.01), max_seconds=0.3)
    assert time.monotonic() - start < 3
    assert report.ok and not report.complete
    assert codes(report) == {"not_checked"} and "max_seconds" in str(report)


def test_ctrl_c() -> None:
    code = """
from skirl.check import check_env
from skirl.testing import FaultyEnv
print("ready", flush=True)
check_env(FaultyEnv, env_config={"hang_at": 5}, call_seconds=60)
"""
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None and process.stdout.readline() == "ready\n"
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=10)
    assert errors.rstrip().endswith("KeyboardInterrupt")


def test_on_the_callers_thread() -> None:
    import threading

    threads = set()

    class Asking(Walk):
        def step(self, action: Any) -> Any:
            threads.add(threading.current_thread())
            return super().step(action)

    check(Asking, call_seconds=None)
    assert threads == {threading.main_thread()}


def test_global_generators_are_left_as_they_were() -> None:
    random.seed(1)
    np.random.seed(1)
    expected = random.random(), np.random.random()
    random.seed(1)
    np.random.seed(1)
    check("CartPole-v1", steps=30)
    assert (random.random(), np.random.random()) == expected


JUNK: list[Any] = [
    None, 0, -1, 2.5, float("nan"), "text", b"bytes", [], {}, (), (1, 2), (1, 2, 3, 4, 5), [[1], [2, 3]], object(), int,
    np.zeros(0), np.zeros((2, 2)), np.array(None), np.array(["a"]), np.datetime64("2020"), {"a": 1}, {1: {2: 3}}, {1, 2},
    lambda: None, iter([]), Exception("x"), NotImplemented, range(3), np.ma.masked, 10**400,
]  # fmt: skip


class Junk(Rooms):
    """Returns anything in one place."""

    def __init__(self, place: str, junk: Any) -> None:
        super().__init__()
        self.junk_at, self.junk = place, junk
        if place in ("observation_space", "action_space", "metadata", "render_mode"):
            setattr(self, place, junk)

    def reset(self, **named: Any) -> Any:
        result = super().reset(**named)
        return self.junk if self.junk_at == "reset" else result

    def step(self, action: Any) -> Any:
        result = list(super().step(action))
        places = ("observation", "reward", "terminated", "truncated", "info")
        if self.junk_at in places:
            result[places.index(self.junk_at)] = self.junk
        return self.junk if self.junk_at == "step" else tuple(result)

    def observe(self) -> Any:
        part = self.junk_at.removeprefix("part ")
        return {**super().observe(), part: self.junk} if self.junk_at.startswith("part ") else super().observe()


@pytest.mark.parametrize(
    "place",
    ["reset", "step", "observation", "reward", "terminated", "truncated", "info", "observation_space", "action_space",
     "metadata", "render_mode", "part place", "part time"],
)  # fmt: skip
def test_anything_may_come_back(place: str) -> None:
    for index, junk in enumerate(JUNK):
        report = check(lambda: Junk(place, junk), steps=9)  # noqa: B023: called within the loop.
        assert not report.has("not_checked"), (index, report)
        str(report)


# The page about it.


def test_the_documentation_lists_every_code() -> None:
    root = Path(__file__).resolve().parents[2]
    page = root / "docs" / "check_env.md"
    if not page.exists():
        pytest.skip("the documentation is not installed")
    table = page.read_text().split("## What it looks for")[1].split("\n## ")[0]
    rows = [line.split("|") for line in table.splitlines() if line.startswith("| `")]
    documented = {row[1].strip(" `"): row[2].strip() for row in rows}
    for exhibit in EXHIBITS:
        assert exhibit.severity in documented[exhibit.code], exhibit.code
    source = "".join(file.read_text() for file in (root / "python" / "skirl" / "check").glob("*.py"))
    pattern = r"""(?:add|Problem|_report|_wrong_kind)\(\s*(?:case,\s*)?f?"([a-z_{}]+)","""
    written = set(re.findall(pattern, source))
    written = written - {"{method}_raises"} | {"reset_raises", "step_raises"}
    assert written == set(documented)


# The command.


def test_main(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["CartPole-v1", "--steps", "60"]) == 0
    assert "nothing wrong" in capsys.readouterr().out
    assert main(["skirl.testing:FaultyEnv", "--env-config", '{"nan_reward_at": 3}', "--steps", "60"]) == 1
    assert "[reward_not_finite]" in capsys.readouterr().out
    assert main(["no_such_module:Env"]) == 2
    assert "no_such_module" in capsys.readouterr().err


def test_as_a_module(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        "from skirl.testing.gallery.sound import Walk\n\n\nclass Mine(Walk):\n    def reward(self):\n        return 'much'\n"
    )
    source = str(Path(sys.modules["skirl.check"].__file__ or "").parents[2])
    process = subprocess.run(
        [sys.executable, "-m", "skirl.check", "mine:Mine", "--steps", "30"],
        cwd=tmp_path, env={"PYTHONPATH": source}, capture_output=True, text=True, timeout=30,
    )  # fmt: skip
    assert process.returncode == 1 and process.stderr == ""
    assert "mine:Mine (mine.py:4): 1 error." in process.stdout
    assert "reward_type" in process.stdout


def test_planted_fault_is_an_error_of_the_user() -> None:
    with pytest.raises(EnvError) as raised:
        check_env(FaultyEnv, env_config={"raise_at": 2})
    assert isinstance(raised.value.__cause__, PlantedFault)


def test_drift_is_sound_on_a_seed_of_its_own() -> None:
    assert check(Drift, seed=99).findings == []


def test_where_it_is_found() -> None:
    import skirl
    import skirl.env

    assert skirl.env.check_env is check_env and skirl.check_env is check_env
