"""Names of the columns of batches, and of what modules give."""

from typing import Final


class Columns:
    """The columns that batches of skirl have. RLlib's others (of recurrent networks, of offline data) are not here."""

    OBS: Final = "obs"
    NEXT_OBS: Final = "new_obs"
    ACTIONS: Final = "actions"
    REWARDS: Final = "rewards"
    TERMINATEDS: Final = "terminateds"
    TRUNCATEDS: Final = "truncateds"
    EPS_ID: Final = "eps_id"
    ACTION_LOGP: Final = "action_logp"
    ACTION_DIST_INPUTS: Final = "action_dist_inputs"
    VF_PREDS: Final = "vf_preds"
    ADVANTAGES: Final = "advantages"
    VALUE_TARGETS: Final = "value_targets"
