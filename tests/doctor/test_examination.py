"""What is looked at in an installation, beyond what each check looks at."""

import pytest
from tests.cli.conftest import installation, listen, opened, template

from hatchway.client.profile import Profile, ProfileOptions
from hatchway.doctor import examination
from hatchway.doctor.findings import Status
from hatchway.installation.installation import Installation

__all__ = ["installation", "opened", "template"]


def test_names_of_gateways_that_no_certificate_can_have_are_warned_of(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ["localhost", *(f"endpoint-{number}.localhost" for number in range(4000))]
    monkeypatch.setattr(examination, "gateway_dns_names", lambda _installation: names)
    listen(installation, "127.0.0.1:1")
    # Nothing listens there, and no name is looked up more than a few times.
    monkeypatch.setattr(examination, "check_name", lambda _name: ())
    found = list(examination._check_planes(installation.directory, installation, ()))
    (warned,) = [one for one in found if one.check == "names of gateways"]
    assert warned.status is Status.WARNING
    assert "of 4001, such as endpoint-" in warned.seen
    assert "{endpoint_id}.DOMAIN" in warned.advice
    assert len(found) < 30
    listen(installation, "127.0.0.1:1", "*.localhost")
    assert "names of gateways" not in {
        one.check for one in examination._check_planes(installation.directory, installation, ())
    }


@pytest.mark.parametrize(
    ("variables", "told"),
    [
        (
            {"HTTPS_PROXY": "http://u:secret@127.0.0.1:1"},
            ["the way to localhost is by http://127.0.0.1:1", "the proxy"],
        ),
        ({"HTTPS_PROXY": "http://u:secret@127.0.0.1:1", "NO_PROXY": "localhost"}, ["Connection refused"]),
        ({"HTTPS_PROXY": "nonsense://"}, ["HTTPS_PROXY names no proxy"]),
    ],
)
def test_a_client_goes_the_way_that_its_tunnels_will_go(
    variables: dict[str, str], told: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "not-used")
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    options = ProfileOptions(endpoint_url="https://localhost:1")
    found = [one for one in examination.examine_client(Profile(options)) if one.check in ("proxy", "API")]
    assert len(found) == len(told)
    for finding, text in zip(found, told, strict=True):
        assert text in finding.seen
        assert "secret" not in finding.seen
