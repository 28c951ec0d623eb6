"""The parameters in the request target of `GET /openTunnel?…`. Pure.

They are those that the AWS CLI 2 sends (`aws ec2-instance-connect open-tunnel`). Parameters named `X-Amz-…`
belong to Signature Version 4 and are ignored here.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote

from hatchway.access.open_tunnel import TunnelRequest
from hatchway.domain.addresses import parse_address
from hatchway.domain.ids import ENDPOINT_ID
from hatchway.domain.tunnel_protocol import USUAL_DURATION

if TYPE_CHECKING:
    from collections.abc import Iterable

PATH: Final = "/openTunnel"

_ENDPOINT: Final = "instanceConnectEndpointId"
_ADDRESS: Final = "privateIpAddress"
_PORT: Final = "remotePort"
_DURATION: Final = "maxTunnelDuration"
_USUAL_DURATION: Final = str(USUAL_DURATION)
_KNOWN: Final = frozenset({_ENDPOINT, _ADDRESS, _PORT, _DURATION})

_SIGNATURE_PREFIX: Final = "x-amz-"
_CREDENTIAL: Final = "X-Amz-Credential="
_KEY_ID: Final = re.compile(rf"{_CREDENTIAL}(\w{{16,128}})(?:/|%2[Ff])")
_WHOLE_NUMBER: Final = re.compile(r"[1-9][0-9]{0,4}")


def claimed_key_id(query: str) -> str:
    """The access key ID in a presigned URL's query, unverified; empty if there is none."""
    start = query.find(_CREDENTIAL)
    while start >= 0:
        if start == 0 or query[start - 1] == "&":
            found = _KEY_ID.match(query, start)
            if found is not None:
                return found.group(1)
        start = query.find(_CREDENTIAL, start + 1)
    return ""


class BadParameter(Exception):
    """A parameter that is missing, unknown, given twice, or has an invalid value.

    Attributes:
        parameter: its name as the client wrote it, at most 64 characters.
        problem: one or two sentences that say what to send instead.
    """

    def __init__(self, parameter: str, problem: str) -> None:
        super().__init__(problem)
        self.parameter = parameter[:64]
        self.problem = problem


def read_tunnel_request(parameters: Iterable[tuple[str, str]], longest: int) -> TunnelRequest:
    """Read the names and values of the query, in the canonical encoding that was signed.

    An IPv4-mapped address is read as its IPv4 address, and every address is written in its canonical form.

    Args:
        longest: the most seconds that may be requested.

    Raises:
        BadParameter: the first problem found.
    """
    asked = tuple([pair for pair in parameters if not pair[0].startswith("X-Amz-")])
    # Valid values of known parameters are short, and the cache keeps no invalid ones.
    read = _read_again if _KNOWN.issuperset(dict(asked)) else _read
    return read(asked, longest)


def _read(parameters: tuple[tuple[str, str], ...], longest: int) -> TunnelRequest:
    values = _values(parameters)
    return TunnelRequest(
        _endpoint_id(_required(values, _ENDPOINT)),
        _address(_required(values, _ADDRESS)),
        _number(_PORT, _required(values, _PORT), 65_535),
        _number(_DURATION, values.get(_DURATION, _USUAL_DURATION), longest),
    )


_read_again = lru_cache(maxsize=1024)(_read)


def _values(parameters: Iterable[tuple[str, str]]) -> dict[str, str]:
    """The values by name, still encoded, which makes a difference for addresses alone."""
    values = dict[str, str]()
    for name, value in parameters:
        if name in _KNOWN:
            if name in values:
                raise BadParameter(name, f"The parameter {name} is given more than once. Give it once.")
            values[name] = value
        elif not name.lower().startswith(_SIGNATURE_PREFIX):
            written = unquote(name)
            raise BadParameter(written, f"The parameter {written[:64]!a} is not known. Leave it out.")
    return values


def _required(values: dict[str, str], name: str) -> str:
    if name not in values:
        raise BadParameter(name, f"The parameter {name} is missing.")
    return values[name]


def _endpoint_id(text: str) -> str:
    if not ENDPOINT_ID.fullmatch(text):
        raise BadParameter(
            _ENDPOINT,
            f"The specified {_ENDPOINT} is not valid. Specify an id such as eice-0123456789abcdef0.",
        )
    return text


def _address(encoded: str) -> str:
    text = unquote(encoded) if "%" in encoded else encoded
    try:
        address = parse_address(text)
    except ValueError:
        raise BadParameter(
            _ADDRESS, f"The specified {_ADDRESS} is not valid. Specify an IPv4 or IPv6 address."
        ) from None
    # An IPv4 address has only one form.
    return str(address) if ":" in text else text


def _number(name: str, text: str, most: int) -> int:
    if not _WHOLE_NUMBER.fullmatch(text) or int(text) > most:
        raise BadParameter(name, f"The specified {name} is not valid. Specify a number from 1 to {most}.")
    return int(text)
