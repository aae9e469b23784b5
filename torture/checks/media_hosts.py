"""F26-F29: media hosts that hang, send wrong types, bombs or redirects, or have no file."""

import json
import threading
import zlib
from contextlib import suppress
from functools import cache
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from time import monotonic, sleep

from services.store.jobs import FILES_WAIT_SECONDS
from tests.fakes.receiver import Receiver
from tests.fakes.serving import QuietServer, Serving
from torture.check import Check, Figures, Mutant, Scale
from torture.clock import WallClock
from torture.database import open_jobs, query
from torture.environment import (
    NUMBER,
    TestEnvironment,
    delivery_worker_pid,
    require,
    wait_for_count,
    wait_until,
)

DAY = 86_400
PICTURE = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 2
BOMB_BYTES = 600_000_000
HUGE_BYTES = 25_000_000
MEMORY_MB = 400
STORED = {"good": "image/png", "lying": "application/octet-stream", "unwell": "image/png"}
FAILING = ("short", "bomb", "huge", "endless", "missing", "gone", "moved", "refused")
SLOW = ("hangs", "drips")
FILES = "SELECT source_url, state, content_type, reason FROM attachments"


@cache
def bomb() -> bytes:
    """A compression bomb: a small gzip body that unpacks to ``BOMB_BYTES``."""
    packer = zlib.compressobj(1, wbits=zlib.MAX_WBITS | 16)
    million = bytes(1_000_000)
    parts = [packer.compress(million) for _ in range(BOMB_BYTES // len(million))]
    return b"".join([*parts, packer.flush()])


class _Handler(BaseHTTPRequestHandler):
    """Answers by the first part of the file's name: one method for each fault."""

    protocol_version = "HTTP/1.1"
    host: "MediaHost"

    def do_GET(self) -> None:
        name = self.path.rpartition("/")[2]
        with suppress(OSError):  # the client has closed the connection
            getattr(self, name.partition("-")[0], self.good)(name)

    def good(self, name: str) -> None:
        self.give(200, PICTURE, "image/png")

    def unwell(self, name: str) -> None:
        status = 200 if self.host.is_well.is_set() else 503
        self.give(status, PICTURE, "image/png")

    def lying(self, name: str) -> None:
        self.give(200, b"<html><script>alert(1)</script></html>", "image/png")

    def short(self, name: str) -> None:
        self.give(200, PICTURE, "image/png", length=len(PICTURE) + 100)
        self.close_connection = True

    def bomb(self, name: str) -> None:
        self.give(200, bomb(), "image/png", encoding="gzip")

    def huge(self, name: str) -> None:
        self.give(200, bytes(HUGE_BYTES), "image/png")

    def endless(self, name: str) -> None:
        self.head(200, "image/png", {"Transfer-Encoding": "chunked"})
        while not self.host.closing.is_set():
            self.wfile.write(b"10000\r\n" + bytes(0x10000) + b"\r\n")

    def missing(self, name: str) -> None:
        self.give(404, b"", "text/plain")

    def gone(self, name: str) -> None:
        self.give(410, b"", "text/plain")

    def refused(self, name: str) -> None:
        self.give(400, b"", "text/plain")

    def moved(self, name: str) -> None:
        self.head(302, "text/plain", {"Location": "/elsewhere", "Content-Length": "0"})

    def elsewhere(self, name: str) -> None:
        self.host.strayed += 1
        self.good(name)

    def hangs(self, name: str) -> None:
        self.host.closing.wait(60)

    def drips(self, name: str) -> None:
        self.head(200, "image/png", {"Content-Length": str(len(PICTURE))})
        for byte in PICTURE:
            self.wfile.write(bytes([byte]))
            self.host.closing.wait(0.5)

    def give(
        self, status: int, body: bytes, kind: str, *, length: int = 0, encoding: str = ""
    ) -> None:
        more = {"Content-Encoding": encoding} if encoding else {}
        self.head(status, kind, {"Content-Length": str(length or len(body)), **more})
        self.wfile.write(body)

    def head(self, status: int, kind: str, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": kind, **headers}.items():
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


class MediaHost(Serving):
    """A fake media host; the first part of a file's name says how it misbehaves."""

    def __init__(self) -> None:
        self.strayed = 0  # requests after a redirect
        self.is_well = threading.Event()
        self.closing = threading.Event()

        class Handler(_Handler):
            host = self

        self._server = QuietServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/api/v2"

    def __exit__(self, *_: object) -> None:
        self.closing.set()
        super().__exit__()


class TimedReceiver(Receiver):
    """Fake app server that records the time of the push of each text."""

    def __init__(self) -> None:
        super().__init__()
        self.times: dict[str, float] = {}

    def _take(self, headers: dict[str, str], body: bytes) -> int:
        event = json.loads(body)
        if event["type"] == "message.received":
            self.times.setdefault(event["data"]["message"]["text"], monotonic())
        return 204


def run(environment: TestEnvironment, scale: Scale) -> Figures:
    """Post texts with such files; texts are pushed at once, files are stored or fail."""
    times = scale.pick(1, 20)
    names = [*STORED, *FAILING, *scale.pick((), SLOW)]
    bomb()
    host, clock, receiver = (
        environment.enter(MediaHost()),
        WallClock(environment.folder),
        TimedReceiver(),
    )
    environment.receiver = environment.enter(receiver)
    bandwidth = environment.bandwidth
    server = environment.start_server(
        BANDWIDTH_MESSAGE_BASE_URL=host.url, BANDWIDTH_AUTH="basic", **clock.env
    )
    worker = delivery_worker_pid(server)
    posted: dict[str, float] = {}
    for turn in range(times):
        for name in names:
            text = f"{name}-{turn}"
            url = f"{host.url}/users/{bandwidth.account_id}/media/{text}"
            posted[text] = monotonic()
            post = bandwidth.receive(text, sender="+13035550177", to=NUMBER, media=[url])
            require(post.taken, f"the text {text} was not taken")
    # Pushes wait for files at most twice as long, so that such a wait would be noticed.
    wait_for_count(lambda: len(receiver.times), len(posted), "the pushes", FILES_WAIT_SECONDS / 2)
    longest = max(receiver.times[text] - at for text, at in posted.items())
    host.is_well.set()
    for _ in range(20):
        sleep(0.5)
        clock.advance(40)
        kept = query(server.storage, "SELECT count(*) FROM attachments WHERE state = 'kept'")
        if kept[0][0] >= len(STORED) * times:
            break
    clock.advance(DAY)  # downloads are retried for a day
    wait_until(lambda: not open_jobs(server.storage, "fetch"), "the end of all files", 600)
    peak = _peak_mb(worker)
    for url, state, kind, reason in query(server.storage, FILES):
        name = str(url).rpartition("/")[2].partition("-")[0]
        if name in STORED:
            require((state, kind) == ("kept", STORED[name]), f"“{name}” is {state} as {kind}")
        else:
            require(state == "failed" and reason, f"“{name}” is {state} with the reason “{reason}”")
    require(host.strayed == 0, f"{host.strayed} redirects were followed")
    require(peak <= MEMORY_MB, f"the worker took {peak} MB of memory")
    return {
        "texts with a file": len(posted),
        "pushed": len(receiver.times),
        "files kept": len(STORED) * times,
        "files failed with a reason": (len(names) - len(STORED)) * times,
        "redirects followed": 0,
        "longest wait of a text": round(longest, 2),
        "most memory of the worker, in MB": peak,
    }


def _peak_mb(pid: int) -> int:
    """The peak memory of a process in MB."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) // 1024
    return 0


CHECK = Check(
    name="media_hosts",
    claim=(
        "When a media host hangs, sends wrong types, bombs or redirects, or has no file, "
        "the text is pushed at once, the file fails with a reason, and memory stays "
        "limited."
    ),
    run=run,
    needs=("gcc",),
    mutants=(
        Mutant(
            "services/http/client.py",
            "response.raw.read(most + 1, decode_content=True)",
            "response.raw.read(decode_content=True)",
            "a file of any size is unpacked",
        ),
        Mutant(
            "services/push/base.py",
            "waits_for_media: ClassVar[bool] = False",
            "waits_for_media: ClassVar[bool] = True",
            "texts wait for their files",
        ),
    ),
)
