"""The caller of a presigned URL, for those who serve no other kind of request: gateways."""

from datetime import datetime
from typing import Final, Protocol

from hatchway.access.authentication import (
    Directory,
    HttpRequest,
    SignatureError,
    UnknownAccessKey,
    authenticate,
)
from hatchway.access.principal import Caller
from hatchway.access.signing_keys import GATEWAY_SERVICE, gateway_dates
from hatchway.sigv4.signature import read_query_signature

_SERVICES: Final = frozenset({GATEWAY_SERVICE})


# The same for a key that nobody has and for one that gateways are not given (see `signing_keys`): whoever
# proves nothing learns nothing of either.
_UNKNOWN: Final = (
    "The security token included in the request is invalid. A tunnel needs the active access key of a user, "
    "or the whole temporary credentials of a user or role, whose policies allow "
    "ec2-instance-connect:OpenTunnel; the root user's open none."
)
_OF_ANOTHER_DAY: Final = (
    "The security token included in the request is invalid for its date: gateways verify what was signed "
    "today or yesterday (UTC). Sign a new request."
)


class Unauthenticated(Exception):
    """Nobody is proved to have signed the request. The message is fit for whoever sent it.

    Attributes:
        code: AWS's error code, such as `SignatureDoesNotMatch`.
        claimed_key_id: the access key that the request names, None when it names none legibly. Only a claim.
        unknown: whether it is one that gateways do not know.
    """

    def __init__(self, problem: SignatureError, claimed_key_id: str | None, message: str = "") -> None:
        super().__init__(message or str(problem))
        self.code = problem.code
        self.claimed_key_id = claimed_key_id
        self.unknown = isinstance(problem, UnknownAccessKey)


class SignatureReader(Protocol):
    """What reads presigned URLs, and computes their signatures, where something quicker is at hand."""

    def read_presigned(
        self, path: str, query: str, headers: tuple[tuple[str, str], ...], /
    ) -> tuple[str, str, str, str, str, str, str, str | None, str] | None:
        """See `hatchway.sigv4.signature.ReadPresigned`."""

    def keyed_digest(self, key: bytes, message: str, /) -> str:
        """See `hatchway.sigv4.verification.KeyedDigest`."""


def authenticate_presigned(
    request: HttpRequest,
    *,
    directory: Directory,
    now: datetime,
    region: str,
    reader: SignatureReader | None = None,
) -> Caller:
    """Who signed the URL of a request for the gateways' service.

    `reader` is asked first, where there is one.

    Raises:
        Unauthenticated: see there.
    """
    claimed = None
    try:
        signature = read_query_signature(request, None if reader is None else reader.read_presigned)
        claimed = signature.access_key_id
        return authenticate(
            request,
            signature,
            directory=directory,
            now=now,
            region=region,
            services=_SERVICES,
            keyed_digest=None if reader is None else reader.keyed_digest,
        )
    except UnknownAccessKey as problem:
        covered = signature.scope.date in gateway_dates(now)
        raise Unauthenticated(problem, claimed, _UNKNOWN if covered else _OF_ANOTHER_DAY) from None
    except SignatureError as problem:
        raise Unauthenticated(problem, claimed) from None
