"""A line to a PostgreSQL server that counts round trips and can be cut."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from select import select

from sqlalchemy import make_url

_SOCKET = ".s.PGSQL.5432"


class Line:
    """Between a client and its server.

    It counts how often what the client says follows what the server has said, and lets go of both when the
    client says `cut_at`, or when the server says anything and there is an `answer`: that the client gets in
    its place.
    """

    def __init__(self, to: Path, at: Path) -> None:
        self.round_trips = 0
        self.cut_at: bytes | None = None
        self.answer: bytes | None = None
        self._to = to
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(at))
        self._listener.listen()
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.socket(socket.AF_UNIX)
            server.connect(str(self._to))
            threading.Thread(target=self._pass, args=(client, server), daemon=True).start()

    def _pass(self, client: socket.socket, server: socket.socket) -> None:
        # Either end may go amid what is passed on: with that the line has ended.
        with client, server, suppress(ConnectionError):
            was_told = True
            while True:
                for side in select([client, server], [], [])[0]:
                    data = side.recv(1 << 20)
                    if not data or (self.cut_at is not None and side is client and self.cut_at in data):
                        return
                    if side is client:
                        self.round_trips += was_told
                        was_told = False
                        server.sendall(data)
                    else:
                        if self.answer is not None:
                            client.sendall(self.answer)
                            return
                        was_told = True
                        client.sendall(data)


@contextmanager
def line_to(url: str, directory: Path) -> Iterator[tuple[str, Line]]:
    """A line to the server of a store's URL, and the URL that leads through it."""
    line = Line(Path(str(make_url(url).query["host"]), _SOCKET), directory / _SOCKET)
    led = make_url(url).update_query_dict({"host": str(directory), "gssencmode": "disable"})
    try:
        yield led.render_as_string(hide_password=False), line
    finally:
        line.close()
