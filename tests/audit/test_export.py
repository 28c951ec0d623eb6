"""What the trail's file has although somebody entered what is no event."""

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from tests.audit.false_events import NO_EVENTS, false_record
from tests.audit.test_events import NOW, record
from tests.store.migrated import empty_store

from hatchway.audit import export
from hatchway.audit.events import event_time
from hatchway.audit.export import Export, _lines_from_the_end
from hatchway.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = empty_store(tmp_path / "hatchway.db")
    yield opened
    opened.close()


def false(store: Store, name: str, event_id: str = "e-false", *, ago: int = 0) -> None:
    with store.record() as tx:
        tx.audit_records.add(false_record(NO_EVENTS[name], NOW - timedelta(days=ago), event_id))


@pytest.mark.parametrize("name", NO_EVENTS)
def test_a_text_that_is_no_event_keeps_no_other_from_the_file(
    name: str, store: Store, tmp_path: Path
) -> None:
    path = tmp_path / "audit.jsonl"
    false(store, name)
    record(store, 1)
    assert Export(store, path).run() == 2
    # Whoever goes on with a file looks at what is there.
    record(store, 1, start=1)
    false(store, name, "e-the-same")
    assert Export(store, path).run() == 1
    assert [line.count('"eventID":"e-0000') for line in path.read_text().splitlines()].count(1) == 2


def test_an_event_is_written_although_the_file_has_another_of_its_id(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    with store.record() as tx:
        body = json.dumps({"eventID": "e-00000", "eventTime": "2026-11-24T06:17:23Z"})
        tx.audit_records.add(false_record(body, NOW - timedelta(days=1)))
    assert Export(store, path).run() == 1
    record(store, 1)
    assert Export(store, path).run() == 1
    assert "OpenTunnel" in path.read_text().splitlines()[1]


def test_an_event_is_one_line_for_whoever_takes_a_carriage_return_for_its_end(
    store: Store, tmp_path: Path
) -> None:
    path = tmp_path / "audit.jsonl"
    with store.record() as tx:
        tx.audit_records.add(false_record('{"eventID":\r"e"\r,\t"eventTime":""}', NOW))
    assert Export(store, path).run() == 1
    assert path.read_bytes() == b'{"eventID": "e" ,\t"eventTime":""}\n'
    assert Export(store, path).run() == 0


@pytest.mark.parametrize("body", ['{"eventID":"e-old","eventTime":"1970-01-01T00:00:00Z"}', "{}"])
def test_an_event_that_claims_to_be_older_than_all_has_no_more_of_the_file_read(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: str
) -> None:
    def enter(*numbers: int) -> None:
        with store.record() as tx:
            for number in numbers:
                time = NOW + timedelta(seconds=number)
                text = json.dumps({"eventID": f"e-{number}", "eventTime": event_time(time)})
                tx.audit_records.add(false_record(text, time, f"e-{number}"))

    path = tmp_path / "audit.jsonl"
    monkeypatch.setattr(export, "_LOOKED_THROUGH", 10)
    enter(*range(200))
    assert Export(store, path).run() == 200
    enter(200, 201)
    with store.record() as tx:
        tx.audit_records.add(false_record(body, NOW - timedelta(days=9999), "e-old"))
    read: list[bytes] = []

    def lines(path: Path) -> Iterator[bytes]:
        for line in _lines_from_the_end(path):
            read.append(line)
            yield line

    monkeypatch.setattr(export, "_lines_from_the_end", lines)
    assert Export(store, path).run() == 3
    assert 10 <= len(read) < 20
