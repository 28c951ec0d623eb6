"""A record of a form is the record of the whole event, to the last character."""

from datetime import UTC, datetime
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from hatchway.audit.events import EventSource, Outcome, event
from hatchway.audit.log import to_json, to_record
from hatchway.audit.record_form import RecordForm

SOURCE = EventSource(
    account="123456789012",
    region="us-east-1",
    event_source="ec2-instance-connect.amazonaws.com",
    request_id="request-1",
    source_ip="192.0.2.7",
    user_agent="aws-cli/2.36",
    user_identity={"type": "IAMUser", "userName": "alice", "accessKeyId": "AKIAAAAAAAAAAAAAAAAA"},
)
NOW = datetime(2026, 11, 24, 6, 17, 23, 4711, UTC)

texts = st.text(max_size=40) | st.sampled_from(['"', '","eventTime":"', "\x7f", "\u2028", "\ud800", "é"])
values = st.recursive(
    st.none() | st.booleans() | st.integers() | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)
objects = st.dictionaries(texts, values, max_size=5)
calls: st.SearchStrategy[dict[str, Any]] = st.builds(
    dict,
    name=texts,
    read_only=st.booleans(),
    request_parameters=st.none() | objects,
    resources=st.lists(st.tuples(texts, texts), max_size=3).map(tuple),
)


def whole(source: EventSource, event_id: str, time: datetime, additional: Any, call: Any) -> dict[str, Any]:
    return event(source, event_id=event_id, time=time, outcome=Outcome(additional=additional), **call)


@given(
    calls,
    st.builds(SOURCE._replace, source_ip=texts, user_agent=texts, user_identity=objects),
    objects.filter(bool),
    st.tuples(texts, texts),
    st.datetimes(timezones=st.just(UTC)),
)
def test_a_record_of_a_form_is_that_of_the_whole_event(
    call: Any, source: EventSource, additional: Any, ids: tuple[str, str], time: datetime
) -> None:
    request_id, event_id = ids
    form = RecordForm(whole(source, "", NOW, {}, call))
    record = form.record(request_id=request_id, event_id=event_id, time=time, additional=to_json(additional))
    source = source._replace(request_id=request_id)
    expected = to_record(whole(source, event_id, time, additional, call), time)
    assert record == expected
    assert record.terms == expected.terms


def test_one_form_makes_many_records() -> None:
    call = {"name": "OpenTunnel", "read_only": False, "request_parameters": None}
    form = RecordForm(whole(SOURCE, "", NOW, {}, call))
    for number in range(3):
        source, time = SOURCE._replace(request_id=f"r-{number}"), NOW.replace(second=number)
        expected = whole(source, f"e-{number}", time, {"tunnelId": number}, call)
        record = form.record(
            request_id=f"r-{number}", event_id=f"e-{number}", time=time, additional=f'{{"tunnelId":{number}}}'
        )
        assert record == to_record(expected, time)


def test_what_is_too_large_is_abridged_as_elsewhere() -> None:
    call = {"name": "OpenTunnel", "read_only": False, "request_parameters": {"a": "b" * 60_000}}
    additional = {"decision": ["n" * 500] * 300}
    form = RecordForm(whole(SOURCE, "", NOW, {}, call))
    record = form.record(request_id="request-1", event_id="e", time=NOW, additional=to_json(additional))
    assert record == to_record(whole(SOURCE, "e", NOW, additional, call), NOW)
    assert "more left out" in record.body
