"""Fleet files made of what else lists hosts: reading what `hatchway.fleet.importers` is given."""

import glob
import os
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from hatchway.administration.remote import export_file
from hatchway.client.api.profile import Profile, ProfileOptions, api_errors
from hatchway.client.errors import ApiError, InvalidOption, NotConfigured
from hatchway.domain.counting import counted
from hatchway.errors import BadUsage, CommandFailed
from hatchway.fleet import BadFleet, parse_fleet
from hatchway.fleet.importers.ansible import read_ansible
from hatchway.fleet.importers.csv_table import read_csv
from hatchway.fleet.importers.ec2 import Ec2Account, import_ec2, names_in
from hatchway.fleet.importers.hosts import (
    MOST_BYTES,
    Found,
    ImportedFile,
    NotImported,
    Resolve,
    nobody_knows,
    to_fleet,
)
from hatchway.fleet.importers.ssh_config import read_ssh_config
from hatchway.policies.files import read_file

_MOST_INCLUDED: Final = 1000
_RESULTS: Final = {
    "describe_vpcs": "Vpcs",
    "describe_subnets": "Subnets",
    "describe_security_groups": "SecurityGroups",
}

Tell = Callable[[str], None]


def import_file(kind: str, file: Path, *, vpc: str, prefix: int, resolve: bool) -> ImportedFile:
    """The fleet file of an inventory, a configuration or a table.

    Args:
        kind: `ansible`, `ssh-config` or `csv`.
        resolve: whether names of hosts are looked up, as this machine does.

    Raises:
        BadUsage: the file is none of the kind, or there is nothing to import in it.
    """
    try:
        # With one more it is known to be too large, not cut.
        content = read_file(file, MOST_BYTES + 1)
        found = _READERS[kind](content, file)
        return to_fleet(found, vpc=vpc, prefix=prefix, resolve=address_of if resolve else nobody_knows)
    except NotImported as problem:
        raise BadUsage(f"{file}: {problem}") from problem


def import_from_ec2(options: ProfileOptions, *, vpc: str, prefix: int, tell: Tell) -> ImportedFile:
    """The fleet file of what EC2 has in one region: AWS's, or whatever the endpoint URL leads to.

    Raises:
        BadUsage: there is nothing to import.
        ApiError, NotConfigured: EC2 refuses DescribeInstances, or cannot be asked.
    """
    client = _ec2(options)
    notes: list[str] = []
    with api_errors("DescribeInstances"):
        pages = client.get_paginator("describe_instances").paginate(PaginationConfig={"PageSize": 1000})
        instances: list[Any] = []
        for page in pages:
            instances += [each for reservation in page["Reservations"] for each in reservation["Instances"]]
            tell(counted(len(instances), "instance"))
    others: list[Sequence[Any]] = []
    for operation, member in _RESULTS.items():
        try:
            with api_errors(member):
                pages = client.get_paginator(operation).paginate()
                others.append([each for page in pages for each in page[member]])
        except ApiError as refusal:
            notes.append(f"{member} could not be read: {refusal}")
            others.append(())
    vpcs, subnets, groups = others
    account = Ec2Account(
        instances=instances,
        vpcs=vpcs,
        subnets=subnets,
        security_groups=groups,
        names=_own_names(options, notes),
    )
    # What no EC2 would say is an answer of something else.
    with api_errors("DescribeInstances"):
        try:
            imported = import_ec2(account, vpc=vpc, prefix=prefix)
        except NotImported as problem:
            raise BadUsage("\n".join((*notes, str(problem)))) from problem
    return ImportedFile(imported.text, imported.instances, (*notes, *imported.notes))


def _own_names(options: ProfileOptions, notes: list[str]) -> Mapping[str, str]:
    """What things are called, by their ids, where it is Hatchway that was asked: EC2's API tells tags alone.

    By any other names the file, applied to the same account, would rename what is there.
    """
    try:
        fleet = parse_fleet(export_file(Profile(options)).encode())
    except ApiError as refusal:
        if refusal.code == "AccessDeniedException":
            notes.append(
                f"names are those of tags, not of the account: applied to it, the file renames ({refusal})"
            )
        return {}
    except (NotConfigured, InvalidOption, BadFleet):
        return {}
    return names_in(fleet, fleet.account or "")


def write_fleet_file(path: Path, text: str) -> None:
    """Writes a file that is not there yet.

    Raises:
        CommandFailed: it is there, or cannot be written.
    """
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise CommandFailed(f"{path} already exists: choose another name") from None


def address_of(name: str) -> str | None:
    """The first address that this machine finds for a name, IPv4 before IPv6."""
    try:
        found = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return None
    return str(min(found, key=lambda each: each[0] is not socket.AF_INET)[4][0])


def _ssh_config(content: bytes, file: Path) -> Found:
    included = 0

    def include(pattern: str) -> Iterator[bytes]:
        nonlocal included
        try:
            path = Path(pattern).expanduser()
            # As ssh does: beside the user's configuration (ssh_config(5), Include).
            found = sorted(glob.glob(os.fspath(file.parent / path)))  # noqa: PTH207 - may be absolute
        except (RuntimeError, ValueError):
            # Of a user who is not there, or with a NUL character: there is no such file.
            return
        for each in found:
            included += 1
            if included > _MOST_INCLUDED:
                raise NotImported(f"it includes more than {_MOST_INCLUDED} files")
            yield read_file(Path(each), MOST_BYTES + 1)

    return read_ssh_config(content, include)


_READERS: Final[dict[str, Callable[[bytes, Path], Found]]] = {
    "ansible": lambda content, _: read_ansible(content),
    "csv": lambda content, _: read_csv(content),
    "ssh-config": _ssh_config,
}

__all__ = ["Resolve", "import_file", "import_from_ec2", "write_fleet_file"]


def _ec2(options: ProfileOptions) -> Any:
    """A client of EC2 as every AWS tool has it: without an endpoint URL it is AWS's own."""
    import botocore.session

    with api_errors("DescribeInstances"):
        session = botocore.session.Session(profile=options.profile)
        return session.create_client(
            "ec2",
            region_name=options.region or os.environ.get("AWS_REGION"),
            endpoint_url=options.endpoint_url,
            verify=options.ca_bundle,
        )
