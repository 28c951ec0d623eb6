"""Whom we trust by TLS, and connections to them.

To read all the certificates of a system takes several times as long as to connect. OpenSSL can look in a
directory for the one that it needs, where the system has such a directory, so that is tried first; whoever is
not trusted by that is asked once more, by all.
"""

from __future__ import annotations

import os
import re
import ssl
from contextlib import suppress
from functools import cached_property
from typing import TYPE_CHECKING, Final

from hatchway.client.connection.connection import ascii_name
from hatchway.client.errors import ClientError, InvalidOption, printable

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from hatchway.transport.core._core import Context

_CORRECT_BUNDLE: Final = "correct --ca-bundle, AWS_CA_BUNDLE or the profile's ca_bundle"

_HASHED: Final = re.compile(r"[0-9a-f]{8}\.[0-9]+")
"""How OpenSSL finds a certificate in a directory (openssl-rehash(1))."""


_OUT_OF_TIME: Final = frozenset({9, 10})
_OF_ANOTHER_NAME: Final = frozenset({62, 63, 64})
"""Of OpenSSL's codes: not yet valid and expired; another host name, email and address (x509_vfy.h)."""


_NO_PARTIAL_WILDCARDS: Final = 0x4
_NEVER_CHECK_SUBJECT: Final = 0x20
"""How OpenSSL compares names (X509_check_host(3)), as Python has it do so."""


def advice(error: ssl.SSLCertVerificationError, usual: str) -> str:
    """What to do about a certificate that was not accepted: what is usual helps where its CA is not known."""
    if error.verify_code in _OUT_OF_TIME:
        return "check this machine's clock, or ask the server's administrator to renew it"
    if error.verify_code in _OF_ANOTHER_NAME:
        return "call the server by a name that its certificate has"
    return usual


def unknown_ca(ca_bundle: str | None = None) -> str:
    """What to do where a certificate's CA is not known. Whoever has a profile with the CA finds nothing wrong
    with it while the environment says another.

    Args:
        ca_bundle: which was asked, where that is known here.
    """
    of_environment = os.environ.get("AWS_CA_BUNDLE")
    if of_environment and ca_bundle in (None, of_environment):
        return (
            "AWS_CA_BUNDLE is set, so that the profile's ca_bundle does not count: unset it, or give the CA"
            " with --ca-bundle"
        )
    if ca_bundle is not None:
        return f"it comes from no CA in {printable(ca_bundle)}: give the server's with --ca-bundle"
    return "give the CA with --ca-bundle or AWS_CA_BUNDLE"


def trust_bundle(context: ssl.SSLContext, ca_bundle: str, *, file_only: bool = False) -> None:
    """Has the context trust the certificates of a file; or of a directory, as OpenSSL has them.

    Raises:
        InvalidOption: there are none.
    """
    kind = "capath" if os.path.isdir(ca_bundle) and not file_only else "cafile"  # noqa: PTH112
    try:
        context.load_verify_locations(**{kind: ca_bundle})
    except ssl.SSLError as error:
        raise InvalidOption(
            f"the CA bundle {printable(ca_bundle)} holds no certificate in PEM form: {_CORRECT_BUNDLE}"
        ) from error
    except OSError as error:
        raise InvalidOption(
            f"the CA bundle {printable(ca_bundle)} cannot be read ({error.strerror}): {_CORRECT_BUNDLE}"
        ) from error
    except ValueError as error:
        raise InvalidOption(f"the CA bundle {printable(ca_bundle)} is no path: {_CORRECT_BUNDLE}") from error


def trust(ca_bundle: str | None) -> ssl.SSLContext:
    """The system's certificates and those of `ca_bundle`, a file or a directory.

    Raises:
        InvalidOption: there are no certificates in `ca_bundle`.
    """
    context = ssl.create_default_context()
    if ca_bundle is not None:
        trust_bundle(context, ca_bundle)
    return context


def _core_context(ca_bundle: str | None) -> Context:
    """What trusts the same as `trust`, of the compiled core, which must be there.

    Raises:
        InvalidOption: there are no certificates in `ca_bundle`.
    """
    from hatchway.transport.core.loading import CORE

    assert CORE is not None
    paths = ssl.get_default_verify_paths()
    # It may be several, of which Python tells none, and OpenSSL takes each.
    system = os.environ.get(paths.openssl_capath_env, paths.openssl_capath)
    # Of a directory nothing is read before it is needed.
    usual = ssl.create_default_context(capath=system)
    files, directories = [paths.cafile], [system]
    if ca_bundle is not None:
        trust_bundle(usual, ca_bundle)
        (directories if os.path.isdir(ca_bundle) else files).append(ca_bundle)  # noqa: PTH112
    names = 0 if usual.hostname_checks_common_name else _NEVER_CHECK_SUBJECT
    context: Context = CORE.client_context(
        tuple(filter(None, files)),
        tuple(filter(None, directories)),
        int(usual.verify_flags),
        names | _NO_PARTIAL_WILDCARDS,
    )
    return context


class Trust:
    """The system's certificates and those of a CA bundle, a file or a directory, each read when it is needed.

    Attributes:
        ca_bundle: that one's path.

    Raises:
        InvalidOption: there are no certificates in the bundle.
    """

    def __init__(self, ca_bundle: str | None) -> None:
        self.ca_bundle = ca_bundle
        self._read = self._as_they_are()
        self._found_first = self._quick()

    def renew(self) -> None:
        """Have what was changed since then be read anew, as by 'hatchway trust update' while one CA takes
        another's place. What cannot be used, as while somebody writes it, changes nothing."""
        if self._as_they_are() == self._read:
            return
        with suppress(ClientError, OSError):
            fresh = Trust(self.ca_bundle)
            for name in ("everything", "compiled"):
                if name in vars(self):
                    getattr(fresh, name)
            vars(self).update(vars(fresh))

    def _as_they_are(self) -> tuple[tuple[int, int, int] | None, ...]:
        """Of each file and directory what tells whether it is still the same."""
        of_system = ssl.get_default_verify_paths()
        return tuple(map(_state, (self.ca_bundle, of_system.cafile, of_system.capath)))

    def _quick(self) -> ssl.SSLContext | None:
        """What takes no time to read; None where that is nothing."""
        directory = ssl.get_default_verify_paths().capath
        hashed = directory is not None and _is_hashed(directory)
        if self.ca_bundle is None and not hashed:
            return None
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        if hashed:
            context.load_verify_locations(capath=directory)
        if self.ca_bundle is not None:
            trust_bundle(context, self.ca_bundle)
        return context

    @cached_property
    def everything(self) -> ssl.SSLContext:
        """What decides by all of them."""
        return trust(self.ca_bundle)

    @cached_property
    def compiled(self) -> Context:
        """The same for the compiled core, which must be there."""
        return _core_context(self.ca_bundle)

    def connect(self, dial: Callable[[], socket.socket], name: str) -> ssl.SSLSocket:
        """A connection by TLS with whoever proves to be of that name.

        Args:
            dial: makes the connection, a second time where need be.

        Raises:
            ssl.SSLCertVerificationError: whoever it is, is not trusted.
            OSError, UnicodeError: there is no connection.
        """
        # A connection made ahead asks in a thread of its own, and may find it not to be enough meanwhile.
        first = self._found_first
        if first is not None:
            try:
                return _wrapped(first, dial(), name)
            except ssl.SSLCertVerificationError:
                self._found_first = None
        return _wrapped(self.everything, dial(), name)


def _state(path: str | None) -> tuple[int, int, int] | None:
    """None for what is not there."""
    if path is None:
        return None
    try:
        there = os.stat(path)  # noqa: PTH116 - pathlib takes longer to load than this to run
    except (OSError, ValueError):
        return None
    return there.st_mtime_ns, there.st_ino, there.st_size


def _is_hashed(directory: str) -> bool:
    try:
        with os.scandir(directory) as entries:
            return any(_HASHED.fullmatch(entry.name) for entry in entries)
    except OSError:
        # One that this user cannot read vouches for nobody.
        return False


def _wrapped(context: ssl.SSLContext, sock: socket.socket, name: str) -> ssl.SSLSocket:
    try:
        return context.wrap_socket(sock, server_hostname=ascii_name(name))
    except BaseException:
        sock.close()
        raise
