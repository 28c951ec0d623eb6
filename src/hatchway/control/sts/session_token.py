"""GetSessionToken: temporary credentials of a user or of the root user itself."""

from datetime import timedelta
from typing import Final

from hatchway.access.principal import PrincipalType
from hatchway.control.operations import Call, Result, operation
from hatchway.control.sts.issuing import issue, refuse_factor
from hatchway.domain.session import Session, SessionKind

DEFAULT_SECONDS: Final = 43_200
MOST_SECONDS_OF_ROOT: Final = 3_600


@operation("sts", "GetSessionToken", reads_only=False)
def get_session_token(call: Call) -> Result:
    """Nobody needs a permission for it, and no policy can take it away, as in AWS."""
    refuse_factor(call)
    principal = call.caller.principal
    is_root = principal.type is PrincipalType.ROOT
    seconds = call.parameters.get("DurationSeconds") or DEFAULT_SECONDS
    if is_root:
        # AWS gives the root user an hour, whatever it asks for.
        seconds = min(seconds, MOST_SECONDS_OF_ROOT)

    return issue(
        call,
        Session(
            access_key_id="",
            kind=SessionKind.ROOT if is_root else SessionKind.USER,
            owner_name=principal.user_name,
            owner_id=principal.user_id,
            name=None,
            token_hash=b"",
            issued_at=call.now,
            expires_at=call.now + timedelta(seconds=seconds),
        ),
    )
