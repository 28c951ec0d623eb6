"""Which addresses belong to this machine: a connection to them reaches a process here.

It asks Linux for the present route to each address (rtnetlink(7)). So every interface counts, including those
that come up later, and addresses that are local only by a route (`ip route add local 192.0.2.0/24 dev lo`).
"""

import errno
import ipaddress
import re
import socket
import struct
from pathlib import Path
from typing import Final

from hatchway.domain.addresses import Address

_RTM_GETROUTE: Final = 26
_RTM_NEWROUTE: Final = 24
_NLMSG_ERROR: Final = 2
_NLM_F_REQUEST: Final = 1
_RTA_DST: Final = 1
_RTN_LOCAL: Final = 2
_RTN_ANYCAST: Final = 4
_HEADER: Final = struct.Struct("=IHHII")
_ROUTE: Final = struct.Struct("=BBBBBBBBI")
_ATTRIBUTE: Final = struct.Struct("=HH")
_ERROR: Final = struct.Struct("=i")
_NO_WAY: Final = frozenset({errno.ENETUNREACH, errno.EHOSTUNREACH, errno.EACCES, errno.EINVAL})
"""The kernel's errors for an address without a route, or with a route that forbids or drops."""

_FIB_TRIE: Final = Path("/proc/self/net/fib_trie")
_IF_INET6: Final = Path("/proc/self/net/if_inet6")
_EVERYWHERE: Final = frozenset({"", "0.0.0.0", "::"})  # noqa: S104 - compared with, not listened on
_LOCAL_ROUTE: Final = re.compile(r"\|-- ([0-9.]+)\n\s+/32 host LOCAL\n")


class OwnAddresses:
    """Asks the kernel over one socket; not for several threads at once. An answer takes some microseconds."""

    def __init__(self) -> None:
        self._sequence = 0
        self._socket = _netlink()

    @property
    def is_exact(self) -> bool:
        """Whether the kernel's routes can be queried: a service manager may forbid it (`AF_NETLINK`).

        If not, the addresses of interfaces and loopback are known, but not those that are local by a route.
        """
        return self._socket is not None

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()

    def holds(self, address: Address) -> bool:
        """Whether a connection to the address would reach this machine."""
        if address.is_loopback or address.is_unspecified:
            return True
        kind = None if self._socket is None else self._route_kind(self._socket, address)
        return _is_source(address) if kind is None else kind in {_RTN_LOCAL, _RTN_ANYCAST}

    def _route_kind(self, sock: socket.socket, address: Address) -> int | None:
        """The type of the address's route, 0 if it has none; None if the kernel does not say."""
        self._sequence = (self._sequence + 1) & 0xFFFFFFFF
        family = socket.AF_INET if address.version == 4 else socket.AF_INET6
        packed = address.packed
        route = _ROUTE.pack(family, len(packed) * 8, 0, 0, 0, 0, 0, 0, 0)
        wanted = _ATTRIBUTE.pack(_ATTRIBUTE.size + len(packed), _RTA_DST) + packed
        size = _HEADER.size + len(route) + len(wanted)
        head = _HEADER.pack(size, _RTM_GETROUTE, _NLM_F_REQUEST, self._sequence, 0)
        try:
            sock.send(head + route + wanted)
            # The kernel answers within the call; answers to an earlier question are skipped.
            while True:
                answer = sock.recv(4096)
                _, kind, _, sequence, _ = _HEADER.unpack_from(answer)
                if sequence == self._sequence:
                    break
        except (OSError, struct.error):
            return None
        if kind == _RTM_NEWROUTE:
            return int(_ROUTE.unpack_from(answer, _HEADER.size)[7])
        if kind == _NLMSG_ERROR and -_ERROR.unpack_from(answer, _HEADER.size)[0] in _NO_WAY:
            return 0
        return None


def _netlink() -> socket.socket | None:
    try:
        sock = socket.socket(
            socket.AF_NETLINK,
            socket.SOCK_RAW | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC,
            socket.NETLINK_ROUTE,
        )
    except OSError:
        return None
    try:
        # To the kernel, and from it alone.
        sock.bind((0, 0))
        sock.connect((0, 0))
    except OSError:
        sock.close()
        return None
    return sock


def _is_source(address: Address) -> bool:
    """Whether packets to the address would also have it as their source: Linux does so when it talks to
    itself."""
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    with socket.socket(family, socket.SOCK_DGRAM) as sock:
        try:
            sock.connect((str(address), 9))
        except OSError:
            return False
        source = ipaddress.ip_address(sock.getsockname()[0].partition("%")[0])
    return source == address or source.is_loopback


def reached_at(host: str) -> frozenset[str]:
    """The addresses at which other machines reach what listens at a host name or address here.

    Raises:
        OSError: the name does not resolve, or the kernel does not list its addresses (proc(5)).
    """
    if host in _EVERYWHERE:
        return interface_addresses()
    texts = {str(answer[4][0]).partition("%")[0] for answer in socket.getaddrinfo(host, None)}
    return frozenset(text for text in texts if not ipaddress.ip_address(text).is_loopback)


def interface_addresses() -> frozenset[str]:
    """The addresses of this machine's interfaces, as texts, without loopback and link-local ones.

    Raises:
        OSError: the kernel does not list them (proc(5)).
    """
    texts = _LOCAL_ROUTE.findall(_FIB_TRIE.read_text(encoding="ascii"))
    found: set[Address] = set(map(ipaddress.IPv4Address, texts))
    # Without IPv6 there is no such file.
    if _IF_INET6.exists():
        lines = _IF_INET6.read_text(encoding="ascii").splitlines()
        found |= {ipaddress.IPv6Address(bytes.fromhex(line[:32])) for line in lines}
    return frozenset(str(one) for one in found if not (one.is_loopback or one.is_link_local))
