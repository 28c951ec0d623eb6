"""What the commands on the server do to the account. Each is recorded in the audit trail as it is done."""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from cryptography.x509 import load_pem_x509_certificates

from hatchway.account.fleet import apply_fleet, every_problem, plan_fleet, policy_documents
from hatchway.account.host_tokens import NewHostToken, new_host_token
from hatchway.administration.api_urls import for_host
from hatchway.administration.fleet_files import load_fleet
from hatchway.audit.local_trail import administrator, record
from hatchway.domain.bearer_token import SECRET_SIZE, BearerToken
from hatchway.domain.host_token import HOST_TOKEN
from hatchway.domain.ids import INSTANCE_ID
from hatchway.domain.network import Instance
from hatchway.errors import BadUsage, CommandFailed
from hatchway.fleet import BadFleet, Fleet, Plan
from hatchway.fleet.lint import PolicyFinding, lint_policies, with_those_in_force
from hatchway.host import host_script
from hatchway.iam.lint import Home
from hatchway.installation.api_location import ApiLocation
from hatchway.installation.installation import Installation
from hatchway.pki.certificates import UNREADABLE
from hatchway.policies.files import read_file
from hatchway.policies.reference import ReferenceMissing, aws_facts
from hatchway.privileges import as_owner_of
from hatchway.store import Transaction
from hatchway.store.tables import instances

_LONGEST_PEM: Final = 65_536
_TOLD: Final = 5


@dataclass(frozen=True, slots=True)
class AppliedFile:
    """What was done, or would be; what lint has found in the policies, and what it could not look at."""

    plan: Plan
    findings: Sequence[PolicyFinding]
    unchecked: str | None


def apply_file(
    installation: Installation,
    file: Path,
    *,
    prune: bool,
    only_plan: bool,
    accept_policy_errors: bool,
    tell: Callable[[str], None] = lambda _: None,
) -> AppliedFile:
    """Makes the account be as the file says, or only finds out what that would take.

    Args:
        accept_policy_errors: take policies too in which lint finds what does not work.
        tell: is told what comes next, in a few words.

    Raises:
        BadUsage: the file cannot be applied, or lint found an error in a new policy of it; nothing was done.
    """
    store, now = installation.store, datetime.now(UTC)
    with told_of_file(file):
        fleet = _load(installation, file, now, prune=prune)
        # First, so that a file that does not fit the account is not refused for less.
        tell("Planning")
        plan = plan_fleet(store, fleet, now=now, prune=prune)
        findings, unchecked = _lint(installation, fleet)
        refuse_bad_policies(file, findings, accept=accept_policy_errors)
        if not only_plan:
            tell("Applying")
            plan = apply_fleet(
                store,
                fleet,
                now=now,
                prune=prune,
                administrator=administrator(),
                granted=lambda tx: installation.derive_granted(tx, now),
            )
    return AppliedFile(plan, findings, unchecked)


def refuse_bad_policies(file: Path, findings: Sequence[PolicyFinding], *, accept: bool) -> None:
    """
    Raises:
        BadUsage: there is an error in a new policy, and that is not accepted.
    """
    refusing = [each for each in findings if each.refuses]
    if refusing and not accept:
        raise BadUsage("\n".join((*(f"{file}: {each}" for each in refusing[:_MOST_TOLD]), _REFUSED)))


def _load(installation: Installation, file: Path, now: datetime, *, prune: bool) -> Fleet:
    try:
        return load_fleet(file)
    except BadFleet as problem:
        raise every_problem(installation.store, problem, now=now, prune=prune) from problem


def _lint(installation: Installation, fleet: Fleet) -> tuple[Sequence[PolicyFinding], str | None]:
    facts = unchecked = None
    if fleet.documents:
        try:
            facts = aws_facts()
        except ReferenceMissing as problem:
            unchecked = f"actions and condition keys of policies were not looked up: {problem}"
    account = installation.account
    findings = lint_policies(fleet, facts, Home(account.id, account.region))
    if findings:
        with installation.store.read() as tx:
            findings = with_those_in_force(findings, policy_documents(tx))
    return findings, unchecked


_MOST_TOLD: Final = 100
_REFUSED: Final = (
    "nothing is applied, as these policies do not say what they are meant to: correct them, or give"
    " --accept-policy-errors"
)


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
    # The lock under which a server makes and ends host tokens.
    with installation.store.write() as tx:
        found = _find_instance(tx, instance)
        made = new_host_token(tx, found.id, os.urandom(SECRET_SIZE), now=now, at_once=at_once)
        record(
            tx,
            installation.account,
            now,
            "EnrollHost",
            parameters={"instanceId": found.id},
            answer={"replaced": made.replaced, "inForce": made.in_force},
        )
    return EnrolledHost(found.id, made.token, enrollment_note(found.id, made))


def enrollment_note(instance_id: str, made: NewHostToken) -> str | None:
    """What becomes of the token that a host had before, if any."""
    if made.replaced:
        return f"the former token of {instance_id} is no longer good"
    if not made.in_force:
        return (
            f"the former token of {instance_id} is good until the new one is first used (--at-once ends it)"
        )
    return None


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
    if ca_certificate is None:
        with as_owner_of(installation.directory.path):
            pem = read_certificate(installation.directory.ca_certificate)
    else:
        pem = read_certificate(ca_certificate)
    with installation.store.read() as tx:
        found = _find_instance(tx, instance)
    instance_id = found.id
    url = for_host(installation, api_url, found, private_ca=ca_certificate is None)
    api_url, notes = url.url, list(url.notes)
    # Tried before there is a new token: a wrong option must not end one.
    host_script_of(instance_id, HOST_TOKEN.write(BearerToken(instance_id, bytes(SECRET_SIZE))), api_url, pem)
    enrolled = enroll_host(installation, instance_id, at_once=at_once)
    if enrolled.note is not None:
        notes.append(enrolled.note)
    return MadeScript(host_script_of(instance_id, enrolled.token, api_url, pem), tuple(notes))


@contextmanager
def told_of_file(file: Path) -> Iterator[None]:
    """Has every problem of a fleet file told with the file's name.

    Raises:
        BadUsage: it is wrong.
    """
    try:
        yield
    except BadFleet as problem:
        name = str(file)
        lines = (line if line.startswith(name) else f"{name}: {line}" for line in str(problem).splitlines())
        raise BadUsage("\n".join(lines)) from problem


def read_certificate(file: Path) -> str:
    """A CA's certificate, in PEM form.

    Raises:
        BadUsage: it holds none.
    """
    try:
        pem = read_file(file, _LONGEST_PEM).decode("ascii")
        load_pem_x509_certificates(pem.encode())
    except UNREADABLE:
        raise BadUsage(f"{file} holds no CA certificate in PEM form") from None
    return pem


def _find_instance(tx: Transaction, instance: str) -> Instance:
    """The instance of this id or name; or the only one whose id begins so."""
    found = tx.instances.get(instance)
    named = [found] if found is not None else list(tx.instances.find(name=instance))
    if not named and INSTANCE_ID.fullmatch(instance):
        named = list(tx.instances.find(instances.c.id.startswith(instance), limit=_TOLD + 1))
    if not named:
        raise CommandFailed(f"there is no instance {instance!r}: give an id or a name of the fleet file")
    if len(named) > 1:
        ids = ", ".join(sorted(each.id for each in named)[:_TOLD])
        raise CommandFailed(f"{instance!r} may be any of several instances, {ids}: give more of the id")
    return named[0]


def host_script_of(instance_id: str, token: str, api_url: str, ca_certificate_pem: str) -> str:
    """The script for a host.

    Raises:
        BadUsage: the URL is not one.
    """
    try:
        return host_script(
            instance_id=instance_id, api_url=api_url, token=token, ca_certificate_pem=ca_certificate_pem
        )
    except ValueError as problem:
        raise BadUsage(str(problem)) from problem
