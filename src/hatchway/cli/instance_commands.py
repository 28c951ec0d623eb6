"""Commands for hosts that are registered one by one, or register themselves: they talk to the API."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from hatchway.cli.client_options import CallerArguments, client_errors
from hatchway.cli.option_groups import with_option_groups
from hatchway.cli.options import Json
from hatchway.cli.printable import give, say
from hatchway.errors import BadUsage

if TYPE_CHECKING:
    from collections.abc import Sequence

_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_InstanceId = Annotated[
    str,
    typer.Argument(
        metavar="HOST",
        help="The host, by its Name tag, private address, or instance id or the beginning of one.",
    ),
]
_Subnet = Annotated[str | None, typer.Option(metavar="ID", help="The subnet's id, or its beginning.")]
_PrivateIp = Annotated[str | None, typer.Option(metavar="ADDRESS", help="Its IPv4 address.")]
_Ipv6 = Annotated[str | None, typer.Option("--ipv6", metavar="ADDRESS", help="Its IPv6 address.")]
_Groups = Annotated[
    list[str] | None,
    typer.Option(
        "--security-group", metavar="ID", help="A security group, by its id or as VPC/GROUP; repeatable."
    ),
]
_State = Annotated[str | None, typer.Option(metavar="running|stopped|terminated", help="Its state.")]
_Type = Annotated[
    str | None, typer.Option("--instance-type", metavar="NAME", help="What kind of machine it is.")
]
_Tags = Annotated[list[str] | None, typer.Option("--tag", metavar="KEY=VALUE", help="A tag; repeatable.")]


def register(app: typer.Typer) -> None:
    instance = typer.Typer(help="Register, change and remove single hosts.", rich_markup_mode=None)
    instance.command("register")(register_instance)
    instance.command("modify")(modify)
    instance.command("deregister")(deregister)
    app.add_typer(instance, name="instance")


def token_commands() -> typer.Typer:
    """The commands on enrollment tokens: `hatchway host token`."""
    token = typer.Typer(help="Tokens with which hosts register themselves.", rich_markup_mode=None)
    token.command("create")(create_token)
    token.command("list")(list_tokens)
    token.command("delete")(delete_token)
    return token


@with_option_groups
def register_instance(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Its name, which must be unique.")],
    *,
    subnet: Annotated[str, typer.Option(metavar="ID", help="The subnet's id, or its beginning.")],
    private_ip: _PrivateIp = None,
    ipv6: _Ipv6 = None,
    security_group: _Groups = None,
    state: _State = None,
    instance_type: _Type = None,
    id_: Annotated[
        str | None, typer.Option("--id", metavar="ID", help="Its id; by default derived from its name.")
    ] = None,
    tag: _Tags = None,
    json: Json = False,
    caller: CallerArguments,
) -> None:
    """Register a host, so that tunnels can reach it.

    It gets a Name tag unless you give one. Needs the permission hatchway:RegisterInstance on the subnet.

    \b
    Example:
      hatchway instance register web-7 --subnet subnet-633e732a93bf36469 --private-ip 10.0.1.7 --tag env=dev
    """
    told = _call(
        caller,
        "RegisterInstance",
        Name=name,
        SubnetId=subnet,
        PrivateIpAddress=private_ip,
        Ipv6Address=ipv6,
        SecurityGroupIds=security_group or None,
        State=state,
        InstanceType=instance_type,
        InstanceId=id_,
        Tags=_tags({"Name": name, **_read_tags(tag)}),
    )
    _tell_instance(told["Instance"], "Registered", json=json)


@with_option_groups
def modify(
    instance: _InstanceId,
    *,
    name: Annotated[str | None, typer.Option(metavar="NAME", help="Its new name.")] = None,
    subnet: _Subnet = None,
    private_ip: _PrivateIp = None,
    ipv6: _Ipv6 = None,
    security_group: _Groups = None,
    state: _State = None,
    instance_type: _Type = None,
    tag: _Tags = None,
    json: Json = False,
    caller: CallerArguments,
) -> None:
    """Change a registered host. What you do not give stays the same.

    An empty address or type removes it; the tags that you give replace all that it has. Needs the
    permission hatchway:ModifyInstance on the instance, and on a new subnet.

    \b
    Example:
      hatchway instance modify i-0123456789abcdef0 --state stopped
    """
    told = _call(
        caller,
        "ModifyInstance",
        InstanceId=instance,
        Name=name,
        SubnetId=subnet,
        PrivateIpAddress=private_ip,
        Ipv6Address=ipv6,
        SecurityGroupIds=security_group or None,
        State=state,
        InstanceType=instance_type,
        Tags=_tags(_read_tags(tag)) if tag else None,
    )
    _tell_instance(told["Instance"], "Changed", json=json)


@with_option_groups
def deregister(instance: _InstanceId, *, json: Json = False, caller: CallerArguments) -> None:
    """Remove a host, with its host token and the keys pushed to it.

    Needs the permission hatchway:DeregisterInstance on the instance.

    \b
    Example:
      hatchway instance deregister i-0123456789abcdef0
    """
    told = _call(caller, "DeregisterInstance", InstanceId=instance)
    _tell_instance(told["Instance"], "Took out", json=json)


@with_option_groups
def create_token(
    *,
    subnet: Annotated[
        str,
        typer.Option(metavar="ID", help="The hosts' subnet, by its id or as VPC/SUBNET."),
    ],
    security_group: _Groups = None,
    tag: _Tags = None,
    tags: Annotated[
        str | None, typer.Option(metavar="KEY=VALUE,KEY=VALUE", help="Tags, separated by commas.")
    ] = None,
    uses: Annotated[
        int | None, typer.Option("--uses", "--max-uses", metavar="N", help="How many hosts; 1 by default.")
    ] = None,
    lifetime: Annotated[
        str | None,
        typer.Option(
            "--for",
            "--lifetime",
            metavar="TIME",
            help="How long it is valid, such as 90s, 30m, 1h or 7d; by default 1h.",
        ),
    ] = None,
    script: Annotated[
        bool,
        typer.Option(
            "--script", help="Print a script that sets up any host with the token, instead of the token."
        ),
    ] = False,
    api_url: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="With --script: the API's URL as seen from the hosts; by default the URL that you use.",
        ),
    ] = None,
    ca_certificate: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="With --script: the CA with which hosts verify the API; by default yours."
        ),
    ] = None,
    json: Json = False,
    caller: CallerArguments,
) -> None:
    """Create a token with which hosts register themselves.

    It is printed once. A host sends it with its name to the API's /host/v1/enroll. With --script you get a
    script that does this, and sets up sshd, when it is run on any host as root. Needs the permission
    hatchway:CreateEnrollmentToken on the subnet.

    \b
    Examples:
      hatchway host token create --subnet office/web --tags env=dev,team=web --uses 50 --for 1h
      hatchway host token create --subnet office/web --security-group office/ssh-in --script > enroll.sh
    """
    given = list(tag or ()) + (tags.split(",") if tags else [])
    if script:
        # Tried before there is a token: a wrong option must not leave one.
        _enrollment_script(caller, "hwe_et-00000000000000000_" + 43 * "0", api_url, ca_certificate)
    told = _call(
        caller,
        "CreateEnrollmentToken",
        SubnetId=subnet,
        SecurityGroupIds=security_group or None,
        Tags=_tags(_read_tags(given)) or None,
        MaxUses=uses,
        LifetimeSeconds=None if lifetime is None else _seconds(lifetime),
    )
    from hatchway.client.api.profile import api_errors
    from hatchway.domain.enrollment_token import ENROLLMENT_TOKEN

    with client_errors(), api_errors("CreateEnrollmentToken"):
        # It is printed, and becomes a word of a script that root runs.
        ENROLLMENT_TOKEN.read(told["Token"])
    if script:
        give(_enrollment_script(caller, told["Token"], api_url, ca_certificate))
    elif json:
        _print_json({"token": told["Token"], **_token_document(told["EnrollmentToken"])})
    else:
        say(told["Token"])


def _enrollment_script(
    caller: CallerArguments, token: str, api_url: str | None, ca_certificate: Path | None
) -> str:
    from hatchway.administration import remote
    from hatchway.client.api.profile import Profile

    with client_errors():
        return remote.make_enrollment_script(Profile(caller.options()), token, api_url, ca_certificate)


def _seconds(text: str) -> int:
    number, unit = (text, "s") if text.isdigit() else (text[:-1], text[-1:])
    if not (number.isascii() and number.isdigit() and unit in _UNITS and len(number) <= 9):
        raise BadUsage(f"--for {text!r} is no time such as 90s, 30m, 1h or 7d")
    return int(number) * _UNITS[unit]


@with_option_groups
def list_tokens(*, json: Json = False, caller: CallerArguments) -> None:
    """List the enrollment tokens that have not expired, without their secrets. Times are UTC.

    Needs the permission hatchway:ListEnrollmentTokens.

    \b
    Example:
      hatchway host token list
    """
    from hatchway.client.api.profile import Profile, api_errors

    with client_errors():
        client = Profile(caller.options()).api("hatchway")
        with api_errors("ListEnrollmentTokens"):
            pages = client.get_paginator("list_enrollment_tokens").paginate()
            tokens = [_token_document(each) for page in pages for each in page["EnrollmentTokens"]]
    if json:
        _print_json({"enrollment_tokens": tokens})
        return
    from hatchway.cli.table import table

    columns = ("TOKEN", "SUBNET", "USES", "EXPIRES", "MADE BY")
    rows = [
        (
            each["id"],
            each["subnet_id"],
            f"{each['uses']} of {each['max_uses']}",
            each["expires_at"],
            each["created_by"],
        )
        for each in tokens
    ]
    for line in table([columns, *rows]):
        say(line)


@with_option_groups
def delete_token(
    token: Annotated[
        str, typer.Argument(metavar="ID", help="The token's id, as 'list' shows it, or its beginning.")
    ],
    *,
    caller: CallerArguments,
) -> None:
    """Delete an enrollment token. Hosts registered with it stay.

    Needs the permission hatchway:DeleteEnrollmentToken on the token.

    \b
    Example:
      hatchway host token delete et-0123456789abcdef0
    """
    _call(caller, "DeleteEnrollmentToken", EnrollmentTokenId=token)
    say(f"Ended {token}")


def _call(caller: CallerArguments, operation: str, **parameters: Any) -> Mapping[str, Any]:
    from botocore.exceptions import ParamValidationError

    from hatchway.cli.named_ids import complete_ids
    from hatchway.client.api.profile import Profile, api_errors

    given = {name: value for name, value in parameters.items() if value is not None}
    with client_errors():
        profile = Profile(caller.options())
        client = profile.api("hatchway")
        complete_ids(profile, operation, given)
        methods = {api: method for method, api in client.meta.method_to_api_mapping.items()}
        with api_errors(operation):
            try:
                answer: Mapping[str, Any] = getattr(client, methods[operation])(**given)
            except ParamValidationError as problem:
                raise BadUsage(" ".join(str(problem).split())) from problem
    return answer


def _read_tags(given: "Sequence[str] | None") -> dict[str, str]:
    tags = {}
    for text in given or ():
        key, equals, value = text.partition("=")
        if not key or not equals:
            raise BadUsage(f"--tag {text!r} is not KEY=VALUE")
        tags[key] = value
    return tags


def _tags(tags: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def _tell_instance(instance: Mapping[str, Any], done: str, *, json: bool) -> None:

    addresses = [each for each in (instance.get("PrivateIpAddress"), instance.get("Ipv6Address")) if each]
    if json:
        _print_json(
            {
                "instance_id": instance["InstanceId"],
                "name": instance["Name"],
                "vpc_id": instance["VpcId"],
                "subnet_id": instance["SubnetId"],
                "addresses": addresses,
                "security_group_ids": instance["SecurityGroupIds"],
                "state": instance["State"],
                "instance_type": instance.get("InstanceType"),
                "tags": {tag["Key"]: tag["Value"] for tag in instance["Tags"]},
            }
        )
    else:
        say(f"{done} {instance['Name']} ({instance['InstanceId']}) at {' and '.join(addresses)}")


def _token_document(token: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "id": token["EnrollmentTokenId"],
        "subnet_id": token["SubnetId"],
        "security_group_ids": token.get("SecurityGroupIds", []),
        "tags": {tag["Key"]: tag["Value"] for tag in token["Tags"]},
        "max_uses": token["MaxUses"],
        "uses": token["Uses"],
        "created_by": token["CreatedBy"],
        "created_at": f"{token['CreatedAt']:%Y-%m-%dT%H:%M:%SZ}",
        "expires_at": f"{token['ExpiresAt']:%Y-%m-%dT%H:%M:%SZ}",
    }


def _print_json(document: Mapping[str, Any]) -> None:
    import json as json_format

    say(json_format.dumps(document))
