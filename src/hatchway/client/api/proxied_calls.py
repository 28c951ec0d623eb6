"""botocore's calls through any proxy that tunnels go through. Imported only where there is one.

botocore itself reads no ALL_PROXY and knows no SOCKS: left to itself it connects past such a proxy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from botocore.awsrequest import AWSHTTPConnection, AWSHTTPSConnection
from botocore.exceptions import EndpointConnectionError, ProxyConnectionError
from botocore.httpsession import URLLib3Session, mask_proxy_url
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import NewConnectionError

from hatchway.client.connection.proxied import connect_through

if TYPE_CHECKING:
    import socket

    from botocore.config import Config


def send_through(client: Any, proxy: str, verify: str | None, config: Config) -> None:
    """Has a client of botocore send all its calls through the proxy of this URL.

    Args:
        verify: the CA bundle; None for what botocore takes by default.
    """
    session = _Session(proxy, verify, config)

    def send(request: Any, **_: object) -> Any:
        try:
            return session.send(request)
        except EndpointConnectionError as error:
            raise ProxyConnectionError(
                proxy_url=mask_proxy_url(proxy), error=error.kwargs["error"]
            ) from error

    # What answers a request in the place of botocore's own connections.
    client.meta.events.register("before-send", send)


class _Session(URLLib3Session):  # type: ignore[misc]  # botocore has no types
    def __init__(self, proxy: str, verify: str | None, config: Config) -> None:
        super().__init__(
            verify=True if verify is None else verify,
            timeout=(config.connect_timeout, config.read_timeout),
            max_pool_connections=config.max_pool_connections,
        )

        class Plain(_Through, AWSHTTPConnection):  # type: ignore[misc]
            by = proxy

        class Secure(_Through, AWSHTTPSConnection):  # type: ignore[misc]
            by = proxy

        class PlainPool(HTTPConnectionPool):
            ConnectionCls = Plain

        class SecurePool(HTTPSConnectionPool):
            ConnectionCls = Secure

        self._manager.pool_classes_by_scheme = {"http": PlainPool, "https": SecurePool}


class _Through:
    """A connection of urllib3's that is made by a proxy; as urllib3's own of SOCKS has it, in one method."""

    by: str
    host: str
    port: int
    timeout: float

    def _new_conn(self) -> socket.socket:
        try:
            return connect_through(self.by, self.host, self.port, self.timeout)
        except OSError as error:
            raise NewConnectionError(self, str(error)) from error  # type: ignore[arg-type]
