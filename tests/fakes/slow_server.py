"""Servers that take for ever, and how the HTTP client gets away from them: a program of its own.

It prints one word for each, ``what:error``, as seen in a process that gevent has patched.
"""

from gevent import monkey

if __name__ == "__main__":  # not where pytest only looks for doctests
    monkey.patch_all()

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from threading import Thread
from typing import Any

from services.http.client import Http, NoAnswer, NotSent

SECONDS = 0.3  # the total deadline; every wait within is shorter, and there is no end of them
HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n"


def drip(line: socket.socket, head: bytes) -> None:
    """Send a byte every 20 ms after some bytes at once."""
    with suppress(OSError):
        line.sendall(head)
        while True:
            line.sendall(b"x")
            time.sleep(0.02)


@contextmanager
def serving(treat: Callable[[socket.socket], object]) -> Iterator[int]:
    """A server on a port, and what it does to each connection."""
    server = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        kept = []
        while True:
            line, _ = server.accept()
            kept.append(line)
            Thread(target=treat, args=(line,), daemon=True).start()

    Thread(target=serve, daemon=True).start()
    yield server.getsockname()[1]


def show(what: str, url: str) -> None:
    """Print how a request ends."""
    try:
        Http().request("POST", url, data=b"x", seconds=SECONDS)
        print(f"{what}:answered")
    except (NotSent, NoAnswer) as error:
        print(f"{what}:{type(error).__name__}")


def slow_name(*_: Any, **__: Any) -> Any:
    """In the place of ``getaddrinfo``."""
    time.sleep(3600)


if __name__ == "__main__":
    resolve: Any = socket.getaddrinfo
    socket.getaddrinfo = slow_name
    show("name", "http://slow.example.com/")
    socket.getaddrinfo = resolve
    with serving(lambda line: None) as port:
        show("handshake", f"https://127.0.0.1:{port}/")
        show("silence", f"http://127.0.0.1:{port}/")
    with serving(lambda line: drip(line, HEAD + b"X-Long: ")) as port:
        show("head", f"http://127.0.0.1:{port}/")
    with serving(lambda line: drip(line, HEAD + b"\r\n")) as port:
        show("body", f"http://127.0.0.1:{port}/")
