"""Findings as text, JSON and SARIF."""

import json

import pytest
from tests.iam.lint.cases import FACTS

from hatchway.iam.lint import KINDS, Finding, lint_document
from hatchway.iam.lint.render import LintedFile, to_json, to_sarif, to_text

DOCUMENT = """{
  "Version": "2012-10-17",
  "Statement": [
    {"Effect": "Allow", "Action": "ec2:CreateTags", "Resource": "arn:aws:ec2:::subnet/*"},
    {"Effect": "Allow", "Action": ["ec2:CreateTags", "ec2:Nothing"],
     "Resource": "*"}
  ]
}
"""


@pytest.fixture
def files() -> list[LintedFile]:
    broken = '{"Statement": [,]}'
    return [
        LintedFile("tags.json", DOCUMENT, lint_document(DOCUMENT, FACTS)),
        LintedFile("broken.json", broken, lint_document(broken)),
    ]


def test_text_names_file_line_and_column(files: list[LintedFile]) -> None:
    assert to_text(files).splitlines()[::2] == [
        "tags.json:4:65: warning: Statement[0].Resource: 'arn:aws:ec2:::subnet/*' has no region and account; "
        "for EC2 that means any. [empty-scope]",
        "tags.json:4:5: warning: Statement[0]: All that it says, Statement[1] says too. "
        "[duplicate-statement]",
        "tags.json:5:54: error: Statement[1].Action[1]: No action of ec2 is 'ec2:Nothing'. [unknown-action]",
        "broken.json:1:16: error: line 1 column 16: is not JSON: expecting value. [malformed-policy]",
    ]
    assert to_text([]) == ""


def test_json_carries_every_field(files: list[LintedFile]) -> None:
    content = json.loads(to_json(files))
    assert [(each["file"], each["line"], each["column"], each["code"]) for each in content] == [
        ("tags.json", 4, 65, "empty-scope"),
        ("tags.json", 4, 5, "duplicate-statement"),
        ("tags.json", 5, 54, "unknown-action"),
        ("broken.json", 1, 16, "malformed-policy"),
    ]
    assert content[2]["severity"] == "error"
    assert content[2]["fix"]


def test_sarif_names_rules_levels_and_regions(files: list[LintedFile]) -> None:
    log = json.loads(to_sarif(files, "1.2.3"))
    (run,) = log["runs"]
    assert log["version"] == "2.1.0"
    assert {rule["id"] for rule in run["tool"]["driver"]["rules"]} == set(KINDS)
    assert run["tool"]["driver"]["version"] == "1.2.3"
    third = run["results"][2]
    assert (third["ruleId"], third["level"]) == ("unknown-action", "error")
    (location,) = third["locations"]
    assert location["physicalLocation"] == {
        "artifactLocation": {"uri": "tags.json"},
        "region": {"startLine": 5, "startColumn": 54, "endLine": 5, "endColumn": 67},
    }
    assert location["logicalLocations"] == [{"fullyQualifiedName": "Statement[1].Action[1]"}]


FOUND = (
    Finding("sid-characters", "Statement[0].Resource", "It is “odd”.", "Mend it."),
    Finding("malformed-policy", "line 4 column 7", "It ends.", "Go on."),
)
ODD = [LintedFile("odd.json", DOCUMENT, FOUND)]


def test_of_each_finding_the_text_has_two_lines_the_second_for_what_to_do() -> None:
    assert to_text(ODD) == (
        "odd.json:4:65: note: Statement[0].Resource: It is “odd”. [sid-characters]\n"
        "    Mend it.\n"
        "odd.json:4:7: error: line 4 column 7: It ends. [malformed-policy]\n"
        "    Go on.\n"
    )


def test_json_is_to_be_read_by_people_too() -> None:
    place = {"file": "odd.json", "line": 4}
    assert to_json(ODD) == (
        json.dumps(
            [
                {**place, "column": 65, **FOUND[0].to_json()},
                {**place, "column": 7, **FOUND[1].to_json()},
            ],
            indent=2,
            ensure_ascii=False,
        )
        + "\n"
    )


def test_sarif_is_what_code_hosts_read() -> None:
    text = to_sarif(ODD, "1.2.3")
    log = json.loads(text)
    (run,) = log["runs"]

    assert text == json.dumps(log, indent=2, ensure_ascii=False) + "\n"
    assert list(log) == ["$schema", "version", "runs"]
    assert log["$schema"] == "https://json.schemastore.org/sarif-2.1.0.json"
    assert run["columnKind"] == "unicodeCodePoints"
    assert run["tool"]["driver"].keys() == {"name", "version", "rules"}
    assert run["tool"]["driver"]["name"] == "hatchway"
    assert run["tool"]["driver"]["rules"][-1] == {
        "id": "sid-characters",
        "shortDescription": {"text": "AWS takes only letters and digits in a Sid."},
        "defaultConfiguration": {"level": "note"},
    }
    assert run["results"][1] == {
        "ruleId": "malformed-policy",
        "level": "error",
        "message": {"text": "It ends. Go on."},
        "locations": [
            {
                "physicalLocation": {
                    "artifactLocation": {"uri": "odd.json"},
                    "region": {"startLine": 4, "startColumn": 7, "endLine": 4, "endColumn": 7},
                },
                "logicalLocations": [{"fullyQualifiedName": "line 4 column 7"}],
            }
        ],
    }


@pytest.mark.parametrize(
    ("place", "line", "column"),
    [
        ("Statement[1].Sid.x[2]", 5, 5),
        ("Statement[1].Action[1].x.y", 5, 54),
        ("Statement[1].Action[7]", 5, 35),
        ("Statement[7]", 3, 16),
        ("Versions", 1, 1),
        ("document", 1, 1),
    ],
)
def test_a_place_that_the_text_does_not_have_is_shown_at_what_encloses_it(
    place: str, line: int, column: int
) -> None:
    file = LintedFile("x", DOCUMENT, (Finding("malformed-policy", place, "", ""),))
    (located,) = json.loads(to_json([file]))
    assert (located["line"], located["column"]) == (line, column)


def test_a_place_that_nothing_encloses_is_the_document_s_beginning_and_has_no_length() -> None:
    file = LintedFile("x", DOCUMENT, (Finding("malformed-policy", "document", "", ""),))
    (result,) = json.loads(to_sarif([file], "1"))["runs"][0]["results"]
    assert result["locations"][0]["physicalLocation"]["region"] == {
        "startLine": 1,
        "startColumn": 1,
        "endLine": 1,
        "endColumn": 1,
    }


def test_findings_stay_in_their_order_wherever_they_are() -> None:
    file = LintedFile("x", DOCUMENT, FOUND[::-1])
    assert [each["line"] for each in json.loads(to_json([file]))] == [4, 4]
