"""Processes of the tests' own, each a fork of one that has imported what they need.

To import it is most of what a command of an administrator costs, or a gateway worker: over a second of a
processor. In all else a fork is a process like any, but for its environment, which is as it was at the first.
"""

import multiprocessing
import pkgutil
from typing import Final

import hatchway

PRELOADED: Final = [
    *(
        found.name
        for found in pkgutil.walk_packages(hatchway.__path__, "hatchway.")
        if "__main__" not in found.name
    ),
    "tests.gateway.harness",
    "tests.gateway.hostile_frames",
    "tests.gateway.workers",
    "tests.preloaded",
]

FORKS: Final = multiprocessing.get_context("forkserver")
# There is one list in a process, and who sets it last has set it for all: it is set here alone.
FORKS.set_forkserver_preload(PRELOADED)
