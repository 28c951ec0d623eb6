"""The kinds of finding."""

from tests.iam.lint.cases import OF_OVERLAPS, OF_PRESENCE, OF_RULES, OF_SERVICES

from hatchway.iam.lint import KINDS, Finding, Severity


def test_every_kind_of_finding_has_a_case() -> None:
    tried = {code for _, expected in [*OF_RULES, *OF_SERVICES, *OF_PRESENCE] for code, _ in expected}
    tried |= {code for _, expected in OF_OVERLAPS for code, _ in expected}
    tried |= {"malformed-policy", "nothing-here", "other-account"}
    assert tried == set(KINDS)


def test_a_finding_is_as_bad_as_its_kind_and_reads_as_plain_values() -> None:
    finding = Finding("sid-characters", "Statement[0].Sid", "It has a dash.", "Take the dash out.")
    assert finding.severity is Severity.NOTE
    assert finding.to_json() == {
        "code": "sid-characters",
        "severity": "note",
        "place": "Statement[0].Sid",
        "message": "It has a dash.",
        "fix": "Take the dash out.",
    }
