"""HTTP client: kept and stale connections, whole answers, TLS, deadlines, private addresses."""

import gzip
import os
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import requests
import responses

from services.core.errors import TextbridgeError
from services.http import adapters, client
from services.http.client import Answer, Http, NoAnswer, NotSent, TooLarge
from services.http.public_addresses import is_public
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


Post = Callable[[str], Answer]


@pytest.fixture(params=["request", "post"])
def post(request: pytest.FixtureRequest, http: Http) -> Post:
    """The two ways to post ``BODY``: by requests, and straight over the pool."""
    if request.param == "request":
        return lambda url: http.request("POST", url, data=BODY, most=client.ANSWER_BYTES)
    return lambda url: http.post(url, headers={}, data=BODY)


def test_a_connection_is_used_again(post: Post) -> None:
    other = Other(answers=5)
    for _ in range(5):
        assert post(other.url).body == b"ok"
    assert other.connections == 1
    other.close()


def test_a_connection_that_was_closed_meanwhile_is_not_used_again(post: Post) -> None:
    """On it a message would be lost in a way that leaves unknown whether it was taken."""
    other = Other(answers=1)
    for count in (1, 2, 3):
        assert post(other.url).ok
        assert other.closed.acquire(timeout=PATIENCE)
        assert other.connections == count
    other.close()


@pytest.mark.parametrize("kind", WHOLE)
def test_a_whole_answer_is_read_and_no_more(post: Post, kind: str) -> None:
    written, kept = WHOLE[kind]
    other = Other(answers=1 if kind == "until the end" else 2, answer=written)
    for _ in range(2):
        answer = post(other.url)
        assert (answer.status, answer.body) == (200, b"ok")
    assert other.connections == (1 if kept else 2)
    other.close()


@pytest.mark.parametrize("kind", BROKEN)
def test_an_incomplete_answer_leaves_the_outcome_unknown(
    post: Post, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "ANSWER_BYTES", 50)
    written, error = BROKEN[kind]
    other = Other(answers=1, answer=written)
    with pytest.raises(error):
        post(other.url)
    assert len(other.received) == 1, "it was sent again"
    other.close()


def test_the_rest_of_a_long_answer_is_not_taken_for_the_next(http: Http) -> None:
    other = Other(answers=2, answer=HEAD + b"Length: 99\r\n\r\n" + b"x" * 99)
    with pytest.raises(TooLarge):
        http.request("POST", other.url, data=BODY, most=50)
    assert http.request("POST", other.url, data=BODY).body == b"x" * 99
    assert other.connections == 2
    other.close()


@pytest.mark.parametrize("written", [b"204 No Content\r\n", b"200 OK\r\nContent-Length: 0\r\n"])
def test_an_answer_without_a_body_leaves_the_connection_open(post: Post, written: bytes) -> None:
    other = Other(answers=3, answer=b"HTTP/1.1 " + written + b"\r\n")
    assert [post(other.url).body for _ in range(3)] == [b""] * 3
    assert other.connections == 1
    other.close()


def test_an_address_with_a_password_is_posted_to_with_it(post: Post) -> None:
    other = Other(answers=1)
    assert post(other.url.replace("http://", "http://me:secret@") + "a?b=c").ok
    lines = other.received[0].decode().split("\r\n")
    assert lines[0] == "POST /a?b=c HTTP/1.1"
    assert {"Authorization: Basic bWU6c2VjcmV0", "Content-Length: 14"} < set(lines)
    other.close()


@pytest.mark.parametrize("length", [0, 99])
def test_a_redirect_is_an_answer_of_bounded_length(http: Http, length: int) -> None:
    other = Other(
        answers=1,
        answer=b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\n"
        b"Content-Length: %d\r\n\r\n" % length + b"x" * length,
    )
    if length:
        with pytest.raises(TooLarge):
            http.request("POST", other.url, data=BODY, most=50)
    else:
        answer = http.request("POST", other.url, data=BODY)
        assert (answer.status, answer.headers["location"]) == (302, "http://127.0.0.1:1/")
    other.close()


def test_no_cookie_is_kept(http: Http, post: Post) -> None:
    other = Other(answers=2, answer=HEAD + b"Length: 2\r\nSet-Cookie: a=b; Path=/\r\n\r\nok")
    for _ in range(2):
        assert post(other.url).ok
    assert b"ookie" not in b"".join(other.received)
    assert not list(http._session.cookies)
    other.close()


def test_the_environment_gives_no_proxy_and_no_password(
    post: Post, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login me password secret\n")
    for name, value in {"HTTP_PROXY": "http://127.0.0.1:1", "NETRC": str(netrc)}.items():
        monkeypatch.setenv(name, value)
        monkeypatch.setenv(name.lower(), value)
    other = Other(answers=1)
    assert post(other.url).ok
    assert b"Authorization" not in other.received[0]
    other.close()


def test_an_odd_header_brings_no_address_into_the_log(
    post: Post, caplog: pytest.LogCaptureFixture
) -> None:
    other = Other(answers=1, answer=b"HTTP/1.1 200 OK\r\n: odd\r\nContent-Length: 2\r\n\r\nok")
    with suppress(NoAnswer):
        post(other.url + "?password=secret")
    assert "secret" in other.received[0].decode()
    assert "secret" not in caplog.text
    other.close()


def test_no_connection_means_not_sent(post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        address = f"http://127.0.0.1:{closed.getsockname()[1]}/"
    with pytest.raises(NotSent, match="did not take the connection"):
        post(address)

    def unknown(*_: Any, **__: Any) -> None:
        raise socket.gaierror

    monkeypatch.setattr("socket.getaddrinfo", unknown)
    with pytest.raises(NotSent, match="could not be resolved"):
        post("http://nobody.example.com/")


def test_no_tls_means_not_sent_and_broken_tls_means_unknown(
    post: Post, trust: ssl.SSLContext
) -> None:
    def serve() -> None:
        for speaks_tls in (False, True):
            line, _ = server.accept()
            with socket.socket(fileno=os.dup(line.fileno())) as beneath:
                if speaks_tls:
                    line = trust.wrap_socket(line, server_side=True)
                with line:
                    received.append(line.recv(65536))
                    beneath.sendall(b"no TLS" * 100)

    received: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"https://localhost:{server.getsockname()[1]}/"
        serving = threading.Thread(target=serve)
        serving.start()
        with pytest.raises(NotSent, match="handshake"):
            post(address)
        with pytest.raises(NoAnswer):
            post(address)
        serving.join()
    assert received[1].endswith(BODY)


def test_a_body_may_take_longer_than_a_connection(
    post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(adapters, "CONNECT_SECONDS", 0.05)
    large = bytes(10_000_000) + BODY
    monkeypatch.setitem(globals(), "BODY", large)  # what ``post`` sends

    def serve() -> None:
        line, _ = server.accept()
        with line:
            time.sleep(0.2)
            got = 0
            while got < len(large):
                got += len(line.recv(1 << 20))
            line.sendall(ANSWER)

    with socket.create_server(("127.0.0.1", 0)) as server:
        serving = threading.Thread(target=serve)
        serving.start()
        assert post(f"http://127.0.0.1:{server.getsockname()[1]}/").body == b"ok"
        serving.join()


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_name_with_a_public_and_a_private_address_is_not_called(
    scheme: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = [
        (socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 80))
        for address in ("9.9.9.9", "127.0.0.1")
    ]
    monkeypatch.setattr("socket.getaddrinfo", lambda *_, **__: found)
    with pytest.raises(NotSent, match="private network"):
        Http(public_only=True).request("POST", f"{scheme}://both.example.com/", data=BODY)


def test_responses_fakes_what_production_sends(http: Http) -> None:
    with responses.RequestsMock() as faked:
        faked.post("https://carrier.example.com/texts", json={"id": 1}, status=201)
        faked.get("https://carrier.example.com/slow", body=requests.ConnectTimeout())
        faked.get("https://carrier.example.com/broken", body=requests.ConnectionError())
        faked.get("https://carrier.example.com/long", body=b"x" * 99)
        answer = http.request("POST", "https://carrier.example.com/texts", json={"text": "hi"})
        assert (answer.status, answer.json()) == (201, {"id": 1})
        assert answer.headers["content-type"] == "application/json"
        assert faked.calls[0].request.body == b'{"text": "hi"}'
        for path, error in (("slow", NotSent), ("broken", NoAnswer), ("long", TooLarge)):
            with pytest.raises(error):
                http.request("GET", f"https://carrier.example.com/{path}", most=50)


def test_everything_that_takes_long_is_cut_at_the_total_deadline() -> None:
    """In a process of its own, as gevent has to patch it like a server process."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.fakes.slow_server"],
        capture_output=True, text=True, timeout=PATIENCE, check=False,
    )  # fmt: skip
    assert done.stdout.split() == [
        "name:NotSent", "handshake:NotSent", "silence:NoAnswer", "head:NoAnswer", "body:NoAnswer",
    ], done.stderr  # fmt: skip


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
    [
        "ftp://127.0.0.1/",
        "http:///path",
        "nothing",
        "http://[::1/",
        "http://127.0.0.1:99999/",
        f"http://{'a' * 64}/",
    ],
)
def test_what_is_no_address_is_not_asked(post: Post, url: str) -> None:
    with pytest.raises(NotSent):
        post(url)


def test_a_header_cannot_bring_another_one(http: Http) -> None:
    other = Other(answers=1)
    for odd in ("a\r\nX: y", "a\nX: y", "\u2026"):
        with pytest.raises(NotSent):
            http.request("POST", other.url, headers={"X-Name": odd}, data=BODY)
    assert other.received == []
    other.close()


@pytest.fixture
def trust(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ssl.SSLContext]:
    """The server's side of TLS with a certificate for ``localhost`` that the client trusts."""
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server.load_cert_chain(own_certificate(tmp_path, "localhost"))
    monkeypatch.setattr(adapters, "DEFAULT_CA_BUNDLE_PATH", str(tmp_path / "own.pem"))
    adapters.authorities.cache_clear()
    yield server
    adapters.authorities.cache_clear()


@pytest.mark.parametrize("trusted", [True, False])
def test_a_certificate_is_checked(
    post: Post, trust: ssl.SSLContext, trusted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = Other(answers=3)
    other.wrap(trust)
    address = other.url.replace("http://127.0.0.1", "https://localhost")
    if trusted:
        assert [post(address).body for _ in range(3)] == [b"ok"] * 3
        assert other.connections == 1
    else:
        monkeypatch.undo()
    with pytest.raises(NotSent, match="certificate"):  # of another name, or of nobody's
        post(address.replace("localhost", "127.0.0.1") if trusted else address)
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
