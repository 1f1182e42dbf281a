"""Environments that misbehave, to test what stands around an environment: runners, workers, checkers, your own code.

`FaultyEnv` goes wrong at a chosen moment: it raises, hangs, ends its process, returns NaN. `gallery` holds small environments
with one fault each, as people write them; `skirl.check_env` finds every one.
"""

from skirl.testing.fault_counter import FaultCounter, faults_in
from skirl.testing.faulty_env import FaultyEnv, PlantedFault
from skirl.testing.faults import Faults

__all__ = ["FaultCounter", "Faults", "FaultyEnv", "PlantedFault", "faults_in"]
