"""Amazon Resource Names of what a policy can name (AWS: "Service Authorization Reference").

`arn:aws:service:region:account:resource`. IAM's ARNs have no region.
"""

from dataclasses import dataclass

SERVICE_LINKED_ROLE_NAME = "AWSServiceRoleForEC2InstanceConnect"
SERVICE_LINKED_SERVICE = "ec2-instance-connect.amazonaws.com"


@dataclass(frozen=True, slots=True)
class Arns:
    """Makes the ARNs of one account in one region."""

    account: str
    region: str

    def _ec2(self, resource: str) -> str:
        return f"arn:aws:ec2:{self.region}:{self.account}:{resource}"

    def _iam(self, resource: str) -> str:
        return f"arn:aws:iam::{self.account}:{resource}"

    def vpc(self, vpc_id: str) -> str:
        return self._ec2(f"vpc/{vpc_id}")

    def subnet(self, subnet_id: str) -> str:
        return self._ec2(f"subnet/{subnet_id}")

    def security_group(self, group_id: str) -> str:
        return self._ec2(f"security-group/{group_id}")

    def security_group_rule(self, rule_id: str) -> str:
        return self._ec2(f"security-group-rule/{rule_id}")

    def network_interface(self, interface_id: str) -> str:
        return self._ec2(f"network-interface/{interface_id}")

    def instance(self, instance_id: str) -> str:
        return self._ec2(f"instance/{instance_id}")

    def endpoint(self, endpoint_id: str) -> str:
        return self._ec2(f"instance-connect-endpoint/{endpoint_id}")

    @property
    def unnamed(self) -> str:
        """What nothing is called: a pattern that matches it means EC2's resources as a whole."""
        return self._ec2("no-kind/of-resource")

    def tunnel(self, tunnel_id: str) -> str:
        return f"arn:aws:hatchway:{self.region}:{self.account}:tunnel/{tunnel_id}"

    def enrollment_token(self, token_id: str) -> str:
        return f"arn:aws:hatchway:{self.region}:{self.account}:enrollment-token/{token_id}"

    def machine(self, machine_id: str) -> str:
        return f"arn:aws:hatchway:{self.region}:{self.account}:machine/{machine_id}"

    def user(self, name: str, path: str = "/") -> str:
        return self._iam(f"user{path}{name}")

    def group(self, name: str, path: str = "/") -> str:
        return self._iam(f"group{path}{name}")

    def role(self, name: str, path: str = "/") -> str:
        return self._iam(f"role{path}{name}")

    def assumed_role(self, role_name: str, session_name: str) -> str:
        """A role session's; the role's path is not in it (AWS: "IAM identifiers")."""
        return f"arn:aws:sts::{self.account}:assumed-role/{role_name}/{session_name}"

    def managed_policy(self, name: str, path: str = "/") -> str:
        return self._iam(f"policy{path}{name}")

    def service_linked_role(self, service: str, name: str) -> str:
        return self._iam(f"role/aws-service-role/{service}/{name}")

    @property
    def root(self) -> str:
        return self._iam("root")
