"""What is read back from the store: events, and what is none."""

import json

import pytest
from tests.audit.false_events import NO_EVENTS
from tests.audit.test_events import open_tunnel

from hatchway.audit.events import Outcome
from hatchway.audit.stored_events import read_event, read_terms
from hatchway.audit.terms import terms_of


@pytest.mark.parametrize("name", NO_EVENTS)
def test_what_is_no_event_of_ours_is_none(name: str) -> None:
    assert read_event(NO_EVENTS[name]) is None
    assert read_terms(NO_EVENTS[name]) == ()


def test_an_event_is_read_as_it_was_written() -> None:
    made = open_tunnel("e-1", Outcome(additional={"tunnelId": "tun-1"}))
    assert read_event(json.dumps(made)) == made
    assert read_terms(json.dumps(made)) == terms_of(made)
