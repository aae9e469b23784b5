"""Fake carrier and push receiver of the benchmarks; records when each message arrived.

A separate process with one thread and plain sockets: ``python -m bench.receiver PORT SECONDS``. It
answers every POST after so many seconds, in Bandwidth's format (push clients ignore the body),
also of a sign-in.
``GET /seen`` returns the times, ``GET /count`` how many there are, ``DELETE`` forgets them. Where
there is a compiler and no delay, ``native.c`` does the same for less CPU time.
"""

import json
import re
import select
import socket
import sys
import time
from collections import deque
from contextlib import suppress

TEXT = re.compile(rb'"text": ?"bench (\d+)')
LENGTH = re.compile(rb"content-length: ?(\d+)", re.IGNORECASE)


class Receiver:
    """Records the time of each push or send, by the number in its text."""

    def __init__(self, port: int, seconds: float) -> None:
        self._seconds = seconds
        self._delayed: deque[tuple[float, socket.socket, bytes]] = deque()
        self._server = socket.create_server(("127.0.0.1", port), backlog=512)
        self._poll = select.epoll()
        self._poll.register(self._server.fileno(), select.EPOLLIN)
        self._connections: dict[int, tuple[socket.socket, bytes]] = {}
        self._seen: dict[int, float] = {}
        self._repeated = 0
        self._last = 0.0
        self._sends = 0

    def serve(self) -> None:
        """Answer until killed."""
        while True:
            wait = max(0.0, self._delayed[0][0] - time.monotonic()) if self._delayed else None
            for handle, _ in self._poll.poll(wait):
                if handle == self._server.fileno():
                    self._accept()
                else:
                    self._read(handle)
            while self._delayed and self._delayed[0][0] <= time.monotonic():
                _, connection, answer = self._delayed.popleft()
                with suppress(OSError):  # the client may have closed the connection
                    connection.sendall(answer)

    def _accept(self) -> None:
        connection, _ = self._server.accept()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._connections[connection.fileno()] = (connection, b"")
        self._poll.register(connection.fileno(), select.EPOLLIN)

    def _read(self, handle: int) -> None:
        connection, before = self._connections[handle]
        try:
            got = connection.recv(65536)
        except ConnectionError:
            got = b""
        if not got:
            self._poll.unregister(handle)
            connection.close()
            del self._connections[handle]
            return
        received = before + got
        while (length := _request_length(received)) is not None:
            answer = self._answer(received[:length])
            if self._seconds and received.startswith(b"POST"):
                self._delayed.append((time.monotonic() + self._seconds, connection, answer))
            else:
                connection.sendall(answer)
            received = received[length:]
        self._connections[handle] = (connection, received)

    def _answer(self, request: bytes) -> bytes:
        if request.startswith(b"GET /seen"):
            return _response(b"200 OK", json.dumps({"seen": self._seen}).encode())
        if request.startswith(b"GET"):
            count = {"count": len(self._seen), "repeated": self._repeated, "last": self._last}
            return _response(b"200 OK", json.dumps(count).encode())
        if request.startswith(b"DELETE"):
            self._seen, self._repeated = {}, 0
            return _response(b"200 OK", b"{}")
        if request.startswith(b"POST /oauth2/token"):
            return _response(b"200 OK", b'{"access_token": "of-the-bench", "expires_in": 86400}')
        found = TEXT.search(request)
        if found:
            number = int(found.group(1))
            self._repeated += number in self._seen
            self._last = time.monotonic()
            self._seen.setdefault(number, self._last)
        self._sends += 1
        body = (
            b'{"id": "sent-%d", "owner": "+12025550143", "segmentCount": 1,'
            b' "access_token": "bench", "expires_in": 3600}' % self._sends
        )
        return _response(b"202 Accepted", body)


def _request_length(received: bytes) -> int | None:
    """The length of the first complete request, or ``None``."""
    head = received.find(b"\r\n\r\n")
    if head < 0:
        return None
    found = LENGTH.search(received, 0, head)
    whole = head + 4 + (int(found.group(1)) if found else 0)
    return whole if len(received) >= whole else None


def _response(status: bytes, body: bytes) -> bytes:
    return b"HTTP/1.1 %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (
        status,
        len(body),
        body,
    )


if __name__ == "__main__":
    Receiver(int(sys.argv[1]), float(sys.argv[2])).serve()
