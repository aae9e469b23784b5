"""G25: slow clients behind the documented nginx reverse proxy (docs/deploy.md).

nginx buffers slow requests and closes them in the end, so that Textbridge gets complete requests
only. The check without a proxy is ``slow_clients``.
"""

import socket
import ssl
from collections.abc import Sequence
from contextlib import ExitStack, closing
from functools import partial
from http.client import HTTPResponse
from urllib.parse import quote

from bench.measured_server import TOKEN, webhook_body
from tests.server import Server
from torture.check import Check, Figures, Mutant, Scale
from torture.checks.slow_clients import (
    FORM,
    connect_with_small_buffer,
    form,
    incomplete_requests,
    open_sockets,
    upload,
)
from torture.clients import run_parallel
from torture.database import stored_texts
from torture.environment import (
    NUMBER,
    WEBHOOK_PATH,
    PromiseBroken,
    TestEnvironment,
    new_device_token,
    require,
    wait_until,
)
from torture.proxy import HOST, Nginx, ProxyClient

SPARE = 8  # connections to the server that complete requests may use
INSIDE, OUTSIDE = "127.0.0.2", "127.0.0.3"  # addresses with and without access to the admin pages
# Path, body size that must be passed on, body size that must be refused (bytes).
LIMITS = (
    (WEBHOOK_PATH, 900_000, 1_100_000),
    ("/webhook/voipinnovations/sms", 9_900_000, 10_900_000),
    ("/webhook/ringotel/x", 60_000, 70_000),
)
FILE, TOO_LARGE = 25_000_000, 28_000_000


def run(environment: TestEnvironment, scale: Scale) -> Figures:
    """Connect slow clients, several times, and send normal traffic at the same time."""
    server = environment.start_server(
        ADMIN_PASSWORD="a good password", ADMIN_ALLOW=INSIDE, TRUSTED_PROXIES="127.0.0.1"
    )
    nginx = environment.enter(Nginx(environment.folder / "nginx", server))
    token = new_device_token(server)
    stream = _stream(environment, nginx, token)
    count, texts, rounds = scale.pick(100, 500), 100, scale.pick(1, 10)
    kinds = incomplete_requests(token, upload(server, token))
    stopped = through = 0
    for n in range(rounds):
        seen = _beside(nginx, server, stream, kinds, count, range(n * texts, (n + 1) * texts))
        stopped, through = stopped + seen[0], max(through, seen[1])
    lost = set(range(rounds * texts)) - set(stored_texts(server.storage))
    require(not lost, f"{len(lost)} texts were acknowledged and are not kept")
    limits, strangers = _limits(nginx, token), _who_calls(nginx)
    logged = nginx.logged()
    require(TOKEN not in logged and quote(TOKEN) not in logged, "the webhook's token is in a log")
    return {
        "slow callers": rounds * count,
        "held by nginx and hung up on": stopped,
        "connections to the server at that time, at most": through,
        "texts taken beside them, and streamed at once": rounds * texts,
        "sizes of bodies": limits,
        "callers told apart": strangers,
        "tokens in its logs": 0,
    }


def _beside(
    nginx: Nginx,
    server: Server,
    stream: HTTPResponse,
    kinds: Sequence[bytes],
    count: int,
    texts: range,
) -> tuple[int, int]:
    """One round; returns how many clients nginx held, and the most connections to the server."""
    before = open_sockets(server)
    with ExitStack() as stack:
        slow = _slow(stack, nginx, kinds, count)
        wait_until(
            lambda: open_sockets(server) - before <= SPARE, "the server without slow callers", 40
        )
        carrier, through = ProxyClient(nginx), 0
        for index in texts:
            status, _ = carrier.call("POST", WEBHOOK_PATH, webhook_body(index, NUMBER))
            require(status == 200, f"a text was answered {status} beside slow callers")
            _next_event(stream)
            through = max(through, open_sockets(server) - before) if index % 10 == 0 else through
        require(through <= SPARE, f"{through} connections to the server: slow callers got through")
        waiting = [each for each in slow if not _is_closed(each)]
        require(bool(waiting), "no slow client was held: the check proves nothing")
        wait_until(lambda: all(map(_is_closed, waiting)), "the end of nginx's patience")
    return len(waiting), through


def _slow(
    stack: ExitStack, nginx: Nginx, kinds: Sequence[bytes], count: int
) -> list[socket.socket]:
    """Connect slow clients of every kind; returns all except those that only do not read."""
    unread, connections = kinds[-1], list[socket.socket]()

    def connect(first: int) -> None:
        for n in range(first, count, 8):
            half = kinds[n % len(kinds)]
            connection = stack.enter_context(
                nginx.tls_context.wrap_socket(connect_with_small_buffer(nginx.port))
            )
            connection.sendall(half)
            if half is not unread:
                connections.append(connection)

    run_parallel([partial(connect, first) for first in range(8)])
    return connections


def _is_closed(connection: socket.socket) -> bool:
    connection.setblocking(False)
    try:
        while connection.recv(4096):
            pass
    except ssl.SSLWantReadError:
        return False
    except OSError:
        return True
    return True


def _stream(environment: TestEnvironment, nginx: Nginx, token: str) -> HTTPResponse:
    """Open the event stream of an app; its first line has arrived."""
    connection = environment.enter(closing(ProxyClient(nginx).connect()))
    head = {"Host": HOST, "Authorization": f"Bearer {token}"}
    connection.request("GET", "/api/v1/events", headers=head)
    try:
        stream = connection.getresponse()
    except TimeoutError:
        raise PromiseBroken("a stream was not begun within ten seconds") from None
    require(stream.status == 200, f"the stream is answered {stream.status}")
    _read_to(stream, b"id: ")
    return stream


def _next_event(stream: HTTPResponse) -> None:
    _read_to(stream, b"event: message.created")


def _read_to(stream: HTTPResponse, start: bytes) -> None:
    try:
        while line := stream.readline():
            if line.startswith(start):
                return
    except TimeoutError:
        raise PromiseBroken("an event of the stream was held back for ten seconds") from None
    raise PromiseBroken("the stream was cut")


def _limits(nginx: Nginx, token: str) -> int:
    """Bodies up to the limit are passed on; larger ones are refused by their headers."""
    client = ProxyClient(nginx)
    for path, most, too_large in LIMITS:
        status, _ = client.call("POST", path, b"[" + b" " * (most - 2) + b"]")
        require(status not in (0, 413), f"{path} answers {status} to {most} bytes")
        require(client.announce(path, too_large) == 413, f"{path} takes {too_large} bytes")
    head = {"Authorization": f"Bearer {token}", **FORM}
    status, body = client.call("POST", "/api/v1/media", form(FILE), **head)
    require(status == 201, f"a file of {FILE} bytes is answered {status}: {body[:200]!r}")
    require(client.announce("/api/v1/media", TOO_LARGE) == 413, f"{TOO_LARGE} bytes are taken")
    return 2 * len(LIMITS) + 2


def _who_calls(nginx: Nginx) -> int:
    """A client outside cannot claim another address by ``X-Forwarded-For``."""
    inside, outside = ProxyClient(nginx, INSIDE), ProxyClient(nginx, OUTSIDE)
    claims = ("", "127.0.0.1", INSIDE, f"{INSIDE}, 127.0.0.1", f"127.0.0.1,{INSIDE}")
    for claim in claims:
        headers = {"X-Forwarded-For": claim} if claim else {}
        status, _ = inside.call("GET", "/admin/sign-in", b"", **headers)
        require(status == 200, f"the operator is answered {status} with {headers}")
        status, _ = outside.call("GET", "/admin/sign-in", b"", **headers)
        require(status == 403, f"a stranger is answered {status} with {headers}")
        status, page = outside.call("GET", "/ready", b"", **headers)
        require(status == 200 and b"checks" not in page, f"/ready says {page[:200]!r} to {headers}")
        status, _ = outside.call("GET", "/metrics", b"", **headers)
        require(status == 404, f"/metrics answers {status} to {headers}")
    return 2 * len(claims)


CHECK = Check(
    name="front_proxy",
    claim=(
        "Behind the documented nginx, Textbridge gets complete requests only: nginx holds "
        "and closes slow clients, while texts are accepted and streams work."
    ),
    run=run,
    needs=("nginx",),
    mutants=(
        Mutant(
            "docs/deploy.md",
            "client_body_timeout 10s; ",
            "proxy_request_buffering off; ",
            "incomplete bodies are passed on",
        ),
        Mutant(
            "docs/deploy.md",
            "proxy_buffering off;",
            "proxy_ignore_headers X-Accel-Buffering;",
            "the event stream is buffered",
        ),
        Mutant(
            "docs/deploy.md",
            "proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;",
            "",
            "a client outside is taken for a local one",
        ),
        Mutant(
            "docs/deploy.md",
            "client_max_body_size 26m;",
            "client_max_body_size 20m;",
            "a video of the largest size is refused",
        ),
        Mutant(
            "docs/deploy.md",
            "textbridge-errors.log crit;",
            "textbridge-errors.log error;",
            "nginx logs refused webhooks with their token",
        ),
        Mutant(
            "blueprints/client_address.py",
            "address = parse_address(hops.pop())",
            "address = parse_address(hops.pop(0))",
            "the first address in X-Forwarded-For is trusted",
        ),
    ),
)
