"""Which URL a command hands out, and which it refuses where it is given."""

import json
from dataclasses import replace
from functools import partial

import pytest
from tests.cli.conftest import listen

from hatchway.administration.api_urls import check_issuable, elsewhere, for_host, gateway_name_notes, here
from hatchway.domain.network import Instance
from hatchway.errors import BadUsage
from hatchway.installation.api_location import ApiLocation
from hatchway.installation.installation import Installation, private_addresses
from hatchway.settings import Address
from hatchway.transport.own_addresses import interface_addresses

NAME = "hatchway.example"
FAR = Instance(
    id="i-1", name="far", vpc_id="vpc-1", subnet_id="subnet-1", private_ip="203.0.113.9", ipv6=None,
    security_group_ids=(),
)  # fmt: skip
NEAR = replace(FAR, name="near", private_ip="127.0.40.1")


def refusal(installation: Installation, url: str) -> str:
    with pytest.raises(BadUsage) as refused:
        for_host(installation, url, FAR, private_ca=True)
    return str(refused.value)


@pytest.mark.parametrize("host", ["hatchway.other.example", "198.51.100.7"])
def test_an_address_that_no_certificate_covers_is_refused_where_it_is_given(
    installation: Installation, host: str
) -> None:
    listen(installation, "10.9.9.9:8443")
    for asked in (here, elsewhere):
        with pytest.raises(BadUsage, match=f"the API's certificate is not for {host}"):
            asked(installation, f"https://{host}:8443", private_ca=True)
    problem = refusal(installation, f"https://{host}:8443")
    assert "10.9.9.9" in problem
    assert "--api-cert" in problem


def test_a_name_for_which_the_ca_may_issue_is_to_be_told_to_the_server(installation: Installation) -> None:
    listen(installation, "10.9.9.9:8443")
    assert "--api-name 10.8.8.8" in refusal(installation, "https://10.8.8.8:8443")
    listen(installation, "10.9.9.9:8443", "10.8.8.8", "api.localhost")
    assert for_host(installation, "https://10.8.8.8:8443", FAR, private_ca=True).notes == ()
    assert here(installation, "https://api.localhost", private_ca=True).url == "https://api.localhost"


def test_of_an_address_that_nobody_gave_no_option_is_named_but_as_the_way_out(
    installation: Installation,
) -> None:
    listen(installation, "127.0.0.1:8443")
    noted = ApiLocation.read(installation.directory)
    replace(noted, url="https://8.8.8.8:8443").write(installation.directory)
    for ask, option in ((partial(for_host, instance=FAR), "--api-url"), (here, "--endpoint-url")):
        with pytest.raises(BadUsage) as caught:
            ask(installation, None, private_ca=True)
        told = str(caught.value)
        assert told.startswith("the API's own address https://8.8.8.8:8443: the API's certificate is not for")
        assert f": give {option} with a name or address of these, or" in told


@pytest.mark.parametrize("host", ["0.0.0.0", "[::]"])
def test_where_a_server_listens_everywhere_is_no_address_to_give(
    installation: Installation, host: str
) -> None:
    listen(installation, "0.0.0.0:8443")
    assert "nobody reaches it there" in refusal(installation, f"https://{host}:8443")


@pytest.mark.parametrize(
    "url",
    [
        "localhost:8443",
        "http://localhost:8443",
        "https://",
        "https://a b",
        "https://localhost:0",
        "https://x:y",
    ],
)
def test_what_is_no_url_of_an_api_is_refused(installation: Installation, url: str) -> None:
    assert "is not an https:// URL of an API" in refusal(installation, url)


def test_an_api_that_listens_everywhere_has_a_certificate_for_the_machines_addresses(
    installation: Installation,
) -> None:
    listen(installation, "0.0.0.0:8443")
    for address in private_addresses():
        url = f"https://{Address(address, 8443)}"
        assert for_host(installation, url, FAR, private_ca=True).url == url
    assert set(private_addresses()) <= interface_addresses()


def test_a_host_is_not_sent_to_itself(installation: Installation) -> None:
    with pytest.raises(
        BadUsage, match=r"leads nowhere from far: start the server with --api 0\.0\.0\.0:8443"
    ):
        for_host(installation, None, FAR, private_ca=True)
    assert for_host(installation, None, NEAR, private_ca=True).url == "https://127.0.0.1:8443"
    (note,) = for_host(installation, "https://localhost:8443", FAR, private_ca=True).notes
    assert "the host itself" in note


def test_a_host_asks_at_the_address_that_it_is_reached_from(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    listen(installation, "0.0.0.0:8443", "10.0.1.254")
    monkeypatch.setattr(
        "hatchway.administration.api_urls._source_address_towards", lambda _instance: "10.0.1.254"
    )
    assert for_host(installation, None, FAR, private_ca=True).url == "https://10.0.1.254:8443"
    monkeypatch.setattr("hatchway.administration.api_urls._source_address_towards", lambda _instance: None)
    with pytest.raises(BadUsage, match="give --api-url"):
        for_host(installation, None, FAR, private_ca=True)


def test_before_a_server_has_said_where_it_listens_it_is_told_that_a_profiles_url_is_the_defaults(
    installation: Installation,
) -> None:
    url = here(installation, None, private_ca=True)
    assert url.url == "https://127.0.0.1:8443"
    (note,) = url.notes
    assert "no server has noted yet where its API listens" in note
    assert "endpoint_url" in note
    assert here(installation, "https://localhost:8443", private_ca=True).notes == ()
    listen(installation, "127.0.0.1:9443")
    assert here(installation, None, private_ca=True).notes == ()


def test_another_machine_is_not_sent_to_this_ones_loopback(installation: Installation) -> None:
    with pytest.raises(BadUsage, match=r"leads nowhere on another machine: start the server"):
        elsewhere(installation, None, private_ca=True)
    listen(installation, "0.0.0.0:8443")
    with pytest.raises(BadUsage, match=r"leads nowhere on another machine: give --endpoint-url"):
        elsewhere(installation, None, private_ca=True)
    assert here(installation, None, private_ca=True).url == "https://localhost:8443"


def test_what_stands_in_front_of_a_certificate_of_ones_own_may_have_another(
    installation: Installation,
) -> None:
    directory = installation.directory
    location = ApiLocation.of(
        Address("10.9.9.9", 8443), NAME, private_ca=False, certificate=directory.server_certificate
    )
    location.write(directory)
    assert here(installation, "https://localhost:8443", private_ca=False).notes == ()
    (note,) = here(installation, "https://hatchway.example", private_ca=False).notes
    assert "not for hatchway.example" in note


def test_what_an_earlier_version_noted_is_read(installation: Installation) -> None:
    directory = installation.directory
    directory.api_location.write_text(json.dumps({"url": "https://10.9.9.9:8443", "private_ca": True}))
    location = ApiLocation.read(directory)
    assert (location.url, location.certificate) == ("https://10.9.9.9:8443", directory.server_certificate)
    directory.api_location.write_text(json.dumps({"url": "https://10.9.9.9:8443", "private_ca": False}))
    assert ApiLocation.read(directory).certificate is None


def test_a_new_name_of_gateways_is_told_what_its_certificate_takes(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ["localhost", "cage.localhost", "cage.hatchway.example"]
    monkeypatch.setattr("hatchway.administration.api_urls.gateway_dns_names", lambda _installation: names)
    assert gateway_name_notes(installation, names) == []
    reloaded, of_its_own = gateway_name_notes(installation, ["localhost"])
    assert "the name cage.localhost when the server is reloaded (SIGHUP) or started again" in reloaded
    assert "may not issue for cage.hatchway.example" in of_its_own


def test_thousands_of_new_names_are_told_in_a_few_lines_with_what_to_do(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ["localhost", *(f"endpoint-{number}.localhost" for number in range(6000))]
    monkeypatch.setattr("hatchway.administration.api_urls.gateway_dns_names", lambda _installation: names)
    *notes, too_many = gateway_name_notes(installation, ["localhost"])
    assert 2 < len(notes) < 30
    assert notes[-1].startswith("and so on for ")
    assert "of the 6001 names of gateways, such as endpoint-" in too_many
    assert "{endpoint_id}.DOMAIN" in too_many
    listen(installation, "127.0.0.1:8443", "*.localhost")
    assert gateway_name_notes(installation, ["localhost"]) == []


@pytest.mark.parametrize(
    ("names", "own", "problem"),
    [
        (("hatchway.other.example",), False, "may not issue for it"),
        (("198.51.100.7",), False, "may not issue for it"),
        (("a b",), False, "neither a host name nor an address"),
        (("api.localhost",), True, "yours has the names that it has"),
        (("*.*.localhost",), False, "neither a host name nor an address"),
        (("api.localhost", "10.1.2.3", "*.localhost"), False, None),
        ((), True, None),
    ],
)
def test_a_name_that_no_certificate_can_have_is_refused(
    installation: Installation, names: tuple[str, ...], own: bool, problem: str | None
) -> None:
    directory = installation.directory
    if problem is None:
        check_issuable("--api-name", directory, names, own_certificate=own)
    else:
        with pytest.raises(BadUsage, match=problem):
            check_issuable("--api-name", directory, names, own_certificate=own)
