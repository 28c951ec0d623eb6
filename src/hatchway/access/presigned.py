"""The caller of a presigned URL, for those who serve no other kind of request: gateways."""

from datetime import datetime
from typing import Final

from hatchway.access.access_keys import GATEWAY_SERVICE
from hatchway.access.authentication import Directory, HttpRequest, SignatureError, authenticate
from hatchway.access.principal import Caller
from hatchway.sigv4 import read_query_signature

_SERVICES: Final = frozenset({GATEWAY_SERVICE})


class Unauthenticated(Exception):
    """Nobody is proved to have signed the request. The message is fit for whoever sent it.

    Attributes:
        code: AWS's error code, such as `SignatureDoesNotMatch`.
        claimed_key_id: the access key that the request names, None when it names none legibly. Only a claim.
    """

    def __init__(self, problem: SignatureError, claimed_key_id: str | None) -> None:
        super().__init__(str(problem))
        self.code = problem.code
        self.claimed_key_id = claimed_key_id


def authenticate_presigned(
    request: HttpRequest, *, directory: Directory, now: datetime, region: str
) -> Caller:
    """Who signed the URL of a request for the gateways' service.

    Raises:
        Unauthenticated: see there.
    """
    claimed = None
    try:
        signature = read_query_signature(request)
        claimed = signature.access_key_id
        return authenticate(
            request, signature, directory=directory, now=now, region=region, services=_SERVICES
        )
    except SignatureError as problem:
        raise Unauthenticated(problem, claimed) from None
