"""S3-compatible storage that believes nothing: signature, clock and content hash are checked.

Written from AWS's own description of the signature, version 4, and not from what Textbridge sends:
https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html
"""

import hashlib
import hmac
import re
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from services.config.sections import S3Settings
from services.config.variables import load
from services.http.client import Http
from services.media.s3 import S3
from tests.fakes.serving import Serving

ACCESS_KEY, SECRET_KEY = "AKIDOFTHETESTS", "the/secret+of=the tests"
BUCKET, REGION = "textbridge-media", "eu-central-1"
CLOCK_SECONDS = 900
CREDENTIAL = re.compile(
    r"AWS4-HMAC-SHA256 Credential=([^/]+)/(\d{8})/([^/]+)/s3/aws4_request, ?"
    r"SignedHeaders=([a-z0-9;-]+), ?Signature=([0-9a-f]{64})"
)


def signature(
    method: str, target: str, headers: Mapping[str, str], signed: str, scope: str, secret: str
) -> str:
    """The signature that a request must have; ``headers`` have lower-case names."""
    parts = urlsplit(target)
    query = sorted(
        (quote(name, safe="-_.~"), quote(value, safe="-_.~"))
        for name, value in parse_qsl(parts.query, keep_blank_values=True)
    )
    canonical = [
        method,
        quote(unquote(parts.path), safe="/-_.~"),
        "&".join(f"{name}={value}" for name, value in query),
        *(f"{name}:{' '.join(headers.get(name, '').split())}" for name in signed.split(";")),
        "",
        signed,
        headers["x-amz-content-sha256"],
    ]
    digest = hashlib.sha256("\n".join(canonical).encode()).hexdigest()
    to_sign = "\n".join(["AWS4-HMAC-SHA256", headers["x-amz-date"], scope, digest])
    key = b"AWS4" + secret.encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    return hmac.new(key, to_sign.encode(), "sha256").hexdigest()


@dataclass
class Fault:
    """What is to go wrong with a request: a status with its code, or something with the wire."""

    status: int = 0
    code: str = ""
    wire: str = ""  # "hang", "cut" (the answer breaks off) or "spoil" (other bytes, same length)
    done: bool = False  # the request is carried out before its answer goes wrong


class S3Server(Serving):
    """One bucket in memory. ``faults`` come first, one for each request; ``broken`` comes always.

    ``calls`` are (method, key) of every request that was properly signed.
    """

    def __init__(self) -> None:
        self.objects: dict[str, tuple[bytes, dict[str, str]]] = {}
        self.faults: deque[Fault] = deque()
        self.broken: Fault | None = None
        self.calls: list[tuple[str, str]] = []
        self.refused: list[str] = []
        self.delay = 0.0  # seconds before each answer
        self.may_list = True  # without, AWS answers 403 where it could answer 404
        self.now: Callable[[], datetime] = lambda: datetime.now(UTC)
        self._released = threading.Event()
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _any(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                headers = {name.lower(): value for name, value in self.headers.items()}
                server._serve(self, headers, body)

            do_GET = do_HEAD = do_PUT = do_DELETE = _any

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.endpoint = f"http://127.0.0.1:{self._server.server_address[1]}"

    @property
    def env(self) -> dict[str, str]:
        """The variables that keep attachments here."""
        return {
            "MEDIA_S3_ENDPOINT": self.endpoint,
            "MEDIA_S3_BUCKET": BUCKET,
            "MEDIA_S3_REGION": REGION,
            "MEDIA_S3_ACCESS_KEY": ACCESS_KEY,
            "MEDIA_S3_SECRET_KEY": SECRET_KEY,
        }

    def bucket(self, http: Http, **changed: str) -> S3:
        """Textbridge's side of it, by these variables or others."""
        settings, problems = load(S3Settings, "MEDIA_S3_", self.env | changed)
        assert settings is not None, problems
        return S3(settings, http)

    def methods(self) -> list[str]:
        """The methods of the calls so far."""
        return [method for method, _ in self.calls]

    def _serve(self, handler: BaseHTTPRequestHandler, headers: dict[str, str], body: bytes) -> None:
        status, code, answer, more = self._answer(handler.command, handler.path, headers, body)
        time.sleep(self.delay)
        if code:
            self.refused.append(code)
            answer = f"<?xml version='1.0'?><Error><Code>{code}</Code></Error>".encode()
        fault = self.faults.popleft() if self.faults else self.broken
        if fault is not None and fault.wire == "hang":
            self._released.wait(30)
            handler.close_connection = True
            return
        if fault is not None and fault.wire == "spoil":
            answer = bytes(reversed(answer))
        length = len(answer)
        handler.send_response(status)
        for name, value in more.items():
            handler.send_header(name, value)
        if "content-length" not in more:
            handler.send_header("Content-Length", str(length))
        handler.end_headers()
        if handler.command == "HEAD":
            return
        if fault is not None and fault.wire == "cut":
            answer = answer[: length // 2]
            handler.close_connection = True
        handler.wfile.write(answer)

    def _answer(
        self, method: str, target: str, headers: dict[str, str], body: bytes
    ) -> tuple[int, str, bytes, dict[str, str]]:
        """The status, the error's code, the body and the headers."""
        wrong = self._wrong(method, target, headers, body)
        if wrong:
            return *wrong, b"", {}
        path = unquote(urlsplit(target).path)
        if headers["host"].startswith(f"{BUCKET}."):
            path = f"/{BUCKET}{path}"
        bucket, _, key = path.removeprefix("/").partition("/")
        self.calls.append((method, key))
        fault = self.faults[0] if self.faults else self.broken
        if fault is not None and not fault.done and (fault.status or fault.wire == "hang"):
            return fault.status, fault.code, b"", {}
        if bucket != BUCKET:
            return 404, "NoSuchBucket", b"", {}
        done = self._carried_out(method, key, headers, body)
        if fault is not None and fault.status:
            return fault.status, fault.code, b"", {}
        return done

    def _carried_out(
        self, method: str, key: str, headers: dict[str, str], body: bytes
    ) -> tuple[int, str, bytes, dict[str, str]]:
        if method == "PUT":
            meta = {n: v for n, v in headers.items() if n.startswith("x-amz-meta-")}
            self.objects[key] = (body, meta)
            return 200, "", b"", {}
        if method == "DELETE":
            self.objects.pop(key, None)
            return 204, "", b"", {}
        if key not in self.objects:
            absent = (404, "NoSuchKey") if self.may_list else (403, "AccessDenied")
            return *absent, b"", {}
        content, meta = self.objects[key]
        return 200, "", content, {**meta, "content-length": str(len(content))}

    def _wrong(
        self, method: str, target: str, headers: dict[str, str], body: bytes
    ) -> tuple[int, str] | None:
        """The first thing that is wrong with a request: its status and code."""
        read = CREDENTIAL.fullmatch(headers.get("authorization", ""))
        if read is None:
            return 403, "AccessDenied"
        access, day, region, signed, given = read.groups()
        stamp = headers.get("x-amz-date", "")
        if access != ACCESS_KEY:
            return 403, "InvalidAccessKeyId"
        if region != REGION:
            return 400, "AuthorizationHeaderMalformed"
        must = {"host", *(name for name in headers if name.startswith("x-amz-"))}
        must |= {"content-type"} & headers.keys()
        if not must <= set(signed.split(";")):
            return 403, "AccessDenied"
        at = datetime.strptime(stamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        if abs((self.now() - at).total_seconds()) > CLOCK_SECONDS or not stamp.startswith(day):
            return 403, "RequestTimeTooSkewed"
        scope = f"{day}/{region}/s3/aws4_request"
        ours = signature(method, target, headers, signed, scope, SECRET_KEY)
        if not hmac.compare_digest(ours, given):
            return 403, "SignatureDoesNotMatch"
        if headers["x-amz-content-sha256"] != hashlib.sha256(body).hexdigest():
            return 400, "XAmzContentSHA256Mismatch"
        return None

    def __exit__(self, *_: object) -> None:
        self._released.set()
        super().__exit__()
