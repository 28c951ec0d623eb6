"""Names of OS users."""

from botocore.loaders import Loader

from hatchway.client.discovery.os_user import LENGTHS, PATTERN


def test_the_rule_is_that_of_botocores_model() -> None:
    loader = Loader([Loader.BUILTIN_DATA_PATH], include_default_search_paths=False)
    shape = loader.load_service_model("ec2-instance-connect", "service-2")["shapes"]["InstanceOSUser"]
    assert (shape["pattern"], (shape["min"], shape["max"])) == (PATTERN, LENGTHS)
