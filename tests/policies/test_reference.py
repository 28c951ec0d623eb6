"""The Service Authorization Reference as lint uses it, on the example policies."""

from pathlib import Path

import pytest

from hatchway.iam.lint import Facts, lint_document
from hatchway.policies.reference import aws_facts

EXAMPLES = Path(__file__).parents[2] / "examples" / "policies"


@pytest.fixture(scope="module")
def facts() -> Facts:
    return aws_facts()


NEVER_MATCHES = [
    ("resource-never-matches", "Statement[0].Action[1]"),
    ("resource-never-matches", "Statement[0].Action[4]"),
]
EMPTY_SCOPE = ("empty-scope", "Statement[1].Resource")
PLACEHOLDER = ("placeholder", "Statement[0].Resource")


@pytest.mark.parametrize(
    ("name", "filled_in", "as_documented"),
    [
        (
            "create-endpoints",
            [*NEVER_MATCHES, EMPTY_SCOPE],
            [PLACEHOLDER, *NEVER_MATCHES, EMPTY_SCOPE],
        ),
        ("connect", [], [PLACEHOLDER]),
        ("connect-from-office", [], [PLACEHOLDER]),
    ],
)
def test_the_example_policies_have_exactly_the_findings_that_they_deserve(
    facts: Facts,
    name: str,
    filled_in: list[tuple[str, str]],
    as_documented: list[tuple[str, str]],
) -> None:
    """As they are, and with the documentation's ``region:account-id`` still in them."""
    text = (EXAMPLES / f"{name}.json").read_text()
    assert [(finding.code, finding.place) for finding in lint_document(text, facts)] == filled_in
    documented = text.replace("us-east-1:123456789012", "region:account-id")
    assert [(finding.code, finding.place) for finding in lint_document(documented, facts)] == as_documented


def test_an_action_has_its_resource_types_and_keys(facts: Facts) -> None:
    service = facts.service("ec2")
    assert service is not None
    action = service.actions["createinstanceconnectendpoint"]
    assert action.name == "ec2:CreateInstanceConnectEndpoint"
    assert {kind.name for kind in action.resource_types} == {
        "instance-connect-endpoint",
        "security-group",
        "subnet",
    }
    assert {"ec2:subnetid", "aws:resourcetag/${tagkey}"} <= action.condition_keys
    assert service.actions["describeinstances"].resource_types == ()
    assert facts.service("no-such-service") is None


def test_the_keys_of_a_tunnel_fit_open_tunnel(facts: Facts) -> None:
    service = facts.service("ec2-instance-connect")
    assert service is not None
    assert service.condition_keys["ec2-instance-connect:privateipaddress"] == "IPAddress"
    assert {
        "ec2-instance-connect:remoteport",
        "ec2-instance-connect:privateipaddress",
        "ec2-instance-connect:maxtunnelduration",
    } <= service.actions["opentunnel"].condition_keys
