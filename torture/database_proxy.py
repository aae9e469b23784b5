"""TCP proxy in front of PostgreSQL that loses answers to COMMIT, or forwards nothing for a time."""

import socket
import threading
from contextlib import suppress
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

# A Query message, https://www.postgresql.org/docs/current/protocol-message-formats.html
COMMIT = b"Q\x00\x00\x00\x0bCOMMIT\x00"
CHUNK = 65_536


class DatabaseProxy:
    """Forwards connections to the PostgreSQL of ``database_url``; ``url`` leads through it.

    With ``lose_every`` the connection of every so-manieth COMMIT is cut after the server has
    answered it. While ``silent`` is set, connections are accepted and nothing is forwarded.
    """

    def __init__(self, database_url: str) -> None:
        parts = urlsplit(database_url)
        self._server = (parts.hostname or "", parts.port or 5432)
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        port = self._listener.getsockname()[1]
        self.url = parts._replace(netloc=f"{parts.username}@127.0.0.1:{port}").geturl()
        self.lose_every = 0
        self.lost = 0
        self._open = threading.Event()
        self._open.set()
        self._commits = 0
        self._counting = threading.Lock()

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._open.set()
        self._listener.close()

    def silence(self, on: bool) -> None:
        """Forward nothing, or go on forwarding."""
        (self._open.clear if on else self._open.set)()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._connect, args=(client,), daemon=True).start()

    def _connect(self, client: socket.socket) -> None:
        try:
            server = socket.create_connection(self._server)
        except OSError:
            client.close()
            return
        loses = threading.Event()
        for source, target, is_client in ((client, server, True), (server, client, False)):
            pump = threading.Thread(
                target=self._forward, args=(source, target, loses, is_client), daemon=True
            )
            pump.start()

    def _forward(
        self, source: socket.socket, target: socket.socket, loses: threading.Event, is_client: bool
    ) -> None:
        with suppress(OSError):
            while chunk := source.recv(CHUNK):
                self._open.wait()
                if is_client and COMMIT in chunk and self._is_lost():
                    loses.set()
                if not is_client and loses.is_set():
                    break  # the server has committed, and the client does not hear of it
                target.sendall(chunk)
        for end in (source, target):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def _is_lost(self) -> bool:
        with self._counting:
            if not self.lose_every:
                return False
            self._commits += 1
            lost = self._commits % self.lose_every == 0
            self.lost += lost
            return lost
