import ipaddress
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hatchway.access.authentication import HttpRequest
from hatchway.access.open_tunnel import TunnelRequest
from hatchway.domain.addresses import parse_address
from hatchway.gateway.admission import request
from hatchway.gateway.admission.request import PATH, BadParameter, claimed_key_id, read_tunnel_request


def asked_for(query: str, longest: int = 3600) -> TunnelRequest:
    return read_tunnel_request(HttpRequest("GET", PATH, query, ()).parameters, longest)


GOOD = "instanceConnectEndpointId=eice-0123&remotePort=22&privateIpAddress=10.0.1.1"


def test_the_aws_clis_request_is_read() -> None:
    assert asked_for(f"{GOOD}&maxTunnelDuration=600&X-Amz-Date=20261124T061723Z") == TunnelRequest(
        endpoint_id="eice-0123", private_ip="10.0.1.1", remote_port=22, max_duration=600
    )


def test_nothing_long_is_remembered_of_what_is_asked_for() -> None:
    request._read_again.cache_clear()
    for number in range(5):
        asked_for(f"{GOOD}&x-amz-extra={number}{'x' * 10_000}&X-Amz-Date={number}{'x' * 10_000}")
    assert request._read_again.cache_info().currsize == 0
    for number in range(5):
        asked_for(f"{GOOD}&X-Amz-Date={number}{'x' * 10_000}")
    assert request._read_again.cache_info().currsize == 1


def test_a_duration_that_is_not_given_is_an_hour() -> None:
    assert asked_for(GOOD).max_duration == 3600
    assert asked_for(GOOD, longest=86_400).max_duration == 3600


def test_more_than_an_hour_may_be_asked_for_up_to_what_the_account_allows() -> None:
    assert asked_for(f"{GOOD}&maxTunnelDuration=7200", longest=7200).max_duration == 7200
    with pytest.raises(BadParameter, match="Specify a number from 1 to 7200"):
        asked_for(f"{GOOD}&maxTunnelDuration=7201", longest=7200)


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("fd00::1", "fd00::1"),
        ("FD00:0:0::0001", "fd00::1"),
        ("fd00%3A%3A1", "fd00::1"),
        ("::ffff:10.0.1.1", "10.0.1.1"),
    ],
)
def test_an_address_is_read_in_its_canonical_form(written: str, read: str) -> None:
    assert asked_for(GOOD.replace("10.0.1.1", written)).private_ip == read


addresses = st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6))


@given(address=addresses, data=st.data())
def test_policies_the_network_and_the_connection_mean_one_address_however_it_is_written(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address, data: st.DataObject
) -> None:
    spellings = [str(address), address.exploded, str(address).upper(), quote(str(address), safe="")]
    if address.version == 4:
        high, low = divmod(int(address), 1 << 16)
        spellings += [f"::ffff:{address}", f"0:0:0:0:0:FFFF:{address}", f"::FFFF:{high:x}:{low:04x}"]
    request = asked_for(GOOD.replace("10.0.1.1", data.draw(st.sampled_from(spellings))))
    meant = parse_address(request.private_ip)
    assert str(meant) == request.private_ip
    assert meant == (getattr(address, "ipv4_mapped", None) or address)


BAD = {
    "remotePort": [
        "",
        "0",
        "65536",
        "-1",
        "+22",
        "022",
        "22.0",
        "2e1",
        "0x16",
        " 22",
        "٢٢",
        "ssh",
        "99999999999",
    ],
    "maxTunnelDuration": ["", "0", "3601", "-1", "1.5", "forever", "00600"],
    "privateIpAddress": [
        "",
        "localhost",
        "10.0.1",
        "10.0.1.256",
        "010.0.1.1",
        "10.0.1.1/32",
        "fe80::1%25eth0",
        "10.0.1.1%25eth0",
        "::ffff:10.0.1.1%25lo",
        "::ffff:010.0.1.1",
        "167772161",
        "0xa000101",
        "0xa.0.1.1",
        "012.0.1.1",
        "10.1",
        "10.0.257",
        "10.0.1.1.",
        "%2010.0.1.1",
        "10.0.1.1%20",
        "10.0.1.1%0A",
        "10.0.1.1%00",
        "%5Bfd00::1%5D",
        "fd00::1::2",
        "0fd00::1",
        "%D9%A1%D9%A0.0.1.1",
        "10%E3%80%820.1.1",
    ],
    "instanceConnectEndpointId": ["", "eice-", "vpce-1", "eice-1/../2", "eice-" + "a" * 65, "eice-1%0A"],
}


@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name, values in BAD.items() for value in values]
)
def test_a_value_that_cannot_be_is_refused_by_name(name: str, value: str) -> None:
    pairs = [pair for pair in f"{GOOD}&maxTunnelDuration=600".split("&") if not pair.startswith(name)]
    with pytest.raises(BadParameter, match=f"The specified {name} is not valid") as bad:
        asked_for("&".join([*pairs, f"{name}={value}"]))
    assert bad.value.parameter == name


@pytest.mark.parametrize("name", ["instanceConnectEndpointId", "remotePort", "privateIpAddress"])
def test_a_missing_parameter_is_named(name: str) -> None:
    pairs = [pair for pair in GOOD.split("&") if not pair.startswith(name)]
    with pytest.raises(BadParameter, match=f"{name} is missing"):
        asked_for("&".join(pairs))


@pytest.mark.parametrize("extra", ["instanceId=i-1", "remoteport=22", "privateIpAddress%20=1", "=", "x"])
def test_an_unknown_parameter_is_refused(extra: str) -> None:
    with pytest.raises(BadParameter, match="not known"):
        asked_for(f"{GOOD}&{extra}")


@pytest.mark.parametrize("again", ["remotePort=22", "remote%50ort=22", "privateIpAddress=10.0.1.2"])
def test_a_parameter_given_twice_is_refused(again: str) -> None:
    with pytest.raises(BadParameter, match="more than once"):
        asked_for(f"{GOOD}&{again}")


@given(st.text(max_size=200))
def test_whatever_is_sent_is_read_or_refused_with_a_short_message(query: str) -> None:
    try:
        asked_for(query)
    except BadParameter as bad:
        assert len(bad.problem) < 1000
        assert len(bad.parameter) <= 64


@pytest.mark.parametrize(
    ("query", "key_id"),
    [
        (
            "remotePort=22&X-Amz-Credential=AKIAALICEALICEALICE0%2F20261124%2Fus-east-1",
            "AKIAALICEALICEALICE0",
        ),
        ("X-Amz-Credential=AKIAALICEALICEALICE0/20261124", "AKIAALICEALICEALICE0"),
        ("Not-X-Amz-Credential=AKIAALICEALICEALICE0/", ""),
        (
            "Not-X-Amz-Credential=AKIAMALLORYMALLORY00/&X-Amz-Credential=AKIAALICEALICEALICE0/",
            "AKIAALICEALICEALICE0",
        ),
        ("X-Amz-Credential=" + "A" * 129 + "/", ""),
        ("", ""),
    ],
)
def test_a_url_claims_the_key_that_its_credential_names(query: str, key_id: str) -> None:
    assert claimed_key_id(query) == key_id
