"""The token by which a host or a machine asks, in its request's header, and what is refused to them.

    Authorization: Bearer hwh_i-0123456789abcdef0_…

(RFC 6750 section 2.1.)
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from hatchway.audit.events import unknown_identity
from hatchway.control.plane import ControlPlane
from hatchway.control.service_events import service_source
from hatchway.domain.bearer_token import BearerToken, InvalidToken, TokenForm

_SCHEME: Final = "bearer "
_TRAIL_CODES: Final = {
    400: "ValidationException",
    401: "AccessDenied",
    409: "ConflictException",
    429: "ThrottlingException",
}
"""What the trail calls the statuses of refusals."""


class BearerRefused(Exception):
    """The request of a host or a machine is not answered; `status` is HTTP's."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def claimed_id(authorization: str, *forms: TokenForm) -> str:
    """The id of the token that a header claims to hold, unverified; empty when it claims none of these."""
    for form in forms:
        try:
            return form.read(authorization[len(_SCHEME) :]).id
        except InvalidToken:
            continue
    return ""


def shown_token(form: TokenForm, authorization: str, problem: str) -> BearerToken:
    """The token in a header, unverified.

    Raises:
        BearerRefused: 401 with this problem: there is none of this form.
    """
    try:
        if authorization[: len(_SCHEME)].lower() != _SCHEME:
            raise InvalidToken
        return form.read(authorization[len(_SCHEME) :])
    except InvalidToken:
        raise BearerRefused(401, problem) from None


@contextmanager
def refusals_counted(plane: ControlPlane, name: str, *, peer: str, user_agent: str) -> Iterator[None]:
    """Counts a refusal within, which has no record of its own, for the trail.

    Args:
        name: what the event is called.
    """
    try:
        yield
    except BearerRefused as refused:
        source = service_source(plane, unknown_identity(None), peer=peer, user_agent=user_agent)
        plane.refusals.count(source, name, _TRAIL_CODES[refused.status], time=plane.clock())
        raise
