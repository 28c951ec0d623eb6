"""AWS's global condition keys, and which of them a request to Hatchway carries.

What a request does not carry is absent to a condition: a positive operator fails, so that a Deny which
relies on such a key denies nobody. So each key that AWS lists ("AWS global condition context keys",
cross-service keys among them) has a row here. Enforcement sends what the table says, simulation starts from
it, lint warns by it, and docs/iam.md shows it.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final, NamedTuple


class Presence(StrEnum):
    """Whether requests carry a key."""

    ALWAYS = "always"
    SOMETIMES = "sometimes"
    NEVER = "never"


class GlobalKey(NamedTuple):
    """One key: its name, its type in AWS's words, whether requests carry it, and when, or why not.

    A name with a placeholder stands for many keys. `constant` is the value that it has in every request,
    None for one that differs. `by_action` keys come with some actions only, which the services' own
    references tell.
    """

    name: str
    type: str
    presence: Presence
    when: str
    constant: str | None = None
    by_action: bool = False


_NO_SERVICES = "no service makes calls, for itself or for others"
_NO_ORGANIZATION = "accounts belong to no organization"
_NO_VPC_ENDPOINTS = "there are no VPC endpoints"
_TEMPORARY = "with temporary credentials"
_NO_FACTORS = "there are no second factors"
_NO_FEDERATION = "no role is assumed with an identity provider's token"
_NO_ASSUMED_ROOT = "the root user cannot be assumed"
_NO_INSTANCE_ROLES = "no service hands out credentials"
_NO_MCP = "there is no managed MCP server"

_ALWAYS, _SOMETIMES, _NEVER = Presence.ALWAYS, Presence.SOMETIMES, Presence.NEVER

GLOBAL_KEYS: Final = (
    # of the principal
    GlobalKey(
        "aws:PrincipalArn",
        "ARN",
        _ALWAYS,
        "the ARN of the user or the account's root user; for a session, the role's",
    ),
    GlobalKey("aws:PrincipalAccount", "String", _ALWAYS, "the account"),
    GlobalKey(
        "aws:PrincipalType", "String", _ALWAYS, "`User`, `AssumedRole`, or `Account` for the root user"
    ),
    GlobalKey(
        "aws:userid",
        "String",
        _ALWAYS,
        "the user's unique id, the account for the root user, or `AROA…:session-name`",
    ),
    GlobalKey(
        "aws:username", "String", _SOMETIMES, "the user's name; the root user and role sessions have none"
    ),
    GlobalKey(
        "aws:PrincipalTag/${TagKey}",
        "String",
        _SOMETIMES,
        "for each tag of the user, or of the role and its session",
    ),
    GlobalKey("aws:PrincipalIsAWSService", "Bool", _ALWAYS, "`false`", constant="false"),
    GlobalKey("aws:PrincipalServiceName", "String", _NEVER, _NO_SERVICES),
    GlobalKey("aws:PrincipalServiceNamesList", "ArrayOfString", _NEVER, _NO_SERVICES),
    GlobalKey("aws:PrincipalOrgID", "String", _NEVER, _NO_ORGANIZATION),
    GlobalKey("aws:PrincipalOrgPaths", "ArrayOfString", _NEVER, _NO_ORGANIZATION),
    # of the session
    GlobalKey("aws:TokenIssueTime", "Date", _SOMETIMES, f"{_TEMPORARY}: when they were made"),
    GlobalKey("aws:MultiFactorAuthPresent", "Bool", _SOMETIMES, f"{_TEMPORARY}: `false`"),
    GlobalKey("aws:MultiFactorAuthAge", "Numeric", _NEVER, _NO_FACTORS),
    GlobalKey("aws:FederatedProvider", "String", _NEVER, _NO_FEDERATION),
    GlobalKey("aws:SourceIdentity", "String", _SOMETIMES, "for a session for which one was set"),
    GlobalKey("aws:AssumedRoot", "String", _NEVER, _NO_ASSUMED_ROOT),
    GlobalKey("aws:ChatbotSourceArn", "ARN", _NEVER, _NO_INSTANCE_ROLES),
    GlobalKey("aws:Ec2InstanceSourceVpc", "String", _NEVER, _NO_INSTANCE_ROLES),
    GlobalKey("aws:Ec2InstanceSourcePrivateIPv4", "IPAddress", _NEVER, _NO_INSTANCE_ROLES),
    GlobalKey("ec2:RoleDelivery", "Numeric", _NEVER, _NO_INSTANCE_ROLES),
    GlobalKey("ec2:SourceInstanceArn", "ARN", _NEVER, _NO_INSTANCE_ROLES),
    GlobalKey("glue:RoleAssumedBy", "String", _NEVER, _NO_INSTANCE_ROLES),
    GlobalKey("glue:CredentialIssuingService", "String", _NEVER, _NO_INSTANCE_ROLES),
    GlobalKey("lambda:SourceFunctionArn", "ARN", _NEVER, _NO_INSTANCE_ROLES),
    GlobalKey("ssm:SourceInstanceArn", "ARN", _NEVER, _NO_INSTANCE_ROLES),
    GlobalKey("identitystore:UserId", "String", _NEVER, _NO_INSTANCE_ROLES),
    # of the network
    GlobalKey("aws:SourceIp", "IPAddress", _ALWAYS, "the client's address"),
    GlobalKey("aws:SourceVpc", "String", _NEVER, _NO_VPC_ENDPOINTS),
    GlobalKey("aws:SourceVpcArn", "ARN", _NEVER, _NO_VPC_ENDPOINTS),
    GlobalKey("aws:SourceVpce", "String", _NEVER, _NO_VPC_ENDPOINTS),
    GlobalKey("aws:VpcSourceIp", "IPAddress", _NEVER, _NO_VPC_ENDPOINTS),
    GlobalKey("aws:VpceAccount", "String", _NEVER, _NO_VPC_ENDPOINTS),
    GlobalKey("aws:VpceOrgID", "String", _NEVER, _NO_VPC_ENDPOINTS),
    GlobalKey("aws:VpceOrgPaths", "ArrayOfString", _NEVER, _NO_VPC_ENDPOINTS),
    # of the resource
    GlobalKey("aws:ResourceAccount", "String", _SOMETIMES, "the account, unless the resource is `*`"),
    GlobalKey(
        "aws:ResourceTag/${TagKey}", "String", _SOMETIMES, "for each tag of the resource", by_action=True
    ),
    GlobalKey("aws:ResourceOrgID", "String", _NEVER, _NO_ORGANIZATION),
    GlobalKey("aws:ResourceOrgPaths", "ArrayOfString", _NEVER, _NO_ORGANIZATION),
    # of the request
    GlobalKey("aws:CurrentTime", "Date", _ALWAYS, "now, in UTC"),
    GlobalKey("aws:EpochTime", "Date", _ALWAYS, "now, in seconds since 1970"),
    GlobalKey("aws:RequestedRegion", "String", _ALWAYS, "the region"),
    GlobalKey("aws:SecureTransport", "Bool", _ALWAYS, "whether the request came over TLS"),
    GlobalKey(
        "aws:UserAgent",
        "String",
        _ALWAYS,
        "the client's User-Agent, at most 1,024 characters; empty if it sends none",
    ),
    GlobalKey("aws:ViaAWSService", "Bool", _ALWAYS, "`false`", constant="false"),
    GlobalKey(
        "aws:RequestTag/${TagKey}", "String", _SOMETIMES, "for each tag that the call sets", by_action=True
    ),
    GlobalKey(
        "aws:TagKeys",
        "ArrayOfString",
        _SOMETIMES,
        "the keys of the tags that the call sets or removes",
        by_action=True,
    ),
    GlobalKey("aws:CalledVia", "ArrayOfString", _NEVER, _NO_SERVICES),
    GlobalKey("aws:CalledViaFirst", "String", _NEVER, _NO_SERVICES),
    GlobalKey("aws:CalledViaLast", "String", _NEVER, _NO_SERVICES),
    GlobalKey("aws:ViaAWSMCPService", "Bool", _NEVER, _NO_MCP),
    GlobalKey("aws:CalledViaAWSMCP", "String", _NEVER, _NO_MCP),
    GlobalKey("aws:IsMcpServiceAction", "Bool", _NEVER, _NO_MCP),
    GlobalKey("aws:Referer", "String", _NEVER, "browsers do not call these services"),
    GlobalKey("aws:SourceAccount", "String", _NEVER, _NO_SERVICES),
    GlobalKey("aws:SourceArn", "ARN", _NEVER, _NO_SERVICES),
    GlobalKey("aws:SourceOwner", "String", _NEVER, _NO_SERVICES),
    GlobalKey("aws:SourceOrgID", "String", _NEVER, _NO_SERVICES),
    GlobalKey("aws:SourceOrgPaths", "ArrayOfString", _NEVER, _NO_SERVICES),
)

CONSTANT_KEYS: Final = {key.name: key.constant for key in GLOBAL_KEYS if key.constant is not None}
"""The keys that have the same value in every request."""

_BY_NAME: Final = {key.name.lower().partition("${")[0]: key for key in GLOBAL_KEYS}


def global_key(name: str) -> GlobalKey | None:
    """The row of a key, whatever its case; of any tag's key that of all tags'. None when it is not global."""
    folded = name.lower()
    found = _BY_NAME.get(folded)
    if found is None:
        head, slash, _ = folded.partition("/")
        return _BY_NAME.get(f"{head}/") if slash else None
    return None if found.name.endswith("}") else found
