"""Join tokens, by which machines become control planes and gateways; and the machines that have."""

import os
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

from hatchway.administration.api_urls import leads_nowhere
from hatchway.audit.local_trail import administrator, record
from hatchway.domain.bearer_token import SECRET_SIZE, BearerToken
from hatchway.domain.ids import Kind, new_id
from hatchway.domain.machine import JOIN_TOKEN, JoinToken, Machine, Role
from hatchway.errors import BadUsage, CommandFailed, reason
from hatchway.installation.api_location import ApiLocation
from hatchway.installation.installation import Installation
from hatchway.keys.machines import Grant, delete_grant, put_grant
from hatchway.machines.join_tokens import binding, write_join_token
from hatchway.pki.certificates import PkiProblem, certificates_in, fingerprint, is_issued_by
from hatchway.pki.name_constraints import is_dns_name, names_beyond
from hatchway.privileges import read_as_owner
from hatchway.store import show_store
from hatchway.store.tables import join_tokens

MOST_TOKENS: Final = 100
"""Join tokens that are good at once."""
_ID_BYTES: Final = 12


@dataclass(frozen=True, slots=True)
class NewJoinToken:
    """A token just made: the only moment at which it can be told. `api_url` is where to join by it, None
    where that is not known here; `unknown` says why."""

    kept: JoinToken
    token: str = field(repr=False)
    api_url: str | None
    pinned: bool
    unknown: str = ""


def create_join_token(
    installation: Installation,
    role: Role,
    *,
    store_url: str,
    names: tuple[str, ...] = (),
    vpcs: tuple[str, ...] = (),
    endpoints: tuple[str, ...] = (),
    max_uses: int = 1,
    lifetime_seconds: int = 3600,
) -> NewJoinToken:
    """Makes a token by which machines join.

    Args:
        store_url: what they are given as the store's URL.
        names: what their certificates are for besides.
        vpcs, endpoints: names or ids of those that the gateways are to serve; none for all.

    Raises:
        BadUsage: the private CA may not issue for a name, there is no such VPC or endpoint, or the store is a
            file.
        CommandFailed: there are too many tokens.
    """
    if store_url.startswith("sqlite"):
        raise BadUsage(
            "other machines cannot reach a store in SQLite: move to PostgreSQL first (docs/store.md)"
        )
    if (vpcs or endpoints) and role is not Role.GATEWAY:
        option = "--vpc" if vpcs else "--endpoint"
        raise BadUsage(f"{option} is for gateways: a control plane serves all")
    pin = _checked_pin(installation, names)
    now = datetime.now(UTC)
    token = BearerToken(new_id(Kind.JOIN, os.urandom(_ID_BYTES)), os.urandom(SECRET_SIZE))
    grant = Grant(
        token_hash=JOIN_TOKEN.hash(token),
        role=role,
        names=names,
        vpcs=vpcs,
        endpoints=endpoints,
        store_url=store_url,
    )
    kept = JoinToken(
        id=token.id,
        role=role,
        max_uses=max_uses,
        uses=0,
        created_by=administrator().os_user,
        created_at=now,
        expires_at=now + timedelta(seconds=lifetime_seconds),
    )
    with installation.store.write() as tx:
        known = {word for vpc in tx.vpcs.find() for word in (vpc.id, vpc.name)}
        if missing := [vpc for vpc in vpcs if vpc not in known]:
            raise BadUsage(f"--vpc {missing[0]!r}: there is no such VPC")
        there = {word for each in tx.endpoints.find() for word in (each.id, each.name)}
        if missing := [endpoint for endpoint in endpoints if endpoint not in there]:
            raise BadUsage(f"--endpoint {missing[0]!r}: there is no such endpoint")
        if tx.join_tokens.count(join_tokens.c.expires_at > now) >= MOST_TOKENS:
            raise CommandFailed(
                f"there are {MOST_TOKENS} join tokens: delete one (hatchway join-token delete), or wait until"
                " one expires"
            )
        tx.join_tokens.put(kept)
        put_grant(tx, installation.vault, kept.id, grant)
        record(
            tx,
            installation.account,
            now,
            "CreateJoinToken",
            parameters={
                "role": role.value,
                "names": list(names),
                "vpcs": list(vpcs),
                "endpoints": list(endpoints),
                "maxUses": max_uses,
                "lifetimeSeconds": lifetime_seconds,
                "store": show_store(store_url),
            },
            answer={"joinTokenId": kept.id, "expiresAt": kept.expires_at.isoformat(timespec="seconds")},
        )
    text = write_join_token(JOIN_TOKEN.write(token), pin, binding(vpcs, endpoints))
    location = ApiLocation.read(installation.directory)
    if location.noted and not leads_nowhere(location.url):
        return NewJoinToken(kept, text, location.url, pin is not None)
    why = "has not run yet"
    if location.noted:
        why = f"listens at {location.url}, where no other machine reaches it"
    return NewJoinToken(kept, text, None, pin is not None, f"the API of this machine {why}")


def list_join_tokens(installation: Installation) -> list[JoinToken]:
    """Those that have not expired, the oldest first."""
    with installation.store.read() as tx:
        return tx.join_tokens.find(
            join_tokens.c.expires_at > datetime.now(UTC), order=(join_tokens.c.created_at,)
        )


def delete_join_token(installation: Installation, token_id: str) -> None:
    """Ends a token. Machines that joined by it stay.

    Raises:
        CommandFailed: there is none of that id.
    """
    with installation.store.write() as tx:
        if tx.join_tokens.get(token_id) is None:
            raise CommandFailed(f"there is no join token {token_id}: see hatchway join-token list")
        tx.join_tokens.delete(token_id)
        delete_grant(tx, token_id)
        parameters = {"joinTokenId": token_id}
        record(
            tx, installation.account, datetime.now(UTC), "DeleteJoinToken", parameters=parameters, answer={}
        )


def list_machines(installation: Installation) -> list[Machine]:
    """Those that joined, the oldest first."""
    with installation.store.read() as tx:
        return sorted(tx.machines.find(), key=lambda machine: (machine.joined_at, machine.id))


def remove_machine(installation: Installation, named: str) -> Machine:
    """Ends a machine's own token: it is given neither keys nor certificates any more. It keeps what it has.

    Args:
        named: its id, or its name where no other has that.

    Raises:
        CommandFailed: there is none, or there are several of that name.
    """
    with installation.store.write() as tx:
        found = [each for each in tx.machines.find() if named in (each.id, each.name)]
        if not found:
            raise CommandFailed(f"there is no machine {named}: see hatchway machine list")
        if len(found) > 1:
            ids = ", ".join(sorted(each.id for each in found))
            raise CommandFailed(f"several machines are called {named}: give an id, one of {ids}")
        (machine,) = found
        tx.machines.delete(machine.id)
        delete_grant(tx, machine.id)
        record(
            tx,
            installation.account,
            datetime.now(UTC),
            "RemoveMachine",
            parameters={"machineId": machine.id},
            answer={"name": machine.name, "role": machine.role.value},
        )
    return machine


def _checked_pin(installation: Installation, names: tuple[str, ...]) -> bytes | None:
    """The SHA-256 of the CA whose certificate the API shows; None where it shows another's.

    Raises:
        BadUsage: it may not issue for one of the names.
    """
    for name in names:
        if not is_dns_name(name.removeprefix("*.")):
            raise BadUsage(f"--name {name!r} is not a host name")
    try:
        authorities = certificates_in(read_as_owner(installation.directory.ca_certificate))
        beyond = names_beyond(authorities[0], names) if authorities else list(names)
    except FileNotFoundError:
        authorities, beyond = [], list(names)
    except (OSError, PkiProblem) as problem:
        raise CommandFailed(str(problem)) from problem
    if beyond:
        raise BadUsage(
            f"--name {beyond[0]}: the private CA may not issue certificates for it: create a CA that may"
            " (hatchway ca rotate --step add --name), or give the gateways a certificate of your own"
        )
    location = ApiLocation.read(installation.directory)
    if not location.private_ca or location.certificate is None:
        return None
    try:
        shown = read_as_owner(location.certificate, installation.directory.path)
    except OSError as problem:
        raise CommandFailed(f"cannot read {location.certificate}: {reason(problem)}") from problem
    # Just after another CA has taken its place, it may be one of the former's yet.
    its = [each for each in authorities if is_issued_by(shown, each)]
    return bytes.fromhex(fingerprint(its[0])) if its else None
