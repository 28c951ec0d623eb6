"""The server's certificate from the current files, for the core."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hatchway.transport.core.loading import CORE
from hatchway.transport.server_tls import ServerTls

if TYPE_CHECKING:
    from hatchway.transport.core._core import Context


class CoreTls(ServerTls):
    """Has a context of the core besides `context`, from the same files."""

    @property
    def session_context(self) -> Context:
        return self._core_context

    def _take(self) -> None:
        # Python reports better what is wrong with the files.
        super()._take()
        certificate, key = self._files
        assert CORE is not None
        ciphers = self._ciphers
        self._core_context: Context = CORE.Context(
            str(certificate), str(key), ciphers.older, ciphers.suites_for(self.context)
        )
