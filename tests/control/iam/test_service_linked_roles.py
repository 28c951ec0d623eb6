"""The role of EC2 Instance Connect, as boto3 knows it."""

from typing import Any

from tests.control.harness import SUBNET, World, refused

EC2_INSTANCE_CONNECT = "ec2-instance-connect.amazonaws.com"


def test_the_service_linked_role_can_be_made_by_itself_and_once(world: World) -> None:
    iam = world.client("iam")
    made = iam.create_service_linked_role(AWSServiceName=EC2_INSTANCE_CONNECT, Description="for endpoints")
    name = made["Role"]["RoleName"]
    found = iam.get_role(RoleName=name)["Role"]
    assert found == {**made["Role"], "RoleLastUsed": {}}
    assert found["Arn"] == (
        f"arn:aws:iam::123456789012:role/aws-service-role/{EC2_INSTANCE_CONNECT}/"
        "AWSServiceRoleForEC2InstanceConnect"
    )
    again = refused(lambda: iam.create_service_linked_role(AWSServiceName=EC2_INSTANCE_CONNECT))
    assert again == ("InvalidInput", 400)
    bob = world.user("bob", {
        "Effect": "Allow", "Action": "iam:CreateServiceLinkedRole", "Resource": "*",
        "Condition": {"StringEquals": {"iam:AWSServiceName": "s3.amazonaws.com"}},
    })  # fmt: skip
    denied = refused(
        lambda: world.client("iam", bob).create_service_linked_role(AWSServiceName=EC2_INSTANCE_CONNECT)
    )
    assert denied == ("AccessDenied", 403)


def test_the_role_is_deleted_only_when_no_endpoint_uses_it(world: World) -> None:
    iam, ec2 = world.client("iam"), world.client("ec2")
    made = ec2.create_instance_connect_endpoint(SubnetId=SUBNET)["InstanceConnectEndpoint"]
    endpoint = {"InstanceConnectEndpointId": made["InstanceConnectEndpointId"]}
    role = {"RoleName": "AWSServiceRoleForEC2InstanceConnect"}

    def delete() -> Any:
        task = iam.delete_service_linked_role(**role)["DeletionTaskId"]
        assert task.startswith(f"task/aws-service-role/{EC2_INSTANCE_CONNECT}/{role['RoleName']}/")
        return iam.get_service_linked_role_deletion_status(DeletionTaskId=task)

    in_use = delete()
    assert in_use["Status"] == "FAILED"
    (usage,) = in_use["Reason"]["RoleUsageList"]
    assert usage == {"Region": "us-east-1", "Resources": [made["InstanceConnectEndpointArn"]]}
    assert iam.get_role(**role)["Role"]["Path"].startswith("/aws-service-role/")
    ec2.delete_instance_connect_endpoint(**endpoint)
    assert delete()["Status"] == "SUCCEEDED"
    assert refused(lambda: iam.get_role(**role)) == ("NoSuchEntity", 404)
