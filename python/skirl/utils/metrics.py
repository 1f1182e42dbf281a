"""The keys of results under RLlib's constants: `result[ENV_RUNNER_RESULTS][EPISODE_RETURN_MEAN]`.

Here are those whose keys results of skirl have; what they mean is in docs/results.md. A metric without data is absent from a
result, for example all of episodes before the first has ended.
"""

from typing import Final

# Sections.
ENV_RUNNER_RESULTS: Final = "env_runners"
EVALUATION_RESULTS: Final = "evaluation"
LEARNER_RESULTS: Final = "learners"
TIMERS: Final = "timers"
#: Under `LEARNER_RESULTS`, beside the ids of the modules.
ALL_MODULES: Final = "__all_modules__"

# Episodes.
EPISODE_RETURN_MEAN: Final = "episode_return_mean"
EPISODE_RETURN_MIN: Final = "episode_return_min"
EPISODE_RETURN_MAX: Final = "episode_return_max"
EPISODE_LEN_MEAN: Final = "episode_len_mean"
EPISODE_LEN_MIN: Final = "episode_len_min"
EPISODE_LEN_MAX: Final = "episode_len_max"
NUM_EPISODES: Final = "num_episodes"
NUM_EPISODES_LIFETIME: Final = "num_episodes_lifetime"

# Counts.
NUM_ENV_STEPS_SAMPLED: Final = "num_env_steps_sampled"
NUM_ENV_STEPS_SAMPLED_LIFETIME: Final = "num_env_steps_sampled_lifetime"
NUM_AGENT_STEPS_SAMPLED: Final = "num_agent_steps_sampled"
NUM_AGENT_STEPS_SAMPLED_LIFETIME: Final = "num_agent_steps_sampled_lifetime"
NUM_MODULE_STEPS_SAMPLED: Final = "num_module_steps_sampled"
NUM_MODULE_STEPS_TRAINED: Final = "num_module_steps_trained"
NUM_MODULE_STEPS_TRAINED_LIFETIME: Final = "num_module_steps_trained_lifetime"
NUM_TRAINING_STEP_CALLS_PER_ITERATION: Final = "num_training_step_calls_per_iteration"

# Under `TIMERS`.
TRAINING_ITERATION_TIMER: Final = "training_iteration"
ENV_RUNNER_SAMPLING_TIMER: Final = "env_runner_sampling_timer"
LEARNER_UPDATE_TIMER: Final = "learner_update_timer"
SYNCH_WORKER_WEIGHTS_TIMER: Final = "synch_weights"
