"""What is looked at on a machine with nothing but a profile."""

import pytest

from hatchway.client.api.profile import Profile, ProfileOptions
from hatchway.doctor.client_examination import examine_client


@pytest.mark.parametrize(
    ("variables", "told"),
    [
        (
            {"HTTPS_PROXY": "http://u:secret@127.0.0.1:1"},
            ["localhost is reached through http://127.0.0.1:1", "the proxy"],
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
    found = [one for one in examine_client(Profile(options)) if one.check in ("proxy", "API")]
    assert len(found) == len(told)
    for finding, text in zip(found, told, strict=True):
        assert text in finding.seen
        assert "secret" not in finding.seen
