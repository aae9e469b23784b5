"""The way out: connections that are kept, and those that the other side has closed meanwhile."""

import gzip
import socket
import ssl
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from services import connections
from services.connections import is_public
from services.http import Http, NoAnswer, NotSent, TextbridgeError, TooLarge
from services.in_turn import InTurn
from tests.certificates import own_certificate
from tests.waiting import PATIENCE

BODY = b"the whole body"
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
PACKED = gzip.compress(b"ok")
HEAD = b"HTTP/1.1 200 OK\r\nContent-"

WHOLE = {  # answers, and whether their connection can be used again
    "of known length": (ANSWER, True),
    "in chunks": (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        True,
    ),
    "after an interim one": (b"HTTP/1.1 100 Continue\r\n\r\n" + ANSWER, True),
    "packed": (HEAD + b"Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(PACKED) + PACKED, True),
    "until the end": (b"HTTP/1.1 200 OK\r\n\r\nok", False),
    "of the old kind": (b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", False),
    "the last one": (HEAD + b"Length: 2\r\nConnection: close\r\n\r\nok", False),
}
BROKEN: dict[str, tuple[bytes, type[TextbridgeError]]] = {
    "nothing": (b"", NoAnswer),
    "no HTTP": (b"220 mail.example.com ESMTP\r\n", NoAnswer),
    "half a body": (HEAD + b"Length: 3\r\n\r\nok", NoAnswer),
    "half of the chunks": (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n",
        NoAnswer,
    ),
    "badly packed": (HEAD + b"Encoding: gzip\r\nContent-Length: 2\r\n\r\nok", NoAnswer),
    "too long": (HEAD + b"Length: 99\r\n\r\n" + b"x" * 99, TooLarge),
    "too long when unpacked": (
        HEAD + b"Encoding: gzip\r\n\r\n" + gzip.compress(bytes(99)),
        TooLarge,
    ),
}


class Other:
    """A server that counts connections and closes each, without a word, after some answers."""

    def __init__(self, answers: int, answer: bytes = ANSWER) -> None:
        self.connections = 0
        self.received: list[bytes] = []
        self._answer = answer
        self._tls: ssl.SSLContext | None = None
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
            if self._tls is not None:
                try:
                    line = self._tls.wrap_socket(line, server_side=True)
                except OSError:
                    continue
            self.connections += 1
            with line:
                for _ in range(self._answers):
                    got = b""
                    while not got.endswith(BODY) and (more := line.recv(65536)):
                        got += more
                    if not got:
                        break
                    self.received.append(got)
                    line.sendall(self._answer)
            self.closed.release()

    def wrap(self, tls: ssl.SSLContext) -> None:
        """Speak TLS from the next connection on."""
        self._tls = tls

    def close(self) -> None:
        """Listen no more."""
        self._socket.close()


@pytest.fixture
def http() -> Iterator[Http]:
    """A way out."""
    out = Http()
    yield out
    out.close()


@pytest.mark.parametrize("quick", [True, False], ids=["quick", "slow"])
def test_one_goes_after_the_other_as_long_as_each_is_quick(
    quick: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.in_turn.PATIENCE_SECONDS", PATIENCE if quick else 0.001)
    turns, inside, most = InTurn(), Counter[str](), Counter[str]()
    everybody = threading.Barrier(1 if quick else 4)

    def go(place: str) -> None:
        with turns.at(place):
            inside[place] += 1
            most[place] = max(most[place], inside[place])
            time.sleep(0.001)
            everybody.wait(PATIENCE)  # the slow one ends when all are there
            inside[place] -= 1

    with ThreadPoolExecutor(8) as people:
        for _ in people.map(go, ["a"] * 4 if not quick else ["a", "b"] * 20):
            pass
    assert most == ({"a": 1, "b": 1} if quick else {"a": 4})


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
        assert other.closed.acquire(timeout=PATIENCE)
        assert other.connections == count
    other.close()


@pytest.mark.parametrize("kind", WHOLE)
def test_a_whole_answer_is_read_and_no_more(http: Http, kind: str) -> None:
    written, kept = WHOLE[kind]
    other = Other(answers=1 if kind == "until the end" else 2, answer=written)
    for _ in range(2):
        answer = http.request("POST", other.url, data=BODY)
        assert (answer.status, answer.body) == (200, b"ok")
    assert other.connections == (1 if kept else 2)
    other.close()


@pytest.mark.parametrize("kind", BROKEN)
def test_an_answer_that_is_not_whole_leaves_unknown_what_became_of_the_request(
    http: Http, kind: str
) -> None:
    written, error = BROKEN[kind]
    other = Other(answers=1, answer=written)
    with pytest.raises(error):
        http.request("POST", other.url, data=BODY, most=50)
    assert len(other.received) == 1, "it was sent again"
    other.close()


def test_the_rest_of_a_long_answer_is_not_taken_for_the_next(http: Http) -> None:
    other = Other(answers=2, answer=ANSWER)
    with pytest.raises(TooLarge):
        http.request("POST", other.url, data=BODY, most=1)
    assert http.request("POST", other.url, data=BODY).body == b"ok"
    assert other.connections == 2
    other.close()


def test_a_request_is_one_packet_with_everything_in_it(http: Http) -> None:
    other = Other(answers=1)
    address = other.url.replace("http://", "http://me:secret@") + "a%20b?c=d"
    http.request("POST", address, params={"e": "f g"}, headers={"X-Y": "z"}, data=BODY)
    lines = other.received[0].decode().split("\r\n")
    assert lines[0] == "POST /a%20b?c=d&e=f+g HTTP/1.1"
    assert lines[1] == f"Host: {other.url[7:-1]}"
    assert {"X-Y: z", "Authorization: Basic bWU6c2VjcmV0", "Content-Length: 14"} < set(lines)
    assert lines[-2:] == ["", BODY.decode()]
    other.close()


@pytest.mark.parametrize(
    "url",
    ["ftp://127.0.0.1/", "http:///path", "nothing", "http://[::1/", "http://127.0.0.1:99999/"],
)
def test_what_is_no_address_is_not_asked(http: Http, url: str) -> None:
    with pytest.raises(NotSent):
        http.request("POST", url, data=BODY)


def test_a_header_cannot_bring_another_one(http: Http) -> None:
    other = Other(answers=1)
    for odd in ("a\r\nX: y", "a\nX: y", "\u2026"):
        with pytest.raises(NotSent):
            http.request("POST", other.url, headers={"X-Name": odd}, data=BODY)
    assert other.received == []
    other.close()


@pytest.mark.parametrize("trusted", [True, False])
def test_a_certificate_is_checked(
    http: Http, trusted: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server.load_cert_chain(own_certificate(tmp_path, "localhost"))
    other = Other(answers=3)
    other.wrap(server)
    if trusted:
        monkeypatch.setattr(connections, "where", lambda: str(tmp_path / "own.pem"))
    connections.authorities.cache_clear()
    try:
        address = other.url.replace("http://127.0.0.1", "https://localhost")
        if trusted:
            assert [http.request("POST", address, data=BODY).body for _ in range(3)] == [b"ok"] * 3
            assert other.connections == 1
        with pytest.raises(NotSent, match="certificate"):  # of another name, or of nobody's
            http.request("POST", address.replace("localhost", "127.0.0.1"), data=BODY)
    finally:
        connections.authorities.cache_clear()
        other.close()


PUBLIC = ["9.9.9.9", "2620:fe::fe", "64:ff9b::9.9.9.9", "2002:909:909::1", "::ffff:9.9.9.9"]
NOT_PUBLIC = [
    *("127.0.0.1", "10.0.0.5", "169.254.169.254", "100.64.0.1", "192.0.0.8", "192.88.99.1"),
    *("224.0.0.1", "::1", "::", "::127.0.0.1", "::ffff:10.0.0.5", "fe80::1%lo", "fec0::1"),
    *("64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::7f00:1", "2002:a00:5::", "2001::1"),
    *("3fff::1", "5f00::1", "fc00::1", "ff02::1", "2001:db8::1"),
]


@pytest.mark.parametrize(
    ("address", "public"), [*((a, True) for a in PUBLIC), *((a, False) for a in NOT_PUBLIC)]
)
def test_what_is_an_address_of_the_internet(address: str, public: bool) -> None:
    assert is_public(address) is public
