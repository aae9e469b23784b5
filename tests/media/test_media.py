"""Attachments on a real disk and in a bucket, fetched from a real HTTP server."""

import gzip
import itertools
import os
import re
import resource
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from services.core.errors import Kind, MediaError, StorageUnwell
from services.core.messages import Attachment, uuid7
from services.http.client import Answer, Http
from services.media.backend import MediaBackend
from services.media.bucket import Bucket
from services.media.folder import Folder
from services.media.kinds import detect_content_type, safe_file_name, safe_inline
from services.media.links import Links
from services.media.media_store import MediaStore, StoredFile
from tests.fakes.s3 import S3Server

FILE_ID = "0190f3a2-7c1e-7abc-8def-0123456789ab"
PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + bytes(range(256)) * 40


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "storage" / "media"


@pytest.fixture(scope="module")
def server() -> Iterator[S3Server]:
    with S3Server() as running:
        yield running


@pytest.fixture(params=["folder", "bucket"])
def store(request: pytest.FixtureRequest, folder: Path, server: S3Server) -> Iterator[MediaStore]:
    """Attachments in a folder, and then in a bucket with its copies in that folder.

    Whatever a test does: what has a copy here is in the bucket, and nothing else.
    """
    if request.param == "folder":
        yield media_store(Folder(folder))
        return
    server.objects.clear()
    http = Http()
    before = Folder(folder.with_name("before"))
    yield media_store(Bucket(server.bucket(http), cache=Folder(folder), local=before))
    assert sorted(server.objects) == sorted(path.name for path in Folder(folder).files())
    http.close()


def media_store(place: MediaBackend, key: bytes = b"k" * 32) -> MediaStore:
    return MediaStore(place, Links(key, "https://sms.example.com"))


def save(
    store: MediaStore, *chunks: bytes, max_bytes: int = 1_000_000, name: str = ""
) -> StoredFile:
    return store.save(chunks, file_id=FILE_ID, declared="", name=name, max_bytes=max_bytes)


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_a_file_is_kept_whole_under_its_id(store: MediaStore, folder: Path) -> None:
    kept = save(store, PNG[:5], b"", PNG[5:], name="beach")
    assert kept == StoredFile(folder / "ab" / FILE_ID, "image/png", len(PNG), "beach.png")
    assert kept.path.read_bytes() == PNG
    assert store.open(FILE_ID) == kept.path
    assert files(folder) == [f"ab/{FILE_ID}"]
    assert kept.path.stat().st_mode & 0o077 == 0


def test_the_same_id_again_replaces_the_file(store: MediaStore, folder: Path) -> None:
    save(store, b"first")
    assert save(store, b"second").path.read_bytes() == b"second"
    assert files(folder) == [f"ab/{FILE_ID}"]


@pytest.mark.parametrize("chunks", [(b"x" * 1000,), (b"x" * 999, b"x"), (b"x",) * 1000])
def test_a_file_of_just_the_size_allowed_is_kept(
    store: MediaStore, chunks: tuple[bytes, ...]
) -> None:
    assert save(store, *chunks, max_bytes=1000).size == 1000


def test_a_file_that_is_too_large_leaves_nothing_behind(store: MediaStore, folder: Path) -> None:
    with pytest.raises(MediaError) as caught:
        save(store, b"x" * 1000, b"x", max_bytes=1000)
    assert caught.value.kind is Kind.REFUSED
    assert caught.value.reason == "The file is larger than 0.001 MB."
    assert files(folder) == []


def test_an_endless_file_is_read_no_further_than_the_size_allowed(store: MediaStore) -> None:
    read = itertools.count()
    with pytest.raises(MediaError):
        store.save(
            (b"x" * 100 for _ in read), file_id=FILE_ID, declared="", name="", max_bytes=1000
        )
    assert next(read) == 11


def test_an_upload_that_breaks_off_leaves_nothing_behind(store: MediaStore, folder: Path) -> None:
    def broken() -> Iterator[bytes]:
        yield PNG
        raise RuntimeError("the caller hung up")

    with pytest.raises(RuntimeError):
        store.save(broken(), file_id=FILE_ID, declared="", name="", max_bytes=1_000_000)
    assert files(folder) == []


def test_a_full_disk_leaves_nothing_behind_and_is_said(store: MediaStore, folder: Path) -> None:
    usual = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, usual[1]))
    try:
        with pytest.raises(StorageUnwell) as caught:
            save(store, b"x" * 5000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, usual)
    assert str(caught.value) == "An attachment cannot be kept: File too large."
    assert files(folder) == []
    with pytest.raises(MediaError):
        store.open(FILE_ID)


def test_a_disk_that_takes_no_folder_is_said(store: MediaStore, folder: Path) -> None:
    folder.parent.mkdir()
    folder.write_text("in the way")
    with pytest.raises(StorageUnwell):
        save(store, PNG)
    with pytest.raises(StorageUnwell):
        store.remove(FILE_ID)


def test_the_bytes_are_on_the_disk_before_the_name_is(
    store: MediaStore, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[str, bool]] = []
    flush = os.fsync

    def watched(handle: int) -> None:
        at = Path(f"/proc/self/fd/{handle}").readlink()
        seen.append((at.suffix or at.name, (folder / "ab" / FILE_ID).exists()))
        flush(handle)

    if not Path("/proc/self/fd").is_dir():
        pytest.skip("this system has no /proc")
    monkeypatch.setattr("services.media.folder.os.fsync", watched)
    save(store, PNG)
    assert seen == [(".part", False), ("ab", True), ("media", True)]


TRAVERSAL = [
    "",
    ".",
    "..",
    "../../../../etc/passwd",
    "/etc/passwd",
    f"../{FILE_ID}",
    f"{FILE_ID}/..",
    f"{FILE_ID}\0",
    f"{FILE_ID}\n",
    FILE_ID.upper(),
    FILE_ID.replace("-", ""),
    f"{{{FILE_ID}}}",
    f"urn:uuid:{FILE_ID}",
    FILE_ID[:-1] + "／",
    FILE_ID[:-1] + "١",
    "\ud83d",
    "%2e%2e%2f" + FILE_ID,
    "a" * 10_000,
]


@pytest.mark.parametrize("file_id", TRAVERSAL)
def test_what_is_no_id_touches_nothing(store: MediaStore, folder: Path, file_id: str) -> None:
    save(store, PNG)
    for use in (
        lambda: store.save([b"x"], file_id=file_id, declared="", name="", max_bytes=10),
        lambda: store.open(file_id),
        lambda: store.remove(file_id),
    ):
        with pytest.raises(MediaError) as caught:
            use()
        assert caught.value.kind is Kind.REFUSED
    assert files(folder) == [f"ab/{FILE_ID}"]
    assert files(folder.parents[1]) == [f"storage/media/ab/{FILE_ID}"]


def test_a_removed_file_is_gone_and_may_be_removed_again(store: MediaStore) -> None:
    save(store, PNG)
    store.remove(FILE_ID)
    store.remove(FILE_ID)
    with pytest.raises(MediaError):
        store.open(FILE_ID)


def test_what_a_crash_left_is_swept_once_it_is_old(store: MediaStore, folder: Path) -> None:
    assert store.sweep(0) == 0
    kept = save(store, PNG).path
    old, new = kept.parent / "tmpold.part", kept.parent / "tmpnew.part"
    for path in (old, new):
        path.write_bytes(b"half")
    for path in (old, kept):
        os.utime(path, (time.time() - 7200,) * 2)
    assert store.sweep(3600) == 1
    assert files(folder) == [f"ab/{FILE_ID}", "ab/tmpnew.part"]


FTYP = b"\0\0\0\x20ftyp"
SMIL = b'<smil>\n<head><layout><root-layout width="320"/></layout></head></smil>'
SVG = b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'
OCTETS = "application/octet-stream"
DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"


@pytest.mark.parametrize(
    ("content", "declared", "found"),
    [
        (b"\xff\xd8\xff\xe0\0\x10JFIF", "", "image/jpeg"),
        (PNG, "image/jpeg", "image/png"),
        (b"GIF89a\x01\0", "text/html", "image/gif"),
        (b"RIFF\x24\0\0\0WEBPVP8 ", "", "image/webp"),
        (b"RIFF\x24\0\0\0WAVEfmt ", "audio/x-wav", "audio/wav"),
        (b"RIFF\x24\0\0\0ACON", "image/png", OCTETS),
        (FTYP + b"heic\0\0", "", "image/heic"),
        (FTYP + b"avif\0\0", "image/png", "image/avif"),
        (b"BM\x36\x10\0\0\0\0\0\0\x36\0", "", "image/bmp"),
        (b"II*\0\x08\0\0\0", "", "image/tiff"),
        (b"MM\0*\0\0\0\x08", "", "image/tiff"),
        (FTYP + b"isom\0\0", "", "video/mp4"),
        (FTYP + b"isom\0\0", "audio/mp4", "audio/mp4"),
        (FTYP + b"isom\0\0", "image/jpeg", "video/mp4"),
        (FTYP + b"isom\0\0", "text/html", "video/mp4"),
        (FTYP + b"3gp5\0\0", "", "video/3gpp"),
        (FTYP + b"3gp5\0\0", "Audio/3GPP; codecs=x", "audio/3gpp"),
        (FTYP + b"3g2a\0\0", "", "video/3gpp2"),
        (FTYP + b"qt  \0\0", "", "video/quicktime"),
        (FTYP + b"M4A \0\0", "", "audio/mp4"),
        (b"\x1aE\xdf\xa3\x9fB\x86\x81\x01B\xf7\x81\x01B\x82\x84webmB", "", "video/webm"),
        (b"\x1aE\xdf\xa3\x9fB\x86\x81\x01B\xf7\x81\x01B\x82\x88matroska", "video/webm", OCTETS),
        (b"ID3\x03\0\0", "", "audio/mpeg"),
        (b"\xff\xfb\x90\x44\0", "audio/mp3", "audio/mpeg"),
        (b"\xff\xf1\x50\x80", "", "audio/aac"),
        (b"#!AMR\n\x3c\x91", "audio/amr", "audio/amr"),
        (b"#!AMR-WB\n\x3c", "", "audio/amr-wb"),
        (b"OggS\0\x02", "application/ogg", "audio/ogg"),
        (b"OggS\0\x02", "video/ogg", "video/ogg"),
        (b"%PDF-1.7\n", "", "application/pdf"),
        (b"PK\x03\x04\x14", "", "application/zip"),
        (b"PK\x03\x04\x14", DOCX, DOCX),
        (b"PK\x03\x04\x14", DOCX + "\r\nX-Evil: 1", "application/zip"),
        (b"PK\x03\x04\x14", "text/html", "application/zip"),
        (b"BEGIN:VCARD\r\nVERSION:3.0", "text/x-vcard", "text/vcard"),
        (b"\xef\xbb\xbfbegin:vcalendar\n", "", "text/calendar"),
        ("Grüße 😀".encode(), "", "text/plain"),
        (("x" * 4095 + "ü").encode()[:4096], "", "text/plain"),
        (b"a;b\n1;2\n", "text/csv", "text/csv"),
        (b"BMW and GIF are words, ID3 too", "", "text/plain"),
        (b"hello", "image/jpeg", "text/plain"),
        (b"hello", "text/html", "text/plain"),
        ("Grüße".encode("latin-1"), "text/plain; charset=latin1", "text/plain"),
        (b"MZ\x90\0\x03", "image/jpeg", OCTETS),
        (b"MZ\x90\0\x03", "video/mp4", OCTETS),
        (b"\0\0\0\0", "", OCTETS),
        (b"", "image/png", OCTETS),
        (SMIL, "text/plain", "application/smil"),
        (b'\xef\xbb\xbf<?xml version="1.0"?>\n<!DOCTYPE smil>\r\n' + SMIL, "", "application/smil"),
        (b"<smiley>", "application/smil", OCTETS),
        (SVG, "image/svg+xml", OCTETS),
        (b'\n <?xml version="1.0"?><!-- x -->' + SVG, "image/png", OCTETS),
        (b"<!DOCTYPE html><script>alert(1)</script>", "text/html", OCTETS),
        (b"<script>alert(1)</script>", "text/plain", OCTETS),
    ],
)
def test_a_file_is_what_its_bytes_say(
    store: MediaStore, content: bytes, declared: str, found: str
) -> None:
    kept = store.save([content], file_id=FILE_ID, declared=declared, name="x", max_bytes=100_000)
    assert kept.content_type == found
    assert detect_content_type(content, declared) == found


@pytest.mark.parametrize(
    ("content_type", "inline"),
    [
        ("image/jpeg", True),
        ("image/png", True),
        ("image/gif", True),
        ("image/webp", True),
        ("video/mp4", True),
        ("video/webm", True),
        ("audio/mpeg", True),
        ("image/svg+xml", False),
        ("text/html", False),
        ("text/plain", False),
        ("application/pdf", False),
        ("application/smil", False),
        (OCTETS, False),
        ("image/jpeg; x", False),
        ("", False),
    ],
)
def test_only_what_a_browser_never_runs_is_shown_in_it(content_type: str, inline: bool) -> None:
    assert safe_inline(content_type) is inline


@pytest.mark.parametrize(
    ("written", "content_type", "shown"),
    [
        ("IMG_1.JPG", "image/jpeg", "IMG_1.JPG"),
        ("holiday.jpeg", "image/jpeg", "holiday.jpeg"),
        ("holiday", "image/jpeg", "holiday.jpg"),
        ("", "image/png", "attachment.png"),
        ("report.docx", "application/zip", "report.docx.zip"),
        ("report.docx", DOCX, "report.docx"),
        ("memo.3gp", "audio/3gpp", "memo.3gp"),
        ("page.html", "image/jpeg", "page.html.jpg"),
        ("tool.exe", OCTETS, "tool.exe"),
        ("tool", OCTETS, "tool.bin"),
        ("../../etc/passwd", "text/plain", "_.._etc_passwd.txt"),
        ("..\\..\\x.txt", "text/plain", "_.._x.txt"),
        ("a\r\nB: c\0d\u2028e\u202egpj.png", "image/png", "a B_ cd egpj.png"),
        ("Grüße 😀.gif", "image/gif", "Grüße 😀.gif"),
        (".png", "image/png", "attachment.png"),
        ("....", "image/png", "attachment.png"),
        ("x" * 500 + ".mp4", "video/mp4", "x" * 116 + ".mp4"),
        ("x." + "y" * 500, OCTETS, "x." + "y" * 102 + "." + "y" * 15),
        ("\ud83d.png", "image/png", "attachment.png"),
    ],
)
def test_a_name_from_outside_is_fit_to_show(written: str, content_type: str, shown: str) -> None:
    assert safe_file_name(written, content_type) == shown
    assert len(shown) <= 120


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
            [sys.executable, "-c", SLOW, folder, url], capture_output=True, text=True, timeout=60
        )
    assert (done.stdout, done.stderr) == ("retry\n", "")


NOW = 1_780_000_000.0
HALF_DAY = 43_200


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    def set_to(now: float) -> None:
        monkeypatch.setattr("services.media.links.time.time", lambda: now)

    set_to(NOW)
    return set_to


def link_parts(link: str) -> tuple[str, str, str]:
    """The id, the expiry and the signature in a link."""
    parts = urlsplit(link)
    query = parse_qs(parts.query, strict_parsing=True)
    assert f"{parts.scheme}://{parts.netloc}" == "https://sms.example.com"
    assert parts.path.startswith("/media/")
    return parts.path.removeprefix("/media/"), query["exp"][0], query["sig"][0]


Clock = Callable[[float], None]


def test_a_link_is_good_for_a_day_and_no_longer_than_a_day_and_a_half(
    store: MediaStore, clock: Clock
) -> None:
    file_id, exp, sig = link_parts(store.link(Attachment(id=FILE_ID)))
    assert file_id == FILE_ID
    assert store.is_valid_link(file_id, exp, sig)
    clock(NOW + 86_400)
    assert store.is_valid_link(file_id, exp, sig)
    clock(float(exp) - 1)
    assert store.is_valid_link(file_id, exp, sig)
    clock(float(exp))
    assert not store.is_valid_link(file_id, exp, sig)
    assert int(exp) <= NOW + 129_600


def test_a_link_stays_the_same_for_half_a_day(store: MediaStore, clock: Clock) -> None:
    start = NOW - NOW % HALF_DAY
    links = []
    for now in (start + 1, start + HALF_DAY, start + HALF_DAY + 1):
        clock(now)
        links.append(store.link(Attachment(id=FILE_ID)))
    assert links[0] == links[1] != links[2]


def test_a_link_opens_no_other_file_and_no_later_time(store: MediaStore, clock: Clock) -> None:
    _, exp, sig = link_parts(store.link(Attachment(id=FILE_ID)))
    other = uuid7()
    assert not store.is_valid_link(other, exp, sig)
    assert not store.is_valid_link(FILE_ID, str(int(exp) + 1), sig)
    assert not store.is_valid_link(FILE_ID, f"{exp} ", sig)
    assert not store.is_valid_link(FILE_ID, f"0{exp}", sig)


def test_a_link_altered_in_any_place_is_refused(store: MediaStore, clock: Clock) -> None:
    _, exp, sig = link_parts(store.link(Attachment(id=FILE_ID)))
    for place in range(len(sig)):
        changed = sig[:place] + ("A" if sig[place] != "A" else "B") + sig[place + 1 :]
        assert not store.is_valid_link(FILE_ID, exp, changed)
    for wrong in (sig[:-1], sig + "=", sig + "A", sig.lower(), ""):
        assert not store.is_valid_link(FILE_ID, exp, wrong)


def test_a_link_of_another_installation_is_refused(folder: Path, clock: Clock) -> None:
    theirs = media_store(Folder(folder), b"t" * 32)
    ours = media_store(Folder(folder), b"o" * 32)
    assert not ours.is_valid_link(*link_parts(theirs.link(Attachment(id=FILE_ID))))


ODD = ["", "\0", "\ud83d", "é", "١", "-1", "1e9", "nan", "9" * 5000, "None", "\r\n"]


@pytest.mark.parametrize("odd", ODD)
def test_odd_links_are_refused_and_harmless(store: MediaStore, odd: str) -> None:
    _, exp, sig = link_parts(store.link(Attachment(id=FILE_ID)))
    assert not store.is_valid_link(odd, exp, sig)
    assert not store.is_valid_link(FILE_ID, odd, sig)
    assert not store.is_valid_link(FILE_ID, exp, odd)
