"""What AWS's clients make of calls of services that are not here."""

from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError
from tests.control.harness import World

CALLS: dict[str, Callable[[Any], object]] = {
    "s3": lambda s3: s3.list_buckets(),
    "s3 with a path": lambda s3: s3.get_object(Bucket="b", Key="k"),
    "dynamodb": lambda dynamodb: dynamodb.list_tables(),
    "sqs": lambda sqs: sqs.list_queues(),
    "cloudwatch": lambda cloudwatch: cloudwatch.list_metrics(),
    "ssm": lambda ssm: ssm.describe_instance_information(),
    "lambda": lambda functions: functions.list_functions(),
    "rds": lambda rds: rds.describe_db_instances(),
    "route53": lambda route53: route53.list_hosted_zones(),
    "sns": lambda sns: sns.list_topics(),
}


@pytest.mark.parametrize("call", CALLS)
def test_a_service_that_is_not_here_is_said_not_to_be(world: World, call: str) -> None:
    name = call.partition(" ")[0]
    with pytest.raises(ClientError) as refusal:
        CALLS[call](world.client(name))
    error = refusal.value.response["Error"]
    assert error["Code"] == "UnknownService"
    signed_for = {"cloudwatch": "monitoring"}.get(name, name)
    assert error["Message"].startswith(
        f"Hatchway does not have the service {signed_for}, only ec2, ec2-instance-connect, iam,"
    )
    assert refusal.value.response["ResponseMetadata"]["RequestId"] in error["Message"]
