"""A control plane that kills itself amid writes. It imports little: each is a process of its own."""

import os
import signal
import socket
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from sqlalchemy import event

from hatchway.audit.group_commit import GroupCommit
from hatchway.control.application import create_application
from hatchway.control.http.server import HttpsServer
from hatchway.control.plane import ControlPlane
from hatchway.domain.arns import Arns
from hatchway.keys.vault import Vault
from hatchway.store import Store
from hatchway.transport.listening.sources import Sources

MASTER_KEY: Final = bytes(range(32, 64))


def serve(url: str, listener: socket.socket, certificate: Path, steps: int) -> None:
    """A control plane that kills itself at this step."""
    store = Store.open(url)
    left = [steps]
    lock = threading.Lock()

    def step(*_: Any) -> None:
        with lock:
            left[0] -= 1
            if left[0] == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    def before(_connection: Any, _cursor: Any, text: str, *_: Any) -> None:
        if text.partition(" ")[0] in {"INSERT", "UPDATE", "DELETE"}:
            step()

    event.listen(store.engine, "before_cursor_execute", before)
    event.listen(store.engine, "commit", step)
    plane = ControlPlane(
        store=store,
        vault=Vault(MASTER_KEY),
        gateway_vault=Vault(bytes(32)),
        log=GroupCommit(store),
        arns=Arns("123456789012", "us-east-1"),
        clock=lambda: datetime.now(UTC),
        random_bytes=os.urandom,
    )
    server = HttpsServer(
        create_application(plane),
        certificate=certificate,
        key=certificate,
        drain_seconds=1,
        on_ready=lambda: None,
        sources=Sources(time.monotonic),
    )
    server.run(sockets=[listener])
