"""The section methods that the configs of all algorithms have. Their signatures are in the stub beside this file."""

from skirl.algorithms._options import options_of
from skirl.algorithms._rllib_options import OTHER_SECTIONS
from skirl.algorithms._sections import section_method

#: The algorithm whose definitions document the sections that all have; defaults of others may differ.
DOCUMENTED_BY = "PPO"
#: Sections that are written out in `AlgorithmConfig`, or belong to each algorithm.
NOT_HERE = ("callbacks", "training")


class CommonSections:
    """What `AlgorithmConfig` inherits: `environment(...)`, `env_runners(...)`, and so on.

    Whoever inherits it has `_set_section(section, options)`, which they call.
    """


def _make() -> None:
    table = options_of(DOCUMENTED_BY)
    for section in sorted({*table.sections, *OTHER_SECTIONS}.difference(NOT_HERE)):
        setattr(CommonSections, section, section_method(table, section))


_make()
