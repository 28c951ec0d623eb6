"""Why a signature was not accepted.

Each class has the `code` that AWS's query and JSON services answer with; EC2 answers `AuthFailure` for all of
them. The text of each is fit for the caller: it repeats nothing secret and nothing of unbounded length.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from datetime import datetime

_LONGEST_ECHO = 64
"""Characters of the caller's own text that an error repeats."""


class SignatureError(Exception):
    """The request is not authenticated. Always one of the subclasses."""

    code: ClassVar[str] = "SignatureDoesNotMatch"


class MissingAuthenticationToken(SignatureError):
    """The request carries no Signature Version 4 at all."""

    code = "MissingAuthenticationToken"

    def __init__(self) -> None:
        super().__init__("Request is missing Authentication Token")


class IncompleteSignature(SignatureError):
    """The request has a signature, but not a whole or a well-formed one.

    Attributes:
        missing: names of the parts that should be there and are not, in AWS's spelling; may be empty.
    """

    code = "IncompleteSignature"

    def __init__(self, message: str, missing: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.missing = missing


class SignatureDoesNotMatch(SignatureError):
    """The signature is not the one that the key makes of this request."""

    code = "SignatureDoesNotMatch"

    def __init__(
        self,
        message: str = (
            "The request signature we calculated does not match the signature you provided. "
            "Check your AWS Secret Access Key and signing method."
        ),
    ) -> None:
        super().__init__(message)


class WrongScope(SignatureDoesNotMatch):
    """The credential scope is for another date, region or service.

    Attributes:
        part: `date`, `region` or `service`.
        given: what the scope says.
    """

    def __init__(self, part: str, given: str, expected: str) -> None:
        super().__init__(f"Credential should be scoped to {part} {expected}, not '{given[:_LONGEST_ECHO]}'.")
        self.part = part
        self.given = given


class RequestExpired(SignatureError):
    """The signature is too old, or was made too far in the future.

    Attributes:
        signed_at: when the request says it was signed.
        now: the time at which that was found too far away.
    """

    code = "RequestExpired"

    def __init__(self, signed_at: datetime, now: datetime) -> None:
        fault = "Signature not yet current" if now < signed_at else "Signature expired"
        super().__init__(
            f"{fault}: it was made at {signed_at:%Y%m%dT%H%M%SZ}, and it is {now:%Y%m%dT%H%M%SZ}. "
            "Check the clock of the client."
        )
        self.signed_at = signed_at
        self.now = now


class ExpiredToken(SignatureError):
    """The signature is right, but the temporary credentials that made it have expired."""

    code = "ExpiredToken"

    def __init__(self) -> None:
        super().__init__("The security token included in the request is expired")


class UnknownAccessKey(SignatureError):
    """Nobody has this access key, or it is not active.

    Attributes:
        access_key_id: as the request gave it.
    """

    code = "InvalidClientTokenId"

    def __init__(self, access_key_id: str) -> None:
        super().__init__("The security token included in the request is invalid.")
        self.access_key_id = access_key_id
