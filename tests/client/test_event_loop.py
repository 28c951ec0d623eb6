"""The event loop of local ports."""

import asyncio
import sys

import pytest

from hatchway.client import event_loop


async def kind() -> str:
    return type(asyncio.get_running_loop()).__module__.partition(".")[0]


@pytest.mark.skipif(sys.platform != "linux", reason="uvloop is asked for on Linux alone")
def test_it_is_uvloop_s_where_that_is_installed() -> None:
    assert event_loop.run(kind()) == "uvloop"


def test_it_is_python_s_own_where_there_is_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "uvloop", None)
    assert event_loop.run(kind()) == "asyncio"
