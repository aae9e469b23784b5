"""G17: unsafe attachments: no script runs in a browser, and memory stays limited.

Thirty unsafe files arrive in a carrier's webhook, by upload from an app, and by download from a
carrier. The responses that serve them are checked for everything that a browser would execute.
"""

import base64
import gzip
import json
import struct
import threading
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path
from urllib.parse import urlsplit

from werkzeug.test import TestResponse

from services.core.errors import MediaError
from services.media.kinds import INLINE_TYPES
from tests.api.conftest import Phone, Service
from torture.check import Check, Figures, Mutant, Scale
from torture.environment import TestEnvironment, require
from torture.in_process import full_env, open_service, run_due_jobs

NUMBER = "+12025550143"
MAX_MEMORY_MB = 200  # that one file may use
ENDLESS = 300_000_000  # bytes: more than the size limit
BOMB_SIDE = 12_000  # pixels; Pillow itself refuses larger pictures
SCRIPT = b"<script>alert(1)</script>"
SIGNATURES = {
    "application/pdf": b"%PDF-",
    "image/gif": b"GIF8",
    "image/jpeg": b"\xff\xd8\xff",
    "image/png": b"\x89PNG",
}
EXECUTABLE_TYPES = (
    "html",
    "svg",
    "/xml",
    "script",
    "css",
    "flash",
)  # in content types that a browser executes


def _chunk(kind: bytes, content: bytes) -> bytes:
    check = zlib.crc32(kind + content)
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", check)


def png(side: int, filler: int = 0) -> bytes:
    """A black square PNG with ``side`` pixels a side and ``filler`` bytes of a palette."""
    packer = zlib.compressobj(9)
    rows = b"".join(packer.compress(bytes(side + 1)) for _ in range(side)) + packer.flush()
    head = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    parts = _chunk(b"IHDR", head) + _chunk(b"sPLT", b"x\0\x08" + bytes(filler))
    return b"\x89PNG\r\n\x1a\n" + parts + _chunk(b"IDAT", rows) + _chunk(b"IEND", b"")


def corpus() -> dict[str, tuple[bytes, str]]:
    """The files: name by the sender -> (content, declared content type)."""
    svg = b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'>" + SCRIPT + b"</svg>"
    html = b"<!doctype html><html>" + SCRIPT + b"</html>"
    return {
        "a.svg": (svg, "image/svg+xml"),
        "a.png": (svg, "image/png"),
        "b.svg": (b"<?xml version='1.0'?><!-- x -->" + svg, "image/svg+xml"),
        "c.svgz": (gzip.compress(svg), "image/svg+xml"),
        "a.html": (html, "text/html"),
        "a.jpg": (html, "image/jpeg"),
        "b.jpg": (b"\xef\xbb\xbf \n" + html, "image/jpeg"),
        "c.jpg": (b"x" * 600 + html, "image/jpeg"),
        "a.xhtml": (b"<html xmlns='http://www.w3.org/1999/xhtml'/>", "application/xhtml+xml"),
        "a.xml": (b"<?xml version='1.0'?><?xml-stylesheet href='x'?><a/>", "text/xml"),
        "a.js": (b"alert(1)", "text/javascript"),
        "a.css": (b"*{background:url(//evil.example)}", "text/css"),
        "a.pdf": (b"%PDF-1.7\n/OpenAction << /S /JavaScript >>", "application/pdf"),
        "a.swf": (b"FWS\x09" + bytes(40), "application/x-shockwave-flash"),
        "a.hta": (b"<hta:application>" + SCRIPT, "application/hta"),
        "a.mhtml": (b"MIME-Version: 1.0\r\nContent-Type: text/html\r\n\r\n" + html, "x/y"),
        "polyglot.gif": (b"GIF89a/*" + SCRIPT + b"*/=1;alert(1)", "text/html"),
        "polyglot.jpg": (b"\xff\xd8\xff\xe0" + html, "text/html; charset=utf-8"),
        "polyglot.png": (png(2) + html, "image/svg+xml"),
        "polyglot.zip": (b"PK\x03\x04" + bytes(30) + html, "text/html"),
        "utf16.txt": ("<script>alert(1)</script>".encode("utf-16"), "text/html"),
        "utf7.txt": (b"+ADw-script+AD4-alert(1)", "text/html; charset=utf-7"),
        "type.gif": (b"GIF89a", "text/html\r\nX-Injected: 1"),
        'a".gif\r\nX-Injected: 1': (b"GIF89a", "image/gif"),
        "../../../etc/cron.d/a": (b"* * * * * root id", "text/plain"),
        "a\x00.html": (html, "text/plain"),
        "con\u202egpj.exe": (b"MZ" + bytes(60), "image/jpeg"),
        "bomb.png": (png(BOMB_SIDE, 6_000_000), "image/png"),
        "bomb.gif": (
            b"GIF89a" + struct.pack("<HH", 65_535, 65_535) + bytes(6_000_000),
            "image/gif",
        ),
        "bomb.zip": (gzip.compress(bytes(10_000_000)), "application/zip"),
    }


def run(environment: TestEnvironment, scale: Scale) -> Figures:
    """Send every file in every way, and check the responses that serve them."""
    numbers = [
        {"number": NUMBER, "carrier": "voipinnovations", "extensions": ["201"]},
        {"number": "+12025550144", "carrier": "bandwidth", "extensions": ["201"]},
    ]
    with _carrier() as carrier:
        env = {**full_env(), "BANDWIDTH_MESSAGE_BASE_URL": carrier, "BANDWIDTH_AUTH": "basic"}
        service = open_service(environment, *numbers, **env)
        ann = service.pair("201")
        files = corpus()
        with _memory() as grown:
            served = sum(_uploaded(service, ann, name, *file) for name, file in files.items())
            served += _received(service, ann, files)
            bombs = _fetched(service, carrier)
    require(grown[0] < MAX_MEMORY_MB, f"the files cost {grown[0]} MB of memory")
    written = list(service.gateway.environment.service.storage_path.rglob("*"))
    strange = [path for path in written if "cron" in path.name or path.suffix in (".html", ".svg")]
    require(not strange, f"a sender's name became a path: {strange}")
    return {
        "files": len(files),
        "served by link and by the API": served,
        "shown or under the sender's type": 0,
        "bombs of a carrier": bombs,
        "most memory, MB": grown[0],
    }


@contextmanager
def _memory() -> Iterator[list[int]]:
    """The peak memory growth of the block in MB, as the only item of a list."""
    Path("/proc/self/clear_refs").write_text("5")  # resets the peak value
    before, grown = _kilobytes("VmRSS"), [0]
    yield grown
    grown[0] = max(0, (_kilobytes("VmHWM") - before) // 1000)


def _kilobytes(what: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(what))


# Upload from an app


def _uploaded(service: Service, ann: Phone, name: str, content: bytes, declared: str) -> int:
    upload = (BytesIO(content), name, declared.partition("\r")[0])
    answer = ann.post("/media", data={"file": upload})
    require(answer.status_code in (201, 413, 422), f"{name!r}: {answer.status_code} {answer.text}")
    if answer.status_code != 201:
        return 0
    uploaded = answer.get_json()
    return _check_served(service, ann, name, uploaded["url"], uploaded["id"])


def _check_served(service: Service, ann: Phone, name: str, link: str, file_id: str) -> int:
    address = urlsplit(link)
    for served in (
        service.client.get(f"{address.path}?{address.query}"),
        service.client.get(f"/media/{file_id}.html?{address.query}"),
        ann.get(f"/media/{file_id}"),
    ):
        _require_harmless(name, served)
        served.close()
    return 3


def _require_harmless(name: str, served: TestResponse) -> None:
    what = f"{name!r} is served as {dict(served.headers)}"
    kind, _, more = served.headers["Content-Type"].partition(";")
    saved = served.headers.get("Content-Disposition", "").startswith("attachment")
    require(served.status_code == 200, f"{name!r}: {served.status_code} {served.data[:300]!r}")
    require(kind in INLINE_TYPES or saved, what)
    require(saved or served.data.startswith(SIGNATURES.get(kind, b"\0")), what)
    require(not any(word in kind + more for word in EXECUTABLE_TYPES), what)
    require(served.headers["X-Content-Type-Options"] == "nosniff", what)
    require("sandbox" in served.headers["Content-Security-Policy"], what)
    require("X-Injected" not in served.headers, what)


# In a webhook


def _received(service: Service, ann: Phone, files: dict[str, tuple[bytes, str]]) -> int:
    """VoIP Innovations sends files inside the webhook."""
    provider = service.gateway.providers["voipinnovations"]
    served = 0
    for n, (name, (content, _)) in enumerate(files.items()):
        call = {
            "type": "incomingWebhookMMS", "caller_id_number": f"1303555{n:04}", "text": name,
            "destination_number": NUMBER[1:],
            "files": json.dumps({name: base64.b64encode(content).decode()}),
        }  # fmt: skip
        path = urlsplit(provider.webhook_url)
        answer = service.client.post(f"{path.path}?{path.query}", json=call)
        require(answer.status_code in (200, 413), f"{name!r}: {answer.status_code} {answer.text}")
    service.gateway.processor.process_all()
    for conversation in ann.read("/conversations", limit=100)["items"]:
        for file in conversation["last_message"]["media"]:
            if file["state"] == "kept":
                served += _check_served(service, ann, file["name"], file["url"], file["id"])
    require(served > len(files), f"only {served} files were served: the check proves nothing")
    return served


# Download from a carrier


@contextmanager
def _carrier() -> Iterator[str]:
    """Fake media host that serves compression bombs and endless files."""
    bomb = gzip.compress(bytes(ENDLESS), 9)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            if "gzip" in self.path:
                self.send_header("content-encoding", "gzip")
            self.end_headers()
            try:
                self.wfile.write(bomb)
                for _ in range(ENDLESS // 65_536 if "endless" in self.path else 0):
                    self.wfile.write(bytes(65_536))
            except OSError:  # the client has closed the connection
                return

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


def _fetched(service: Service, carrier: str) -> int:
    run_due_jobs(service.gateway)
    provider = service.gateway.providers["bandwidth"]
    for n, path in enumerate(("gzip", "endless")):
        url = f"{carrier}/users/9900001/media/{path}"
        try:
            service.gateway.media.fetch(
                service.gateway.http, url, provider.media_headers(url),
                file_id=_id(n), name="a.jpg", max_bytes=3_500_000,
            )  # fmt: skip
        except MediaError:
            continue
        require(False, f"a file without an end was kept: {path}")
    return 2


def _id(n: int) -> str:
    return f"01a1f912-29fd-798d-b9d5-d4199fe17a{n:02x}"


CHECK = Check(
    name="media",
    claim=(
        "An attachment is shown only as a type that a browser does not execute, else it is "
        "a download, never with the sender's type or name; its memory use is limited."
    ),
    run=run,
    mutants=(
        Mutant(
            "blueprints/media.py",
            "    inline = safe_inline(file.content_type)\n",
            "    inline = True\n",
            "files of any type are shown",
        ),
        Mutant(
            "services/media/kinds.py",
            "        return declared_type if declared_type in HARMLESS_TYPES else UNKNOWN\n",
            "        return declared_type\n",
            "the sender's content type is used",
        ),
        Mutant(
            "services/http/client.py",
            "response.raw.read(most + 1, decode_content=True)",
            "response.raw.read(decode_content=True)",
            "the size of an answer has no limit",
        ),
        Mutant(
            "services/media/resize.py",
            "if needed > DECODING_BYTES or width * height > MAX_PIXELS or is_too_long:",
            "if is_too_long:",
            "pictures of any size are opened",
        ),
    ),
)
