"""Whatever an event holds, its record can be stored, stays within bounds, and is one line to every reader."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.store.migrated import new_sqlite_store

from hatchway.audit.abridged import abridged
from hatchway.audit.events import EventSource, Outcome, event
from hatchway.audit.export import Export
from hatchway.audit.log import LARGEST_OF_CHANGES, LARGEST_OF_OTHERS, to_record

NOW = datetime(2026, 11, 24, 6, 17, 23, tzinfo=UTC)


def an_event(parameters: Any = None, *, user_agent: str = "", **outcome: Any) -> dict[str, Any]:
    source = EventSource(
        account="123456789012",
        region="us-east-1",
        event_source="ec2.amazonaws.com",
        request_id="r",
        source_ip="192.0.2.7",
        user_agent=user_agent,
        user_identity={"type": "Root"},
    )
    return event(
        source,
        event_id="e",
        time=NOW,
        name="CreateUser",
        read_only=False,
        request_parameters=parameters,
        outcome=Outcome(**outcome),
    )


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=60),
    lambda inner: st.lists(inner, max_size=8) | st.dictionaries(st.text(max_size=12), inner, max_size=8),
    max_leaves=60,
)


@given(values, st.integers(100, 2000))
def test_what_is_abridged_fits_and_what_fits_is_not_abridged(value: Any, most: int) -> None:
    less = abridged(value, most)
    assert len(json.dumps(less)) <= most
    if len(json.dumps(value)) <= most:
        assert less == value


def test_each_cut_says_what_is_missing() -> None:
    value = {"texts": ["x" * 5000, "y"], "many": list(range(500)), "short": "z"}
    less = abridged(value, 4000)
    assert less["short"] == "z"
    assert less["texts"] == ["x" * 1024 + "… (3976 characters left out)", "y"]
    assert less["many"][-1] == "… (400 more left out)"
    deep: Any = "bottom"
    for _ in range(500):
        deep = {"in": deep, "w": "w" * 10}
    assert "… (2 left out)" in json.dumps(abridged(deep, 3000), ensure_ascii=False)
    wide = {f"key {number}": {f"inner {n}": "v" * 90 for n in range(90)} for number in range(90)}
    assert abridged(wide, 300) == {
        "omitted": True,
        "originalSize": len(json.dumps(wide)),
        "reason": "larger than 300 characters",
    }


def test_a_refusal_s_record_is_small_and_that_of_a_change_holds_all_that_cloudtrail_would() -> None:
    large = {"policyDocument": "p" * 50_000, "tags": ["t" * 200] * 100}
    decision = {"decision": {"checks": [{"nearMisses": ["n" * 500] * 300}]}}
    refused = an_event(
        large, user_agent="u" * 1024, additional=decision, error_code="No", error_message="m" * 90_000
    )
    assert len(to_record(refused, NOW).body) < 4 * LARGEST_OF_OTHERS
    changed = json.loads(to_record(an_event(large, additional=decision), NOW).body)
    assert changed["requestParameters"] == large
    huge = json.loads(to_record(an_event({"p": ["p" * 9999] * 20}), NOW).body)
    assert len(json.dumps(huge)) < LARGEST_OF_CHANGES * 1.1
    assert "characters left out" in str(huge["requestParameters"])


@pytest.mark.parametrize("part", ["parameters", "name", "agent", "message"])
def test_a_record_can_be_stored_whatever_its_texts_and_is_one_line(part: str, tmp_path: Path) -> None:
    hostile = (
        "".join(map(chr, range(32))) + "\x7f\x85\u2028\u2029\u202e\ufeff\ud800\udc00x\udfff\uffff\\u2028"
    )
    made = {
        "parameters": an_event({"a": [hostile]}),
        "name": an_event({hostile: "a"}),
        "agent": an_event(user_agent=hostile),
        "message": an_event(error_code="No", error_message=hostile),
    }[part]
    store = new_sqlite_store(tmp_path / "store.db")
    with store.record() as tx:
        tx.audit_records.add(to_record(made, NOW))
    assert Export(store, tmp_path / "audit.jsonl").run() == 1
    store.close()
    text = (tmp_path / "audit.jsonl").read_text(encoding="utf-8")
    # Python's own reader of lines ends them at all of these.
    (line,) = text.splitlines()
    assert line.isprintable()
    # The two halves that stand side by side are the character that they make.
    assert json.loads(line) == json.loads(json.dumps(made))
