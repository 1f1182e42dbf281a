"""Callbacks that watch episodes, in processes of their own: the same metrics as in one process."""

from __future__ import annotations

import gc
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import worker_runs as runs
from skirl.callbacks import SkirlCallback
from skirl.errors import CallbackError, EnvError
from worker_runs import Corridor, build

pytestmark = pytest.mark.usefixtures("no_runners_of_other_tests")


class Watch(SkirlCallback):
    """Measures with all that there is."""

    def __init__(self) -> None:
        self.results = 0

    def on_environment_created(self, *, env: Any, env_index: int, env_context: Any, metrics_logger: Any, **kwargs: Any) -> None:
        metrics_logger.log_value("made", env_index, reduce="sum")
        env.unwrapped.made_in = os.getpid()

    def on_episode_created(self, *, episode: Any, **kwargs: Any) -> None:
        episode.user_data["created_at"] = episode.runner_step

    def on_episode_start(self, *, episode: Any, env: Any, env_index: int, **kwargs: Any) -> None:
        episode.user_data["path"] = [float(episode.get_observations(-1)[0])]
        # The environment itself.
        assert env.envs[env_index].unwrapped.made_in == os.getpid()

    def on_episode_step(self, *, episode: Any, metrics_logger: Any, **kwargs: Any) -> None:
        episode.user_data["path"].append(float(episode.get_observations(-1)[0]))
        # The order counts: an exponential moving average of one number for all environments.
        metrics_logger.log_value("position", episode.user_data["path"][-1])
        metrics_logger.log_value(("spread", "of", "three"), episode.get_rewards(-1), window=np.int64(3), reduce="max")
        metrics_logger.log_value("steps", 1, reduce="lifetime_sum")

    def on_episode_end(self, *, episode: Any, metrics_logger: Any, env_runner: Any, **kwargs: Any) -> None:
        path = episode.user_data["path"]
        assert len(path) == len(episode) + 1
        episode.custom_metrics["furthest"] = max(path)
        episode.custom_metrics["last_reward"] = episode.get_rewards(-1)
        episode.custom_metrics["seed"] = env_runner.config.seed
        metrics_logger.log_value("lengths", len(episode), reduce="percentiles", percentiles=[50, 90])

    def on_sample_end(self, *, samples: Any, metrics_logger: Any, **kwargs: Any) -> None:
        samples["rewards"] = samples["rewards"] * 0.5
        metrics_logger.log_value("sampled_in", os.getpid(), reduce="item")

    def on_postprocess_trajectory(self, *, postprocessed_batch: Any, **kwargs: Any) -> None:
        postprocessed_batch["rewards"] = postprocessed_batch["rewards"] + 1.0

    def on_train_result(self, *, result: Any, **kwargs: Any) -> None:
        self.results += 1
        result["results"] = self.results


#: What `Watch` logs; the rest of `env_runners` has clocks in it.
LOGGED = ("custom_metrics", "made", "position", "spread", "steps", "lengths", "sampled_in", "episode_return_mean")
EVALUATED = {
    "evaluation_interval": 1,
    "evaluation_duration": 6,
    "evaluation_config": {"explore": True},
}


def watched(runners: int, envs: int, evaluation: int = 0, callbacks: Any = Watch, **sections: Any) -> Any:
    number = {"evaluation_num_env_runners": evaluation} if evaluation else {"evaluation_num_envs": 2}
    sections = {"callbacks": {"callbacks_class": callbacks}, "evaluation": {**EVALUATED, **number}, **sections}
    return build(Corridor, runners, envs, {"length": 4}, **sections)


def logged(result: dict[str, Any]) -> dict[str, Any]:
    return {name: result["env_runners"][name] for name in LOGGED if name in result["env_runners"]}


@pytest.mark.parametrize(("runners", "envs"), [(1, 4), (2, 2), (4, 1)])
def test_the_same_metrics_as_in_the_process(runners: int, envs: int, tmp_path: Path) -> None:
    here = watched(0, 4)
    # As many environments of evaluation: two runners of one, or two of one.
    there = watched(runners, envs, 2 // envs if envs < 3 else 0)
    for iteration in range(3):
        mine, theirs = here.train(), there.train()
        assert len(runs.workers()) >= runners
        assert logged(mine) == logged(theirs)
        assert set(logged(mine)) == set(LOGGED) - ({"made"} if iteration else set())
        assert logged(mine["evaluation"]) == logged(theirs["evaluation"])
        assert logged(mine["evaluation"])["custom_metrics"]["furthest_max"] == 4.0
        assert theirs["results"] == iteration + 1
    assert runs.weights(here, tmp_path / "here") == runs.weights(there, tmp_path / "there")


def test_plain_functions_and_instances_travel() -> None:
    class Counting(SkirlCallback):
        def __init__(self, start: int) -> None:
            self.count = start

        def on_episode_end(self, *, episode: Any, **kwargs: Any) -> None:
            # Stays in the process of its environments.
            self.count += 1
            episode.custom_metrics["count"] = self.count

        def on_train_result(self, *, result: Any, **kwargs: Any) -> None:
            result["count_here"] = self.count

    def end(episode: Any, env_runner: Any) -> None:
        episode.custom_metrics["worker"] = env_runner.worker_index

    given = {"callbacks_class": Counting(100), "on_episode_end": end}
    algorithm = build(Corridor, 2, 1, {"length": 4}, callbacks=given)
    result = algorithm.train()
    metrics = result["env_runners"]["custom_metrics"]
    assert (metrics["worker_min"], metrics["worker_max"]) == (1.0, 2.0)
    assert metrics["count_min"] == 101.0 and result["count_here"] == 100


def test_a_resumed_run_goes_on_with_its_episodes(tmp_path: Path) -> None:
    whole, cut = watched(2, 2), watched(2, 2)
    whole.train(), cut.train()
    cut.save_to_path(tmp_path / "cut")
    expected = logged(whole.train())
    for runners, envs in ((2, 2), (0, 4)):
        resumed = watched(runners, envs)
        resumed.restore_from_path(tmp_path / "cut")
        found = logged(resumed.train())
        assert found == expected, runners
        resumed.stop()
    # Once more in the same algorithm, which has gone on meanwhile.
    cut.train()
    cut.restore_from_path(tmp_path / "cut")
    assert logged(cut.train()) == expected
    # From one process to many.
    here = watched(0, 4)
    here.train()
    here.save_to_path(tmp_path / "here")
    resumed = watched(2, 2)
    resumed.restore_from_path(tmp_path / "here")
    found = logged(resumed.train())
    assert found == expected


def test_a_killed_runner_of_evaluation_logs_once(tmp_path: Path) -> None:
    class Killed(Corridor):
        def __init__(self, mark: str = "") -> None:
            super().__init__()
            self.mark, self.steps = mark, 0

        def step(self, action: Any) -> Any:
            self.steps += 1
            if self.mark and self.steps == 70 and not os.path.exists(self.mark):
                Path(self.mark).touch()
                os.kill(os.getpid(), 9)
            return super().step(action)

    fatal = {"explore": True, "env_config": {"mark": str(tmp_path / "mark")}}
    options = {**EVALUATED, "evaluation_duration": 40, "evaluation_num_env_runners": 1}
    sections = {"callbacks": {"callbacks_class": Watch}}
    whole = build(Killed, 0, 2, evaluation=options, **sections)
    broken = build(Killed, 0, 2, evaluation={**options, "evaluation_config": fatal}, **sections)
    mine, theirs = whole.train()["evaluation"], broken.train()["evaluation"]
    assert (mine["num_remote_worker_restarts"], theirs["num_remote_worker_restarts"]) == (0, 1)
    assert logged(mine) == logged(theirs)


@pytest.mark.parametrize("hook", ["on_environment_created", "on_episode_start", "on_episode_step"])
def test_a_hook_that_raises_ends_the_run_at_once(hook: str) -> None:
    def broken(**kwargs: Any) -> None:
        raise ValueError("my own bug")

    with pytest.raises(CallbackError, match=rf"(?s)'functions' failed in {hook} \(.*environment 0.*in broken.*my own bug"):
        build(Corridor, 2, 1, callbacks={hook: broken}).train()
    gc.collect()


def test_what_is_elsewhere_says_so() -> None:
    def asks(env_runner: Any, rl_module: Any) -> None:
        rl_module.forward_inference({})

    with pytest.raises(CallbackError, match="cannot be reached from a hook in an environment runner's process"):
        build(Corridor, 2, 1, {"length": 4}, callbacks={"on_episode_end": asks}).train()


def test_trajectories_with_their_episodes_keep_the_run_in_the_process() -> None:
    seen = []

    def looks(postprocessed_batch: Any, episode: Any) -> None:
        seen.append(episode.id_)

    algorithm = build(Corridor, 2, 1, callbacks={"on_postprocess_trajectory": looks})
    algorithm.train()
    assert seen and runs.workers() == []


def test_callbacks_that_cannot_be_sent_are_an_error() -> None:
    lock = __import__("threading").Lock()

    def holds(episode: Any) -> None:
        lock.acquire()

    with pytest.raises(EnvError, match="could not be sent to the environment runners.*the callbacks cannot be pickled.*lock"):
        build(Corridor, 1, 1, callbacks={"on_episode_end": holds})


def test_environments_and_hooks_are_told_the_same_context() -> None:
    class Placed(Corridor):
        def __init__(self, config: Any) -> None:
            super().__init__()
            self.told = config

    def compares(env: Any, env_index: int, env_context: Any, metrics_logger: Any) -> None:
        assert env_context is env.unwrapped.told
        metrics_logger.log_value("place", 100 * env_context.worker_index + 10 * env_context.vector_index + env_index, reduce="max")

    algorithm = build(Placed, 2, 2, callbacks={"on_environment_created": compares})
    # The second environment of the second worker, the fourth of the run.
    assert algorithm.train()["env_runners"]["place"] == 213


def test_a_script_whose_callbacks_are_its_own(tmp_path: Path) -> None:
    text = """
import worker_runs
class Mine:
    def on_episode_end(self, *, episode, **kwargs):
        episode.custom_metrics["mine"] = 3.0
algorithm = worker_runs.build(worker_runs.Corridor, 2, 1, {"length": 4}, callbacks={"callbacks_class": Mine})
print(algorithm.train()["env_runners"]["custom_metrics"]["mine_mean"], len(worker_runs.workers()), flush=True)
"""
    ran = runs.script(text, tmp_path)
    out, err = ran.communicate(timeout=60)
    assert out == "3.0 2\n", err


def test_the_group_tells_its_processes() -> None:
    algorithm = build(Corridor, 2, 3)
    group = algorithm.env_runner_group
    assert (group.num_remote_env_runners(), group.num_healthy_remote_env_runners()) == (2, 2)
    assert (group.num_healthy_env_runners(), group.num_remote_env_runner_restarts()) == (3, 0)
    assert [len(each) for each in group.foreach_env(lambda env: 1)] == [3, 3]
    os.kill(runs.workers()[0], 9)
    algorithm.train()
    assert (group.num_healthy_remote_env_runners(), group.num_remote_env_runner_restarts()) == (2, 1)
    algorithm.stop()
    here = build(Corridor, 0, 3).env_runner_group
    assert (here.num_remote_env_runners(), here.num_healthy_env_runners()) == (0, 1)
    assert [len(each) for each in here.foreach_env(lambda env: 1)] == [3]


def test_dropped_steps_are_counted_for_the_whole_run(tmp_path: Path) -> None:
    faults = {"counter_file": str(tmp_path / "faults"), "kill_at": 20, "only_worker": 2}
    algorithm = build("skirl.testing:FaultyEnv", 2, 2, faults)
    algorithm.train()
    dropped = algorithm.train()["env_runners"]["num_env_steps_dropped_lifetime"]
    algorithm.save_to_path(tmp_path / "saved")
    algorithm.restore_from_path(tmp_path / "saved")
    assert dropped > 0 and algorithm.train()["env_runners"]["num_env_steps_dropped_lifetime"] == dropped
    algorithm.stop()
    resumed = build("skirl.testing:FaultyEnv", 2, 2, faults)
    resumed.restore_from_path(tmp_path / "saved")
    assert resumed.train()["env_runners"]["num_env_steps_dropped_lifetime"] == dropped


def test_the_context_is_the_one_that_the_environment_was_made_with() -> None:
    class Context(SkirlCallback):
        def on_environment_created(self, *, env_context: Any, env_index: int, metrics_logger: Any, **kwargs: Any) -> None:
            found = (env_context["length"], env_context.worker_index, env_context.num_workers, env_context.remote)
            metrics_logger.log_value(("found", str(env_index)), found == (4, 1 + env_index // 2, 2, True), reduce="item")
            metrics_logger.log_value(("index", str(env_index)), env_context.vector_index, reduce="item")

    result = build(Corridor, 2, 2, {"length": 4}, callbacks={"callbacks_class": Context}).train()["env_runners"]
    assert result["found"] == {str(env): 1.0 for env in range(4)}
    assert result["index"] == {"0": 0.0, "1": 1.0, "2": 0.0, "3": 1.0}
