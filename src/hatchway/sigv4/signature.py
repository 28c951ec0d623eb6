"""Reading the signature that a request carries. Nothing is verified here."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import unquote

from hatchway.sigv4.canonical import ALGORITHM
from hatchway.sigv4.errors import IncompleteSignature, MissingAuthenticationToken
from hatchway.sigv4.keys import TERMINATOR, Scope

if TYPE_CHECKING:
    from hatchway.sigv4.request import HttpRequest

LONGEST_EXPIRES = 604_800
"""Seconds, a week: the largest `X-Amz-Expires`."""

_IN_QUERY = (
    "X-Amz-Algorithm",
    "X-Amz-Credential",
    "X-Amz-Date",
    "X-Amz-Expires",
    "X-Amz-SignedHeaders",
    "X-Amz-Signature",
)
"""The parameters that every presigned URL has."""

_CREDENTIAL = (
    rf"([A-Za-z0-9_]{{1,128}})/([0-9]{{8}})/([A-Za-z0-9-]{{1,64}})/([A-Za-z0-9-]{{1,64}})/{TERMINATOR}"
)

_credential = re.compile(_CREDENTIAL).fullmatch
_timestamp = re.compile("[0-9]{8}T(?:[01][0-9]|2[0-3])[0-9]{4}Z").fullmatch
_header_name = re.compile(r"[a-z0-9!#$%&'*+.^_`|~-]{1,256}").fullmatch
_hex_digest = re.compile(r"[0-9a-f]{64}").fullmatch
_expires = re.compile(r"[0-9]{1,6}").fullmatch

_HOST = ("host",)

ReadPresigned = Callable[
    [str, str, tuple[tuple[str, str], ...]],
    tuple[str, str, str, str, str, str, str, str | None, str] | None,
]
"""What reads presigned URLs where something quicker is at hand, of `(path, query, headers)` of a GET without
a body: the access key id, the scope's date, region and service, the timestamp, the seconds, the signature and
the session token, as they are written, and `Signature.told`. None: it is left to whoever asks, as is all that
has to be refused.
"""


class Signature(NamedTuple):
    """What a request says about who signed it, when and for what. Unproven until `verify` returns.

    `timestamp` is when it was signed as `X-Amz-Date` writes it, `signed_at` the same to reckon with.
    `signed_headers` are lower-case, sorted and distinct. `expires` is in seconds and is there in the query
    form only. `told` is the text that is signed, where whoever read the request has made it by the way.
    """

    access_key_id: str
    scope: Scope
    signed_headers: tuple[str, ...]
    signature: str
    timestamp: str
    signed_at: datetime
    expires: int | None = None
    session_token: str | None = None
    told: str | None = None

    def __repr__(self) -> str:
        """Without what may not be shown: the signature and the token."""
        return f"Signature(access_key_id={self.access_key_id!r}, scope={self.scope!r}, ...)"


def read_header_signature(request: HttpRequest) -> Signature:
    """The signature in the `Authorization` header.

    Raises:
        MissingAuthenticationToken: there is no such header.
        IncompleteSignature: it is of another kind, repeated, malformed or lacks a part; or the URL carries a
            second signature; or the request has no date.
    """
    authorization = _single_header(request, "authorization")
    if authorization is None:
        raise MissingAuthenticationToken
    if any(name == "X-Amz-Signature" for name, _ in request.parameters):
        raise IncompleteSignature("A request may be signed in its headers or in its URL, not in both.")
    algorithm, _, rest = authorization.strip().partition(" ")
    _require_algorithm(algorithm)
    parts: dict[str, str] = {}
    for part in rest.split(","):
        name, _, value = part.strip().partition("=")
        if name in parts:
            raise IncompleteSignature(f"Authorization header has '{name[:64]}' more than once.")
        parts[name] = value
    names = ("Credential", "SignedHeaders", "Signature")
    missing = tuple(name for name in names if not parts.get(name))
    timestamp = _header_timestamp(request)
    if timestamp is None:
        missing = (*missing, "X-Amz-Date")
    if missing or timestamp is None:
        raise IncompleteSignature(f"Authorization header requires {_listed(missing)}.", missing)
    if len(parts) != len(names):
        raise IncompleteSignature(f"Authorization header has parts other than {_listed(names)}.")
    access_key_id, scope = _read_credential(parts["Credential"])
    return Signature(
        access_key_id,
        scope,
        _read_signed_headers(parts["SignedHeaders"]),
        _read_signature(parts["Signature"]),
        timestamp,
        _read_timestamp(timestamp),
        session_token=_single_header(request, "x-amz-security-token"),
    )


def read_query_signature(request: HttpRequest, read: ReadPresigned | None = None) -> Signature:
    """The signature in the parameters of a presigned URL. `read` is asked first, where there is one.

    Raises:
        MissingAuthenticationToken: the URL carries none.
        IncompleteSignature: it lacks a part, a part is malformed, some parameter is there twice, or the
            request has an `Authorization` header besides.
    """
    usual = None
    if read is not None and request.method == "GET" and not request.body:
        usual = read(request.path, request.query, request.headers)
    if usual is not None:
        access_key_id, date, region, service, timestamp, expires, signature, token, told = usual
        return Signature(
            access_key_id,
            Scope(date, region, service),
            _HOST,
            signature,
            timestamp,
            _timestamp_of_many(timestamp),
            int(expires),
            unquote(token) if token else None,
            told,
        )
    parameters = dict(request.parameters)
    if "X-Amz-Signature" not in parameters and "X-Amz-Algorithm" not in parameters:
        raise MissingAuthenticationToken
    if len(parameters) != len(request.parameters):
        raise IncompleteSignature("A parameter of the query string is there more than once.")
    if request.header_values("authorization"):
        raise IncompleteSignature("A request may be signed in its headers or in its URL, not in both.")
    token = parameters.get("X-Amz-Security-Token") or None
    if token is not None:
        token = unquote(token)
    values = [parameters.get(name, "") for name in _IN_QUERY]
    if not all(values):
        missing = tuple(name for name in _IN_QUERY if not parameters.get(name))
        raise IncompleteSignature(f"The query string requires {_listed(missing)}.", missing)
    # In canonical pairs `%` stands for what of these only the credential and the header names may hold.
    algorithm, credential, timestamp, expires, signed_headers, signature = values
    _require_algorithm(algorithm)
    access_key_id, scope = _read_credential(credential.replace("%2F", "/"))
    signed_at = _read_timestamp(timestamp)
    if not _expires(expires) or not 1 <= int(expires) <= LONGEST_EXPIRES:
        raise IncompleteSignature(f"X-Amz-Expires must be a number of seconds from 1 to {LONGEST_EXPIRES}.")
    return Signature(
        access_key_id,
        scope,
        _read_signed_headers(unquote(signed_headers)),
        _read_signature(signature),
        timestamp,
        signed_at,
        int(expires),
        token,
    )


def _single_header(request: HttpRequest, lower_name: str) -> str | None:
    values = request.header_values(lower_name)
    if len(values) > 1:
        raise IncompleteSignature(f"The request has more than one '{lower_name}' header.")
    return values[0] if values else None


def _require_algorithm(algorithm: str) -> None:
    if algorithm != ALGORITHM:
        raise IncompleteSignature(f"The only signing algorithm understood is {ALGORITHM}.")


def _read_credential(credential: str) -> tuple[str, Scope]:
    parts = _credential(credential)
    if parts is not None:
        access_key_id, date, region, service = parts.groups()
        return access_key_id, Scope(date, region, service)
    if credential.count("/") == 4 and credential.endswith(f"/{TERMINATOR}"):
        raise IncompleteSignature("Credential has a malformed access key id, date, region or service.")
    raise IncompleteSignature(
        f"Credential must be <access key id>/YYYYMMDD/<region>/<service>/{TERMINATOR}.", ("Credential",)
    )


def _read_signed_headers(text: str) -> tuple[str, ...]:
    names = tuple(text.split(";"))
    if text != "host" and (list(names) != sorted(set(names)) or not all(map(_header_name, names))):
        raise IncompleteSignature("SignedHeaders must be lower-case header names, sorted, each once.")
    return names


def _read_signature(text: str) -> str:
    if not _hex_digest(text):
        raise IncompleteSignature("Signature must be 64 lower-case hexadecimal digits.")
    return text


def _header_timestamp(request: HttpRequest) -> str | None:
    """`X-Amz-Date`, which wins, or else `Date` written so."""
    amz_date = _single_header(request, "x-amz-date")
    if amz_date is not None:
        return amz_date.strip()
    date = _single_header(request, "date")
    if date is None:
        return None
    # A client signs only, and starts faster without it.
    from email.utils import parsedate_to_datetime

    try:
        parsed = parsedate_to_datetime(date)
        # Without a zone it is "-0000": UTC, from an unknown place (RFC 5322 section 3.3).
        utc = parsed if parsed.tzinfo is None else parsed.astimezone(UTC)
    except (ValueError, OverflowError):
        raise IncompleteSignature("Date must be as RFC 9110 has it, in GMT.") from None
    return f"{utc:%Y%m%dT%H%M%SZ}"


def _read_timestamp(text: str) -> datetime:
    try:
        if not _timestamp(text):
            raise ValueError
        return datetime.fromisoformat(text)
    except ValueError:
        raise IncompleteSignature("X-Amz-Date must be YYYYMMDD'T'HHMMSS'Z'.") from None


# Where requests are many, many are signed in one second. Nothing is remembered of who signed them, from which
# strangers could learn by the time it takes whose keys are in use.
_timestamp_of_many = lru_cache(maxsize=64)(_read_timestamp)


def _listed(names: tuple[str, ...]) -> str:
    return ", ".join(f"'{name}'" for name in names)
