"""An endpoint's state says whether tunnels begin there."""

from datetime import UTC, datetime

import pytest

from hatchway.domain.endpoint import Endpoint, EndpointState, IpAddressType


def endpoint(state: EndpointState) -> Endpoint:
    return Endpoint(
        id="eice-1",
        name=None,
        vpc_id="vpc-1",
        subnet_id="subnet-1",
        availability_zone="us-east-1a",
        dns_name="gateway.example.com",
        state=state,
        state_message="",
        created_at=datetime(2026, 11, 24, tzinfo=UTC),
        deleted_at=None,
        security_group_ids=("sg-1",),
        network_interface_ids=("eni-1",),
        preserve_client_ip=False,
        ip_address_type=IpAddressType.IPV4,
        max_tunnels=None,
    )


@pytest.mark.parametrize("state", list(EndpointState))
def test_it_is_usable_once_created_and_while_or_after_it_is_updated(state: EndpointState) -> None:
    usable = {"create-complete", "update-in-progress", "update-complete", "update-failed"}

    assert endpoint(state).usable is (state.value in usable)


@pytest.mark.parametrize("state", list(EndpointState))
def test_it_is_deleted_when_its_deletion_is_complete_and_not_before(state: EndpointState) -> None:
    assert endpoint(state).deleted is (state.value == "delete-complete")
