"""Processes that tests start need not import anew what they run."""

import sys
from multiprocessing.connection import Connection

from tests.forks import FORKS, PRELOADED


def _tell_what_is_missing(told: Connection) -> None:
    told.send([name for name in PRELOADED if name not in sys.modules])


def test_a_fork_has_imported_all_that_is_to_be_there_whatever_was_imported_here() -> None:
    ours, theirs = FORKS.Pipe()
    process = FORKS.Process(target=_tell_what_is_missing, args=(theirs,))
    process.start()
    theirs.close()
    assert ours.recv() == []
    process.join()
