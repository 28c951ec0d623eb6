"""What must not be in a log is not in it."""

import io
import json
import logging
import pty
import re
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from hatchway.logs import configure_logs, log_format_for
from hatchway.settings import LogFormat


@pytest.mark.parametrize("format_", list(LogFormat))
def test_a_traceback_shows_no_local_variables(format_: LogFormat) -> None:
    stream = io.StringIO()
    configure_logs(format_, stream=stream)
    try:
        _fail("".join(("wJalr", "XUtnFEMI")))
    except RuntimeError as problem:
        structlog.get_logger("hatchway.test").error("it failed", exc_info=problem)
    text = stream.getvalue()
    assert "RuntimeError" in text
    assert "_fail" in text
    assert "wJalrXUtnFEMI" not in text
    if format_ is LogFormat.JSON:
        assert json.loads(text)["event"] == "it failed"


def test_people_on_a_terminal_and_programs_each_get_what_they_read() -> None:
    leader, terminal = pty.openpty()
    with open(leader, "rb", buffering=0), open(terminal, "w") as stream:  # noqa: PTH123
        assert log_format_for(stream) is LogFormat.CONSOLE
    assert log_format_for(stream) is LogFormat.JSON
    assert log_format_for(io.StringIO()) is LogFormat.JSON


def test_people_are_told_no_more_than_there_is_to_tell() -> None:
    stream = io.StringIO()
    configure_logs(LogFormat.CONSOLE, stream=stream)
    structlog.get_logger("hatchway.test").info("call answered", code=None, status=200)
    logging.getLogger("library").warning("theirs")
    ours, theirs = stream.getvalue().splitlines()
    assert re.fullmatch(r"\d\d:\d\d:\d\d \[info +\] call answered +status=200", ours)
    assert "[library]" in theirs


def test_what_the_driver_passes_over_on_the_way_from_a_failure_that_it_raises_is_no_line() -> None:
    stream = io.StringIO()
    configure_logs(LogFormat.JSON, stream=stream)
    logging.getLogger("psycopg").warning("error ignored terminating %r: %s", "pipeline", "pipeline aborted")
    assert stream.getvalue() == ""
    logging.getLogger("psycopg").error("something else")
    assert json.loads(stream.getvalue())["event"] == "something else"


def test_a_terminal_is_given_no_controls_by_what_others_sent() -> None:
    stream = io.StringIO()
    configure_logs(LogFormat.CONSOLE, stream=stream)
    log = structlog.get_logger("hatchway.test")
    log.info(
        "it\x1b[2J is", user="\x1b]0;owned\x07", name="\u202eabc\x9b", of=["\x1b"], text="a\n09:00 [info] b"
    )
    logging.getLogger("library").warning("their\x1b[31m\n%s", "09:00 [info] forged")
    try:
        raise ValueError("evil\x1b[31m")
    except ValueError:
        log.exception("it failed")
    text = stream.getvalue()
    assert all(line.isprintable() for line in text.splitlines())
    assert "user=\\x1b]0;owned\\x07" in text
    assert "ValueError: evil\\x1b[31m" in text
    assert not [line for line in text.splitlines() if line.startswith("09:00 [info]")]


def test_our_events_and_those_of_libraries_come_out_alike() -> None:
    stream = io.StringIO()
    configure_logs(LogFormat.JSON, stream=stream)
    structlog.get_logger("hatchway.test").warning("ours", count=1)
    logging.getLogger("library").warning("theirs")
    structlog.get_logger("hatchway.test").debug("too much")
    ours, theirs = map(json.loads, stream.getvalue().splitlines())
    assert (ours["event"], ours["logger"], ours["level"], ours["count"]) == (
        "ours",
        "hatchway.test",
        "warning",
        1,
    )
    assert theirs["event"] == "theirs"
    assert set(theirs) == set(ours) - {"count"}


@pytest.mark.parametrize("format_", list(LogFormat))
def test_a_connection_that_the_pool_throws_away_is_a_line_without_a_traceback(format_: LogFormat) -> None:
    stream = io.StringIO()
    configure_logs(format_, stream=stream)
    for library in ("sqlalchemy.pool.impl.QueuePool", "another"):
        try:
            raise RuntimeError("terminating connection\nby somebody")
        except RuntimeError:
            logging.getLogger(library).exception("Exception during reset or similar")
    of_pool, *of_another = stream.getvalue().splitlines()
    assert "terminating connection" in of_pool
    assert "problem" in of_pool
    assert "by somebody" not in of_pool
    assert "Exception during reset" in of_another[0]
    assert "test_logs.py" in "".join(of_another)


def test_a_line_says_what_happened_then_how_grave_whose_and_when() -> None:
    stream = io.StringIO()
    configure_logs(LogFormat.JSON, stream=stream)
    before = datetime.now(UTC)
    with structlog.contextvars.bound_contextvars(request_id="r-1"):
        structlog.get_logger("hatchway.test").exception(
            "it failed", path=Path("/x"), parts={"n": 1, "é": None}
        )
    line = json.loads(stream.getvalue())
    time = line.pop("time")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", time)
    assert before <= datetime.fromisoformat(time) <= datetime.now(UTC)
    assert list(line.items()) == [
        ("path", repr(Path("/x"))),
        ("parts", {"n": 1, "é": None}),
        ("event", "it failed"),
        ("request_id", "r-1"),
        ("level", "error"),
        ("logger", "hatchway.test"),
    ]
    assert stream.getvalue().isascii()


def test_a_log_that_cannot_be_written_stops_nothing() -> None:
    with Path("/dev/full").open("w") as full:
        configure_logs(LogFormat.JSON, stream=full)
        structlog.get_logger("hatchway.test").error("no room")
        with suppress(OSError):
            full.close()


def _fail(secret: str) -> None:
    raise RuntimeError(f"{len(secret)} characters")


values = st.text() | st.integers() | st.floats() | st.none() | st.booleans() | st.binary()
names = st.text(st.characters(exclude_categories=["Cs"]), min_size=1).filter(
    lambda name: name not in {"event", "self", "time", "exc_info", "stack_info", "_record"}
)


@given(
    st.text(),
    st.dictionaries(
        names | st.sampled_from(("level", "logger", "100 %s")),
        values | st.lists(values) | st.dictionaries(st.text(), values),
    ),
    st.booleans(),
)
def test_what_goes_the_short_way_to_its_line_is_what_structlog_and_json_make_of_it(
    event: str, told: dict[str, Any], is_bound: bool
) -> None:
    stream = io.StringIO()
    configure_logs(LogFormat.JSON, stream=stream)
    log = structlog.get_logger("hatchway.test")
    with structlog.contextvars.bound_contextvars(**({"trace_id": "of this context"} if is_bound else {})):
        log.info(event, **told)
        log.warning(event, **told)
    short, usual = stream.getvalue().splitlines()
    moment = re.compile(r'"time": "[^"]*"}\Z')
    assert moment.sub("", short) == moment.sub("", usual).replace('"level": "warning"', '"level": "info"')
    assert moment.search(short)
    assert short == json.dumps(json.loads(short))
