"""Making temporary credentials, whichever operation gives them out."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from hatchway.access.identities import StoredIdentities, resolve_caller
from hatchway.access.sessions import new_temporary_key, put_session
from hatchway.access.signing_keys import session_signing_keys
from hatchway.control.operations import Call
from hatchway.domain.session import Session
from hatchway.protocol import ServiceError
from hatchway.store.tables import sessions

MOST_SESSIONS: Final = 5_000
"""Sessions of one user or role that have not expired. AWS knows no such bound; but each is a row here, in the
memory of every gateway too."""

MOST_SESSIONS_OF_ONE: Final = 1_000
"""Of these, those of a role that one user has made: so that nobody keeps the others from assuming it."""

MOST_SESSIONS_OF_ONE_IN_ALL: Final = 5_000
"""Those that one user has made of all roles together, by way of other roles too: as many as of one role."""

LARGEST_TOKEN: Final = 4096
"""Characters, as `MinimumSessionTokenSize` has them in the service model."""


def issue(call: Call, session: Session) -> Mapping[str, Any]:
    """Stores a session, whose key id and token are made here; the members that tell of it in an answer.

    What gateways verify it with is written in the same transaction: it opens tunnels at once.

    Raises:
        ServiceError: its owner has too many.
    """
    live = call.tx.sessions.count(sessions.c.expires_at > call.now, owner_id=session.owner_id)
    if live >= MOST_SESSIONS:
        raise ServiceError(
            "LimitExceeded",
            f"There are {live} sessions of {session.owner_name or 'the root user'} that have not expired, as"
            " many as there may be: use those, or wait until some have expired.",
        )
    if session.made_by is not None:
        own = call.tx.sessions.count_by(
            sessions.c.owner_id, sessions.c.expires_at > call.now, sessions.c.made_by == session.made_by
        )
        for count, most, of in (
            (own.get(session.owner_id, 0), MOST_SESSIONS_OF_ONE, session.owner_name),
            (sum(own.values()), MOST_SESSIONS_OF_ONE_IN_ALL, "all roles together"),
        ):
            if count >= most:
                raise ServiceError(
                    "LimitExceeded",
                    f"There are {count} sessions of {of} that you have made and that have not expired, as"
                    " many as there may be: use those, or wait until some have expired.",
                )
    key = new_temporary_key(call.random_bytes, token_size=call.parameters.get("MinimumSessionTokenSize") or 0)
    made = replace(session, access_key_id=key.access_key_id, token_hash=key.token_hash)
    put_session(call.tx, call.vault, made, key.secret)
    caller = resolve_caller(StoredIdentities(call.tx, call.arns), made.access_key_id)
    assert caller is not None
    call.tx.sealed_signing_keys.put_all(
        session_signing_keys(
            call.gateway_vault, made, key.secret, caller.policies, now=call.now, region=call.arns.region
        )
    )
    return {
        "Credentials": {
            "AccessKeyId": key.access_key_id,
            "SecretAccessKey": key.secret,
            "SessionToken": key.token,
            "Expiration": made.expires_at,
        },
        "SessionTokenSize": len(key.token),
        "SessionTokenUtilization": -(-100 * len(key.token) // LARGEST_TOKEN),
    }


def refuse_factor(call: Call) -> None:
    """Refuses a second factor: nobody has a device that could have made the code.

    Raises:
        ServiceError: AWS's words for a device that is not the caller's.
    """
    if call.parameters.get("SerialNumber") or call.parameters.get("TokenCode"):
        raise ServiceError(
            "AccessDenied",
            "MultiFactorAuthentication failed, unable to validate MFA code. Please verify your MFA serial"
            " number is valid and associated with this user.",
            status=403,
        )
