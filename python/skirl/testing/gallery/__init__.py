"""Small environments with one fault each, as people write them; `skirl.check_env` finds every one.

>>> for exhibit in EXHIBITS:
...     print(exhibit.name, exhibit.wrong)

`SOUND` are the environments that the faults were planted in: nothing is wrong with them.
"""

from skirl.testing.gallery import agents, behaviour, observations, results, seeding, spaces
from skirl.testing.gallery.entry import EXHIBITS, Exhibit
from skirl.testing.gallery.sound import SOUND

__all__ = ["EXHIBITS", "SOUND", "Exhibit", "agents", "behaviour", "observations", "results", "seeding", "spaces"]
