"""Connections that are reset: counted, and logged now and then."""

from structlog.testing import capture_logs
from tests.transport.harness import Clock

from hatchway.transport.listening.load_shedding import (
    BAD_PROXY_HEADER,
    LOG_INTERVAL,
    NO_TURN,
    REASONS,
    SOURCE_WASTES,
    LoadShedding,
)

ADDRESS, NEIGHBOUR = "192.0.2.1", "192.0.2.2"


def test_the_log_tells_of_connections_turned_away_at_once_and_then_every_ten_seconds() -> None:
    clock = Clock()
    shed = LoadShedding(clock)
    with capture_logs() as logs:
        for _ in range(1000):
            shed.add(SOURCE_WASTES, ADDRESS)
        shed.add(NO_TURN, NEIGHBOUR)
        clock.now += LOG_INTERVAL
        shed.add(SOURCE_WASTES, NEIGHBOUR)
    told = [(line["reason"], line["connections"], line["latest_source_ip"]) for line in logs]
    assert told == [
        (SOURCE_WASTES, 1, ADDRESS),
        (NO_TURN, 1, NEIGHBOUR),
        (SOURCE_WASTES, 1000, NEIGHBOUR),
    ]
    assert shed.counts[SOURCE_WASTES] == 1001


def test_what_more_there_is_to_say_of_the_latest_is_said() -> None:
    shed = LoadShedding(Clock())
    with capture_logs() as logs:
        shed.add(BAD_PROXY_HEADER, ADDRESS, problem="it has none")
    assert logs[0]["problem"] == "it has none"


def test_every_reason_is_counted_from_the_beginning() -> None:
    assert LoadShedding(Clock()).counts == dict.fromkeys(REASONS, 0)
