"""`DryRun` of every operation that has it: the permissions are checked, and nothing else happens."""

from typing import Any

import pytest
from botocore import xform_name
from botocore.exceptions import ClientError
from tests.control.harness import World
from tests.control.parameters import required_parameters
from tests.control.test_condition_keys import EVERYTHING, PARAMETERS, session

from hatchway.control.catalogue import OPERATIONS
from hatchway.control.services import services

__all__ = ["session"]

WITH_DRY_RUN = sorted(
    (service, name)
    for service, name in OPERATIONS
    if (shape := services()[service].model.operation_model(name).input_shape) and "DryRun" in shape.members
)


@pytest.fixture(scope="module")
def people(module_world: World) -> tuple[Any, Any]:
    """Somebody who may do everything, and somebody who may do nothing."""
    return module_world.user("may", EVERYTHING), module_world.user("may-not")


@pytest.mark.parametrize(("service", "name"), WITH_DRY_RUN)
def test_a_dry_run_says_whether_the_caller_may_and_does_nothing(
    module_world: World, people: tuple[Any, Any], service: str, name: str
) -> None:
    parameters = {**required_parameters(service, name), **PARAMETERS.get((service, name), {}), "DryRun": True}
    before = module_world.store.revision()
    told = []
    for who in people:
        with pytest.raises(ClientError) as caught:
            getattr(module_world.client(service, who), xform_name(name))(**parameters)
        told.append(caught.value.response["Error"]["Code"])
    refused = "UnauthorizedOperation" if service == "ec2" else "AccessDeniedException"
    assert told == ["DryRunOperation", refused]
    assert module_world.store.revision() == before
