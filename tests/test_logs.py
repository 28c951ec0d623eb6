"""What must not be in a log is not in it."""

import io
import json

import pytest
import structlog

from hatchway.logs import configure_logs
from hatchway.settings import LogFormat


@pytest.mark.parametrize("format_", list(LogFormat))
def test_a_traceback_shows_no_local_variables(format_: LogFormat) -> None:
    stream = io.StringIO()
    configure_logs(format_, stream=stream)
    try:
        _fail("".join(("wJalr", "XUtnFEMI")))
    except RuntimeError as problem:
        structlog.get_logger("hatchway.test").error("it failed", exc_info=problem)
    finally:
        structlog.reset_defaults()
    text = stream.getvalue()
    assert "RuntimeError" in text
    assert "_fail" in text
    assert "wJalrXUtnFEMI" not in text
    if format_ is LogFormat.JSON:
        assert json.loads(text)["event"] == "it failed"


def _fail(secret: str) -> None:
    raise RuntimeError(f"{len(secret)} characters")
