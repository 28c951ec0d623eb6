"""The event loop of local ports."""

import asyncio

import pytest
from tests.transport.compiled import needs_core

from hatchway.client.tunnel import event_loop
from hatchway.client.tunnel.event_loop import COMPILED_CORE, is_core_s
from hatchway.transport.core import loading


async def kind() -> str:
    loop = asyncio.get_running_loop()
    return "core" if is_core_s(loop) else type(loop).__module__.partition(".")[0]


@needs_core
def test_it_is_the_core_s_where_that_was_built(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(COMPILED_CORE, raising=False)
    assert event_loop.run(kind()) == "core"


@pytest.mark.parametrize("is_off", [True, False])
def test_without_the_core_it_is_python_s_own(monkeypatch: pytest.MonkeyPatch, is_off: bool) -> None:
    if is_off:
        monkeypatch.setenv(COMPILED_CORE, "off")
    else:
        monkeypatch.setattr(loading, "CORE", None)
    assert event_loop.run(kind()) == "asyncio"


@pytest.mark.parametrize("of", [{}, {"transport": object()}])
def test_what_goes_wrong_in_it_is_told_also_of_a_transport(
    caplog: pytest.LogCaptureFixture, of: dict[str, object]
) -> None:
    async def fail() -> None:
        problem = {"message": "Error occurred during read", "exception": RuntimeError("no capacity"), **of}
        asyncio.get_running_loop().call_exception_handler(problem)

    event_loop.run(fail())
    assert [record.message.splitlines()[0] for record in caplog.records] == ["Error occurred during read"]
