"""What the commands on the server do to the account. Each is recorded in the audit trail as it is done."""

import os
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from cryptography.x509 import load_pem_x509_certificates

from hatchway.cli.api_location import ApiLocation
from hatchway.cli.api_urls import for_host
from hatchway.cli.errors import BadUsage, CommandFailed
from hatchway.cli.installation import Installation
from hatchway.cli.local_trail import administrator, record
from hatchway.cli.policy_files import read_file
from hatchway.control.fleet import BadFleet, Plan, apply_fleet, load_fleet, plan_fleet
from hatchway.domain.host_token import SECRET_SIZE, format_host_token, hash_host_token, parse_host_token
from hatchway.domain.network import Instance
from hatchway.domain.ssh_key import HostToken
from hatchway.host import host_script
from hatchway.store import Transaction

_LONGEST_PEM: Final = 65_536


def plan_file(installation: Installation, file: Path, *, prune: bool) -> Plan:
    """What `apply_file` would do.

    Raises:
        BadUsage: the file cannot be applied.
    """
    try:
        return plan_fleet(installation.store, load_fleet(file), now=datetime.now(UTC), prune=prune)
    except BadFleet as problem:
        raise _bad_file(file, problem) from problem


def apply_file(installation: Installation, file: Path, *, prune: bool) -> Plan:
    """Makes the account be as the file says; what was done.

    Raises:
        BadUsage: the file cannot be applied, and nothing was.
    """
    try:
        return apply_fleet(
            installation.store,
            load_fleet(file),
            now=datetime.now(UTC),
            prune=prune,
            administrator=administrator(),
        )
    except BadFleet as problem:
        raise _bad_file(file, problem) from problem


@dataclass(frozen=True, slots=True)
class EnrolledHost:
    """`note` says what becomes of the token that the host had before, if any."""

    instance_id: str
    token: str = field(repr=False)
    note: str | None


def enroll_host(installation: Installation, instance: str, *, at_once: bool = False) -> EnrolledHost:
    """Makes a host token for an instance, given by id or name.

    Args:
        at_once: ends the former token now, not when the new one is first used.

    Raises:
        CommandFailed: there is no such instance.
    """
    now = datetime.now(UTC)
    with installation.store.record() as tx:
        found = _find_instance(tx, instance)
        token = format_host_token(found.id, os.urandom(SECRET_SIZE))
        hashed = hash_host_token(parse_host_token(token))
        former = tx.host_tokens.get(found.id)
        note = None
        if former is None or at_once:
            tx.host_tokens.put(HostToken(instance_id=found.id, token_hash=hashed, created_at=now))
            if former is not None:
                note = f"the former token of {found.id} is no longer good"
        else:
            # The host goes on with it until it has the new one.
            tx.host_tokens.put(replace(former, next_hash=hashed, created_at=now))
            note = (
                f"the former token of {found.id} is good until the new one is first used (--at-once ends it)"
            )
        record(
            tx,
            installation.account,
            now,
            "EnrollHost",
            parameters={"instanceId": found.id},
            answer={"replaced": former is not None and at_once, "inForce": former is None or at_once},
        )
    return EnrolledHost(found.id, token, note)


@dataclass(frozen=True, slots=True)
class MadeScript:
    """`notes` are for whoever runs the command, not for the host."""

    script: str = field(repr=False)
    notes: tuple[str, ...]


def make_host_script(
    installation: Installation,
    instance: str,
    api_url: str | None,
    ca_certificate: Path | None,
    *,
    at_once: bool = False,
) -> MadeScript:
    """The script for an instance, with a new token in it.

    Raises:
        BadUsage: the URL or the certificate is not one.
        CommandFailed: there is no such instance.
    """
    location = ApiLocation.read(installation.directory)
    if ca_certificate is None and not location.private_ca:
        raise BadUsage("the API has a certificate of another CA: give that CA's with --ca-certificate")
    authority = ca_certificate or installation.directory.ca_certificate
    try:
        pem = read_file(authority, _LONGEST_PEM).decode("ascii")
        load_pem_x509_certificates(pem.encode())
    except ValueError:
        raise BadUsage(f"{authority} holds no CA certificate in PEM form") from None
    with installation.store.read() as tx:
        found = _find_instance(tx, instance)
    instance_id = found.id
    url = for_host(installation, api_url, found, private_ca=ca_certificate is None)
    api_url, notes = url.url, list(url.notes)
    # Tried before there is a new token: a wrong option must not end one.
    _script(instance_id, format_host_token(instance_id, bytes(SECRET_SIZE)), api_url, pem)
    enrolled = enroll_host(installation, instance_id, at_once=at_once)
    if enrolled.note is not None:
        notes.append(enrolled.note)
    return MadeScript(_script(instance_id, enrolled.token, api_url, pem), tuple(notes))


def _bad_file(file: Path, problem: BadFleet) -> BadUsage:
    name = str(file)
    lines = (line if line.startswith(name) else f"{name}: {line}" for line in str(problem).splitlines())
    return BadUsage("\n".join(lines))


def _find_instance(tx: Transaction, instance: str) -> Instance:
    found = tx.instances.get(instance)
    named = [found] if found is not None else tx.instances.find(name=instance)
    if not named:
        raise CommandFailed(f"there is no instance {instance!r}: give an id or a name of the fleet file")
    if len(named) > 1:
        raise CommandFailed(f"several instances are called {instance!r}: give the id")
    return named[0]


def _script(instance_id: str, token: str, api_url: str, ca_certificate_pem: str) -> str:
    try:
        return host_script(
            instance_id=instance_id, api_url=api_url, token=token, ca_certificate_pem=ca_certificate_pem
        )
    except ValueError as problem:
        raise BadUsage(str(problem)) from problem
