"""What is looked at in an installation, beyond what each check looks at."""

import pytest
from tests.cli.conftest import installation, listen, opened, template

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
