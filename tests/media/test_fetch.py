"""Attachments fetched from a carrier's HTTP server: redirects, limits, broken answers."""

import gzip
import re
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest

from services.core.errors import Kind, MediaError
from services.http.client import Answer, Http
from services.media.media_store import MediaStore, StoredFile
from tests.media.conftest import FILE_ID, PNG, files


@dataclass
class Carrier:
    """A carrier's file server: what it answers and what it was asked."""

    url: str = ""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = PNG
    calls: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    hold: Event = field(default_factory=Event)
    moves: list[tuple[int, str]] = field(default_factory=list)  # answered first: status, Location


@pytest.fixture
def carrier() -> Iterator[Carrier]:
    seen = Carrier()
    seen.hold.set()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seen.calls.append((self.path, {n.lower(): v for n, v in self.headers.items()}))
            seen.hold.wait(10)
            status, place = seen.moves.pop(0) if seen.moves else (seen.status, "")
            self.send_response(status)
            where = {"Location": place} if place else {}
            length = {"Content-Length": str(len(seen.body))}
            for name, value in (length | seen.headers | where).items():
                self.send_header(name, value)
            self.end_headers()
            with suppress(OSError):
                self.wfile.write(seen.body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    seen.url = f"http://127.0.0.1:{server.server_port}/media/1"
    yield seen
    seen.hold.set()
    server.shutdown()
    thread.join()
    server.server_close()


Fetch = Callable[..., StoredFile]


@pytest.fixture
def fetch(store: MediaStore, carrier: Carrier) -> Iterator[Fetch]:
    http = Http()

    def fetched(url: str = "", max_bytes: int = 1_000_000) -> StoredFile:
        return store.fetch(
            http,
            url or carrier.url,
            {"Authorization": "Basic dTpw"},
            file_id=FILE_ID,
            name="beach",
            max_bytes=max_bytes,
        )

    yield fetched
    http.close()


def test_a_file_is_fetched_with_the_credentials(carrier: Carrier, fetch: Fetch) -> None:
    carrier.headers = {"Content-Type": "text/html"}
    kept = fetch()
    assert (kept.content_type, kept.size, kept.name) == ("image/png", len(PNG), "beach.png")
    assert kept.path.read_bytes() == PNG
    [(path, headers)] = carrier.calls
    assert (path, headers["authorization"]) == ("/media/1", "Basic dTpw")


def test_the_declared_type_of_a_fetched_file_counts_where_it_is_more_precise(
    carrier: Carrier, fetch: Fetch
) -> None:
    carrier.body, carrier.headers = b"a;b\n", {"Content-Type": "text/csv; charset=utf-8"}
    assert fetch().content_type == "text/csv"


def test_a_fetched_file_may_be_just_as_large_as_allowed(
    carrier: Carrier, fetch: Fetch, folder: Path
) -> None:
    assert fetch(max_bytes=len(PNG)).size == len(PNG)
    with pytest.raises(MediaError) as caught:
        fetch(max_bytes=len(PNG) - 1)
    assert caught.value.kind is Kind.REFUSED


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (401, Kind.CONFIG),
        (403, Kind.CONFIG),
        (404, Kind.RETRY),
        (410, Kind.RETRY),
        (408, Kind.RETRY),
        (429, Kind.RETRY),
        (500, Kind.RETRY),
        (503, Kind.RETRY),
        (400, Kind.REFUSED),
        (451, Kind.REFUSED),
    ],
)
def test_what_follows_from_an_answer(
    carrier: Carrier, fetch: Fetch, folder: Path, status: int, kind: Kind
) -> None:
    carrier.status, carrier.headers = status, {"Retry-After": "9"}
    with pytest.raises(MediaError) as caught:
        fetch()
    error = caught.value
    assert (error.kind, error.code) == (kind, str(status))
    assert error.retry_after == (9.0 if kind is Kind.RETRY else None)
    assert carrier.url not in error.reason
    assert files(folder) == []


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_refused(carrier: Carrier, fetch: Fetch, status: int) -> None:
    carrier.status, carrier.headers = status, {"Location": f"{carrier.url}/2"}
    with pytest.raises(MediaError) as caught:
        fetch()
    assert caught.value.kind is Kind.REFUSED
    assert len(carrier.calls) == 1


class Elsewhere(Http):
    """The way out, but every https host is the carrier's own server on this machine."""

    def request(self, method: str, url: str, **more: Any) -> Answer:
        return super().request(method, re.sub("^https://[^/]+", self.here, url), **more)

    here = ""


@pytest.fixture
def moved(store: MediaStore, carrier: Carrier) -> Iterator[Fetch]:
    http = Elsewhere()
    http.here = carrier.url.rpartition("/media")[0]

    def fetched() -> StoredFile:
        credentials = {"Authorization": "Basic dTpw"}
        hosts = ("*.files.example.com",)
        return store.fetch(
            http,
            carrier.url,
            credentials,
            redirects=hosts,
            file_id=FILE_ID,
            name="beach",
            max_bytes=1_000_000,
        )

    yield fetched
    http.close()


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_to_a_host_of_the_carriers_is_followed_without_credentials(
    carrier: Carrier, moved: Fetch, status: int
) -> None:
    carrier.moves = [(status, "https://a.files.example.com/2?x=1"), (status, "/3")]
    assert moved().size == len(PNG)
    assert [path for path, _ in carrier.calls] == ["/media/1", "/2?x=1", "/3"]
    assert [headers.get("authorization") for _, headers in carrier.calls] == [
        "Basic dTpw",
        None,
        None,
    ]


@pytest.mark.parametrize(
    "target",
    [
        "http://a.files.example.com/2",
        "https://files.example.com/2",
        "https://a.files.example.com.evil.example/2",
        "https://evil.example/a.files.example.com",
        "https://a.files.example.com@evil.example/2",
        "https://u@a.files.example.com/2",
        "https://evil.example\\.files.example.com/2",
        "https://a.files.example.com:8443/2",
        "https://a.files.example.com:port/2",
        "https://[a.files.example.com/2",
        "//evil.example/2",
        "/2",
        "file:///etc/passwd",
        "http://169.254.169.254/",
        "",
    ],
)
def test_a_redirect_to_anywhere_else_is_refused(
    carrier: Carrier, moved: Fetch, folder: Path, target: str
) -> None:
    carrier.moves = [(302, target)]
    assert failed(moved, folder).kind is Kind.REFUSED
    assert len(carrier.calls) == 1


def test_redirects_are_followed_three_times_at_most(
    carrier: Carrier, moved: Fetch, folder: Path
) -> None:
    carrier.moves = [(302, "https://a.files.example.com/again")] * 9
    assert failed(moved, folder).kind is Kind.REFUSED
    assert len(carrier.calls) == 4


@pytest.mark.parametrize("status", [401, 403])
def test_a_host_that_saw_no_credentials_does_not_blame_them(
    carrier: Carrier, moved: Fetch, folder: Path, status: int
) -> None:
    carrier.moves = [(307, "https://a.files.example.com/2"), (status, "")]
    assert failed(moved, folder).kind is Kind.RETRY


def failed(fetch: Fetch, folder: Path, url: str = "") -> MediaError:
    with pytest.raises(MediaError) as caught:
        fetch(*filter(None, [url]))
    assert files(folder) == []
    return caught.value


def test_a_file_shorter_than_announced_is_tried_again(
    carrier: Carrier, fetch: Fetch, folder: Path
) -> None:
    carrier.headers = {"Content-Length": str(len(PNG) + 1)}
    assert failed(fetch, folder).kind is Kind.RETRY


def test_a_file_that_unpacks_beyond_measure_is_refused(
    carrier: Carrier, fetch: Fetch, folder: Path
) -> None:
    carrier.body = gzip.compress(bytes(50_000_000))
    assert len(carrier.body) < 100_000
    carrier.headers = {"Content-Encoding": "gzip"}
    assert failed(fetch, folder).kind is Kind.REFUSED


def test_a_broken_packing_is_tried_again(carrier: Carrier, fetch: Fetch, folder: Path) -> None:
    carrier.headers = {"Content-Encoding": "gzip"}
    assert failed(fetch, folder).kind is Kind.RETRY


def test_a_refused_connection_is_tried_again(fetch: Fetch, folder: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/?token=hidden"
    error = failed(fetch, folder, url)
    assert error.kind is Kind.RETRY
    assert "hidden" not in error.reason


def test_a_carrier_that_never_answers_is_tried_again(
    carrier: Carrier, fetch: Fetch, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(MediaStore, "seconds", 0.2)
    carrier.hold.clear()
    assert failed(fetch, folder).kind is Kind.RETRY


SLOW = """
from gevent import monkey; monkey.patch_all()
import sys
from pathlib import Path
from services.core.errors import MediaError
from services.http.client import Http
from services.media.media_store import MediaStore
from services.media.folder import Folder
from services.media.links import Links
MediaStore.seconds = 0.5
try:
    MediaStore(Folder(Path(sys.argv[1])), Links(b"k" * 32, "")).fetch(
        Http(), sys.argv[2], {}, name="", max_bytes=10**6,
        file_id="0190f3a2-7c1e-7abc-8def-0123456789ab")
except MediaError as error:
    print(error.kind)
"""


@contextmanager
def dripping() -> Iterator[str]:
    """A server whose answer never ends and never pauses for long."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def drip() -> None:
            connection, _ = listener.accept()
            with connection, suppress(OSError):
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
                while True:
                    connection.sendall(b"x")
                    Event().wait(0.05)

        thread = Thread(target=drip)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/"
        thread.join()


def test_a_file_that_drips_in_is_left_at_the_deadline(folder: Path) -> None:
    with dripping() as url:
        done = subprocess.run(
            [sys.executable, "-c", SLOW, folder, url],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert (done.stdout, done.stderr) == ("retry\n", "")
