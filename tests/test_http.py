"""The way out: connections that are kept, and those that the other side has closed meanwhile."""

import socket
import threading
from collections.abc import Iterator

import pytest

from services.connections import is_public
from services.http import Http

BODY = b"the whole body"
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Other:
    """A server that counts connections and closes each, without a word, after some answers."""

    def __init__(self, answers: int) -> None:
        self.connections = 0
        self.closed = threading.Semaphore(0)
        self._answers = answers
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}/"
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                line, _ = self._socket.accept()
            except OSError:
                return
            self.connections += 1
            with line:
                for _ in range(self._answers):
                    got = b""
                    while not got.endswith(BODY):
                        got += line.recv(65536)
                    line.sendall(ANSWER)
            self.closed.release()

    def close(self) -> None:
        """Listen no more."""
        self._socket.close()


@pytest.fixture
def http() -> Iterator[Http]:
    """A way out."""
    out = Http()
    yield out
    out.close()


def test_a_connection_is_used_again(http: Http) -> None:
    other = Other(answers=5)
    for _ in range(5):
        assert http.request("POST", other.url, data=BODY).body == b"ok"
    assert other.connections == 1
    other.close()


def test_a_connection_that_was_closed_meanwhile_is_not_used_again(http: Http) -> None:
    """On it a message would be lost in a way that leaves unknown whether it was taken."""
    other = Other(answers=1)
    for count in (1, 2, 3):
        assert http.request("POST", other.url, data=BODY).ok
        assert other.closed.acquire(timeout=10)
        assert other.connections == count
    other.close()


PUBLIC = ["9.9.9.9", "2620:fe::fe", "64:ff9b::9.9.9.9", "2002:909:909::1", "::ffff:9.9.9.9"]
CLOSED = [
    *("127.0.0.1", "10.0.0.5", "169.254.169.254", "100.64.0.1", "192.0.0.8", "192.88.99.1"),
    *("224.0.0.1", "::1", "::", "::127.0.0.1", "::ffff:10.0.0.5", "fe80::1%lo", "fec0::1"),
    *("64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::7f00:1", "2002:a00:5::", "2001::1"),
    *("3fff::1", "5f00::1", "fc00::1", "ff02::1", "2001:db8::1"),
]


@pytest.mark.parametrize(
    ("address", "public"), [*((a, True) for a in PUBLIC), *((a, False) for a in CLOSED)]
)
def test_what_is_an_address_of_the_internet(address: str, public: bool) -> None:
    assert is_public(address) is public
