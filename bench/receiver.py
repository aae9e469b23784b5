"""The other side: takes what Textbridge pushes and sends, and notes when it came.

A process of its own, one thread, plain sockets: ``python -m bench.receiver PORT``. It answers every
POST as Bandwidth does (a push receiver does not care). ``GET /seen`` tells what came.
"""

import json
import re
import select
import socket
import sys
import time

TEXT = re.compile(rb'"text": ?"bench (\d+)')
LENGTH = re.compile(rb"content-length: ?(\d+)", re.IGNORECASE)


class Receiver:
    """Counts pushes and sends; the last moment and, by the number in the text, each moment."""

    def __init__(self, port: int) -> None:
        self._server = socket.create_server(("127.0.0.1", port), backlog=512)
        self._poll = select.epoll()
        self._poll.register(self._server.fileno(), select.EPOLLIN)
        self._lines: dict[int, tuple[socket.socket, bytes]] = {}
        self._seen: dict[int, float] = {}
        self._repeated = 0
        self._sends = 0

    def serve(self) -> None:
        """Answer until killed."""
        while True:
            for handle, _ in self._poll.poll():
                if handle == self._server.fileno():
                    self._accept()
                else:
                    self._read(handle)

    def _accept(self) -> None:
        line, _ = self._server.accept()
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._lines[line.fileno()] = (line, b"")
        self._poll.register(line.fileno(), select.EPOLLIN)

    def _read(self, handle: int) -> None:
        line, before = self._lines[handle]
        try:
            got = line.recv(65536)
        except ConnectionError:
            got = b""
        if not got:
            self._poll.unregister(handle)
            line.close()
            del self._lines[handle]
            return
        received = before + got
        while (whole := _whole(received)) is not None:
            line.sendall(self._answer(received[:whole]))
            received = received[whole:]
        self._lines[handle] = (line, received)

    def _answer(self, request: bytes) -> bytes:
        if request.startswith(b"GET /seen"):
            told = {"seen": self._seen, "repeated": self._repeated, "now": time.monotonic()}
            return _response(b"200 OK", json.dumps(told).encode())
        if request.startswith(b"DELETE"):
            self._seen, self._repeated = {}, 0
            return _response(b"200 OK", b"{}")
        found = TEXT.search(request)
        if found:
            number = int(found.group(1))
            self._repeated += number in self._seen
            self._seen.setdefault(number, time.monotonic())
        self._sends += 1
        body = b'{"id": "sent-%d", "owner": "+12025550143", "segmentCount": 1}' % self._sends
        return _response(b"202 Accepted", body)


def _whole(received: bytes) -> int | None:
    """The length of the first whole request, if there is one."""
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
    Receiver(int(sys.argv[1])).serve()
