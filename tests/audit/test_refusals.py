"""Refusals beyond a rate are counted, and nothing of them is lost."""

import json
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

from hatchway.audit import refusals
from hatchway.audit.events import EventSource
from hatchway.audit.refusals import AT_ONCE, PER_SECOND, UNAUTHENTICATED_PER_SECOND, Refusals

NOW = datetime(2026, 11, 24, 6, 0, 0, tzinfo=UTC)


def source(name: str | None, address: str = "192.0.2.7", key: str = "AKIA") -> EventSource:
    identity = {"type": "Unknown", "accessKeyId": key} if name is None else {"type": "IAMUser", "arn": name}
    return EventSource(
        account="123456789012",
        region="us-east-1",
        event_source="ec2.amazonaws.com",
        request_id="r",
        source_ip=address,
        user_agent="agent",
        user_identity=identity,
    )


def refuse(book: Refusals, who: EventSource, times: int, *, now: float = 0.0, code: str = "Denied") -> int:
    moment = NOW + timedelta(seconds=now)
    return sum(book.admit(who, "DescribeVpcs", code, time=moment, now=now) for _ in range(times))


def told(book: Refusals) -> list[dict[str, Any]]:
    numbers = count()
    return [json.loads(record.body) for record in book.take(lambda: f"id-{next(numbers)}").records]


def test_each_principal_has_a_rate_and_the_rest_is_counted() -> None:
    book = Refusals()
    assert refuse(book, source("alice"), AT_ONCE + 50) == AT_ONCE
    assert refuse(book, source("bob"), AT_ONCE) == AT_ONCE
    assert refuse(book, source("alice", "192.0.2.8"), 50, now=10.0, code="Malformed") == 10 * PER_SECOND
    (event,) = told(book)
    assert event["eventName"] == "RefusedCalls" and event["eventType"] == "AwsServiceEvent"
    assert event["userIdentity"] == {"type": "IAMUser", "arn": "alice"}
    assert event["additionalEventData"]["refusals"] == {
        "count": 80,
        "firstTime": "2026-11-24T06:00:00Z",
        "lastTime": "2026-11-24T06:00:10Z",
        "eventNames": {"DescribeVpcs": 80},
        "errorCodes": {"Denied": 50, "Malformed": 30},
        "sourceIPAddresses": {"192.0.2.7": 50, "192.0.2.8": 30},
    }
    assert told(book) == []


def test_all_sessions_of_a_role_share_its_rate() -> None:
    role = {"type": "Role", "arn": "on-call"}
    book = Refusals()
    admitted = 0
    for number in range(AT_ONCE + 40):
        session = {
            "type": "AssumedRole",
            "arn": f"on-call/{number}",
            "sessionContext": {"sessionIssuer": role},
        }
        admitted += refuse(book, source("one")._replace(user_identity=session), 1)
    assert admitted == AT_ONCE
    (event,) = told(book)
    assert event["userIdentity"] == role
    assert event["additionalEventData"]["refusals"]["count"] == 40


def test_callers_that_proved_nothing_share_one_rate_whatever_they_claim() -> None:
    book = Refusals()
    admitted = sum(refuse(book, source(None, key=f"AKIA{number}"), 1) for number in range(AT_ONCE + 40))
    assert admitted == AT_ONCE
    assert refuse(book, source(None), 1000, now=1.0) == UNAUTHENTICATED_PER_SECOND
    (event,) = told(book)
    assert event["userIdentity"] == {"type": "Unknown"}
    assert event["additionalEventData"]["refusals"]["count"] == 40 + 990


def test_what_could_not_be_recorded_is_counted_on() -> None:
    book = Refusals()
    refuse(book, source("alice"), AT_ONCE + 3)
    taken = book.take(lambda: "id")
    refuse(book, source("alice"), 4)
    book.give_back(taken)
    (event,) = told(book)
    assert event["additionalEventData"]["refusals"]["count"] == 7


def test_one_that_could_not_be_recorded_by_itself_is_counted() -> None:
    book = Refusals()
    assert refuse(book, source("alice"), 1) == 1
    book.count(source("alice"), "DescribeVpcs", "Denied", time=NOW)
    book.count(source("bob"), "DescribeVpcs", "Denied", time=NOW)
    alice, somebody = told(book)
    assert (alice["userIdentity"]["arn"], somebody["userIdentity"]["type"]) == ("alice", "Unknown")


def test_a_summary_is_small_however_many_kinds_there_are() -> None:
    book = Refusals()
    for number in range(AT_ONCE + 5000):
        who = source("alice", f"2001:db8::{number:x}")
        book.admit(who, "DescribeVpcs", f"Code{number}", time=NOW, now=0.0)
    (event,) = told(book)
    assert event["additionalEventData"]["refusals"]["count"] == 5000
    for kind in ("errorCodes", "sourceIPAddresses"):
        kinds = event["additionalEventData"]["refusals"][kind]
        assert len(kinds) == 21 and sum(kinds.values()) == 5000


def test_the_book_forgets_those_who_have_their_whole_allowance(monkeypatch: Any) -> None:
    monkeypatch.setattr(refusals, "MOST_PRINCIPALS", 3)
    book = Refusals()
    for name in ("a", "b", "c"):
        refuse(book, source(name), AT_ONCE)
    # No room yet: counted with the strangers, and never lost.
    assert refuse(book, source("d"), AT_ONCE + 1) == AT_ONCE
    assert [event["userIdentity"]["type"] for event in told(book)] == ["Unknown"]
    assert refuse(book, source("e"), 1, now=AT_ONCE / PER_SECOND) == 1
    assert set(book._allowances) == {"e"}
