"""G14: HTTP fuzzing of every route with malformed requests.

Requests are written to raw sockets, because an HTTP library would not send malformed paths, lengths
and bytes. The check examines the answers, the memory of the processes, their CPU time and the log.
"""

import json
import os
import random
import re
import socket
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from app import create_app
from blueprints.ringotel.webhook import webhook_url
from services.core.messages import Message
from tests.server import Server
from torture.check import Check, Figures, Mutant, Scale
from torture.environment import TestEnvironment, new_device_token, require, web_process_pids
from torture.in_process import QUIET, full_env

METHODS = ("GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", "TRACE", "FOO", "get")
TYPES = (
    *("application/json", "application/json", "application/x-www-form-urlencoded", "text/plain"),
    *("multipart/form-data; boundary=x", "multipart/form-data", "application/json; charset=utf-16"),
    *("", "a/b/c", "application/json\xff", "text/xml", "x" * 3000),
)
VALUES: tuple[Any, ...] = (
    *(None, True, 0, -1, 1.5, 2**31, 2**63, 2**64, 10**400, 1e308, "", "x", "x" * 70_000, [], {}),
    *(
        "\x00",
        "a\x00b",
        "\ud800",
        "\udfff\ud800",
        "\u202e\u2066",
        "٣",
        "1e9",
        "NaN",
        "-0",
        "+",
        "%",
    ),
    *("' OR 1=1 --", "{{7*7}}", "$(id)", "../../etc/passwd", "<script>", "\r\nX: y", [None], [[]]),
    *({"": ""}, {"a": {"b": {"c": []}}}, "+13035550177", "201", "2026-13-45T99:99:99Z", "9" * 5000),
)
RAW = (
    *(b"", b"{", b"[" * 100_000, b'{"a":' * 50_000, b"\xff\xfe", b"\x00" * 1000, b"NaN", b"1e999"),
    *(b'{"a":' + b"9" * 5000 + b"}", b'"\\ud800"', b'{"a":1,"a":2}', b"null", b"5", b'"x"'),
    *(b"--x\r\n\r\n", b'--x\r\nContent-Disposition: form-data; name="file"\r\n\r\nx\r\n--x--\r\n'),
    *(b"a=%00&a=%ff&=&&%", b"csrf=x&password=\xff\xfe", b'{"to":"+13035550177","text":"\\u0000"}'),
)
FIELDS = (
    *("to", "text", "from", "conversation_id", "media_ids", "client_id", "code", "device", "name"),
    *("push", "type", "endpoint", "keys", "server", "topic", "token", "preview", "quiet_hours"),
    *("up_to_seq", "method", "api_key", "params", "content", "messageid", "orgid", "sessionid"),
    *("username", "password", "last_id", "last_sent_id", "content_type", "body", "start", "end"),
    *("time_zone", "message_body", "message_id", "message", "files", "caller_id_number", "data"),
    *("payload", "id", "attachments", "status", "event", "csrf", "extension", "kind"),
)
PARAMETERS = (
    "since",
    "limit",
    "cursor",
    "q",
    "before",
    "after",
    "number",
    "exp",
    "sig",
    "ticket",
    "m",
)
PATHS = (
    *(
        "/%00",
        "//",
        "/..%2f..%2fetc/passwd",
        "/.%00./",
        "/admin/..;/",
        "/%ff%fe",
        "/a%0d%0ab",
        "/%",
    ),
    *("/phone/../../wsgi.py", "/phone/%2e%2e/%2e%2e/wsgi.py", "/media/" + "x" * 5000, "/;/", "/*"),
    *(
        "/admin/static/..%5c..%5capp.py",
        "/api/v1/",
        "/api/v1",
        "/API/V1/me",
        "/api/v1/me/",
        "/?\xff",
    ),
    *("http://evil.example/up", "/home//etc/passwd", "/phone/%E0%80%AF", "/webhook/none/sms"),
)
MAX_GROWTH_MB = 50
PART, MAX_CPU_SECONDS = 20, 2.0  # a part of 20 requests may use 2 seconds of CPU time
WARM_UP = 200  # requests before the memory is measured


class Fuzz:
    """A server, credentials for all its endpoints, and the statuses of its answers."""

    def __init__(self, environment: TestEnvironment) -> None:
        numbers = [
            {"number": "+12025550143", "carrier": "bandwidth", "extensions": ["201"]},
        ]
        env = {**full_env(), "APP_KEY": "a key of the tests, long enough"}
        self.server: Server = environment.start_server(numbers=numbers, **env)
        app = create_app(
            {**env, **QUIET, "APP_ENV": "local", "STORAGE_PATH": str(environment.folder / "map")}
        )
        gateway = app.extensions["gateway"]
        self.rules = [rule.rule for rule in app.url_map.iter_rules()]
        self.hooks = [p.webhook_url for p in gateway.providers.values()]
        self.ringotel = urlsplit(webhook_url(gateway.environment)).path
        self.examples = [
            p.inbound_call(Message("in", "+12025550143", "+13035550177", text="x"))
            for p in gateway.providers.values()
        ]
        gateway.close()
        self.token = new_device_token(self.server)
        self.cookie = self._sign_in(env["ADMIN_PASSWORD"])
        self.answers: Counter[int] = Counter()
        self.most = 0.0  # CPU seconds of a part
        self._cpu_used = self._cpu_seconds()

    def _sign_in(self, password: str) -> bytes:
        body = f"password={quote(password)}".encode()
        answer = self.send(
            b"POST", b"/admin/sign-in", [b"Content-Type: application/x-www-form-urlencoded"], body
        )
        found = re.search(rb"textbridge_admin=[^;]+", answer)
        require(found is not None, f"the operator cannot sign in: {answer[:200]!r}")
        assert found is not None
        return found[0]

    def send(self, method: bytes, path: bytes, headers: list[bytes], body: bytes) -> bytes:
        """Send one request over a new connection; returns the first bytes of the answer."""
        head = [method + b" " + path + b" HTTP/1.1", b"Host: x", b"Connection: close", *headers]
        if not any(line.lower().startswith(b"content-length") for line in headers):
            head.append(b"Content-Length: %d" % len(body))
        with socket.create_connection(("127.0.0.1", self.server.port), timeout=30) as line:
            answer = b""
            with suppress(OSError):  # the server may close early when it refuses
                line.sendall(b"\r\n".join(head) + b"\r\n\r\n" + body)
                line.shutdown(socket.SHUT_WR)
            try:
                while len(answer) < 4096 and (part := line.recv(65_536)):
                    answer += part
            except ConnectionError:
                return answer
            except TimeoutError:
                require(False, f"no answer to {method!r} {path!r} {headers!r} {body[:300]!r}")
        return answer

    def one(self, chance: random.Random) -> None:
        """Send one malformed request; the answer must not be a server error."""
        method = chance.choice(METHODS).encode()
        path, headers = self._path(chance), self._headers(chance)
        body = self._body(chance)
        if b"/events" in path:
            method = b"HEAD"  # a valid stream would stay open
        answer = self.send(method, path, headers, body)
        found = re.match(rb"HTTP/1\.[01] (\d{3})", answer)
        status = int(found[1]) if found else 0
        self.answers[status] += 1
        known = status < 500 or (status == 503 and path.startswith(b"/ready"))
        request = f"{method!r} {path[:200]!r} {headers!r:.300} {body[:300]!r}"
        require(known, f"{status} for {request}: {answer[-300:]!r}")

    def check_alive(self) -> None:
        """Check that the server answers, and record its CPU time since the last check."""
        answer = self.send(b"GET", b"/up", [], b"")
        require(b" 200 " in answer[:16], f"/up answers {answer[:100]!r}")
        before, self._cpu_used = self._cpu_used, self._cpu_seconds()
        self.most = max(self.most, self._cpu_used - before)

    def _cpu_seconds(self) -> float:
        """The CPU time of the web process in seconds."""
        stat = Path(f"/proc/{web_process_pids(self.server)[0]}/stat").read_text()
        user, system = stat.rpartition(")")[2].split()[11:13]
        return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")

    def _path(self, chance: random.Random) -> bytes:
        if chance.random() < 0.1:
            return chance.choice(PATHS).encode("latin-1")
        if chance.random() < 0.25:
            hook = urlsplit(chance.choice(self.hooks))
            return f"{hook.path}?{hook.query}&{self._query(chance)}".encode()
        if chance.random() < 0.05:
            return self.ringotel.encode()
        rule = chance.choice(self.rules)
        filled = re.sub("<[^>]+>", lambda _: self._filling(chance), rule)
        return f"{filled}?{self._query(chance)}".encode()

    def _filling(self, chance: random.Random) -> str:
        made = "01a1f912-29fd-798d-b9d5-d4199fe17a55"
        odd = chance.choice(VALUES)
        written = odd if isinstance(odd, str) else json.dumps(odd)
        return made if chance.random() < 0.5 else quote(written.encode("utf-8", "replace")[:300])

    def _query(self, chance: random.Random) -> str:
        names = chance.sample(PARAMETERS, chance.randint(0, 3))
        return "&".join(f"{name}={self._filling(chance)}" for name in names)

    def _headers(self, chance: random.Random) -> list[bytes]:
        headers = [b"Content-Type: " + chance.choice(TYPES).encode("latin-1")]
        shown = chance.randrange(6)
        if shown < 3:
            headers.append(b"Authorization: Bearer " + self.token.encode())
        elif shown == 3:
            headers += [b"Cookie: " + self.cookie, b"X-Form-Key: x"]
        elif shown == 4:
            proof = chance.choice(
                [b"Basic !", b"Bearer \xff", b"Basic " + b"A" * 900, b"\x01", b":"]
            )
            headers.append(b"Authorization: " + proof)
        if chance.random() < 0.2:
            headers.append(
                chance.choice(
                    [b"Content-Length: x", b"Content-Length: -1", b"Transfer-Encoding: chunked",
                     b"Range: bytes=9-1,0-", b"X-Forwarded-For: \xff, , 1", b"Accept: \xff/xml",
                     b"Last-Event-ID: -1", b"Expect: 100-continue",
                     b"Cookie: textbridge_admin=\xff",
                     b"Host: \xff", b"If-None-Match: \xff", b"Origin: null", b"Sec-Fetch-Site: x"]
                )
            )  # fmt: skip
        return headers

    def _body(self, chance: random.Random) -> bytes:
        kind = chance.randrange(6)
        if kind == 0:
            return bytes(chance.choice(RAW))
        if kind == 1:  # a damaged carrier webhook
            body: bytes = chance.choice(self.examples).body
            at = chance.randint(0, len(body))
            return body[:at] + chance.choice((b"", b"\x00", b"null", b"\xff")) + body[at + 1 :]
        names = chance.sample(FIELDS, chance.randint(1, 6))
        body_fields: dict[str, Any] = {name: chance.choice(VALUES) for name in names}
        if kind == 2:
            body_fields = {
                name: {n: chance.choice(VALUES) for n in FIELDS[:12]} for name in body_fields
            }
        if kind == 3:
            pairs = (
                f"{name}={quote(str(v).encode('utf-8', 'replace'))}"
                for name, v in body_fields.items()
            )
            return "&".join(pairs).encode()
        return json.dumps(body_fields).encode()


def run(environment: TestEnvironment, scale: Scale) -> Figures:
    """Send malformed requests, and measure their cost."""
    fuzz, chance, count = Fuzz(environment), random.Random(14), scale.pick(1_000, 10_000)
    resident: list[int] = []
    for n in range(WARM_UP + count):
        if n == WARM_UP:
            resident = [_resident(pid) for pid in web_process_pids(fuzz.server)]
        if n % PART == 0:
            fuzz.check_alive()
        fuzz.one(chance)
    grown = max(
        after - before
        for before, after in zip(
            resident, map(_resident, web_process_pids(fuzz.server)), strict=True
        )
    )
    require(grown < MAX_GROWTH_MB, f"a web process grew by {grown} MB")
    require(fuzz.most < MAX_CPU_SECONDS, f"{PART} requests took {fuzz.most:.1f} s of work")
    log = fuzz.server.log.read_text()
    require(
        "Traceback" not in log, f"the log has a traceback: {log[log.find('Traceback') - 500 :]}"
    )
    return {
        "requests": count + WARM_UP,
        "routes": len(fuzz.rules),
        "faults (500)": 0,
        "answers 2xx": _of(fuzz.answers, lambda status: 200 <= status < 300),
        "answers 4xx": _of(fuzz.answers, lambda status: 400 <= status < 500),
        "hung up on": fuzz.answers[0],
        "growth, MB": grown,
        f"most work for {PART} requests": round(fuzz.most, 2),
    }


def _of(answers: Counter[int], fits: Callable[[int], bool]) -> int:
    return sum(count for status, count in answers.items() if fits(status))


def _resident(pid: int) -> int:
    """The resident memory of a process in MB."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) // 1000


CHECK = Check(
    name="fuzz",
    claim=(
        "No request to any route causes a server error, memory growth or an unresponsive server."
    ),
    run=run,
    mutants=(
        Mutant(
            "services/core/messages.py",
            "except RecursionError:",
            "except ZeroDivisionError:",
            "deeply nested JSON is a server error",
        ),
    ),
)
