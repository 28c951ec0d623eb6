"""The cases of Autobahn|Testsuite against the gateway as an echo server (echo_end.py, docs/gateway.md)."""

import pytest
from tests.gateway.autobahn import PROTOCOL, VOLUMES, Section, failures, with_case_files


@pytest.mark.parametrize("section", [PROTOCOL, VOLUMES], ids=["protocol", "volumes"])
def test_every_case_of_autobahn_conforms(section: Section) -> None:
    verdicts = with_case_files(section)
    assert len(verdicts) == section.count
    assert not failures(verdicts)
