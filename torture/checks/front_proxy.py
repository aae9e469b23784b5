"""G25, with the documented proxy in front (docs/deploy.md): slow callers do not get through it.

nginx keeps them, and hangs up on them in the end; Textbridge behind it sees whole requests only.
What it is like without a proxy: ``slow_clients``.
"""

import socket
import ssl
from collections.abc import Sequence
from contextlib import ExitStack, closing
from functools import partial
from http.client import HTTPResponse
from urllib.parse import quote

from bench.street import TOKEN, webhook
from tests.server import Server
from torture.check import Check, Figures, Mutant, Scale
from torture.checks.slow_clients import FORM, form, halves, let_in, narrow, upload
from torture.ground import HOOK, NUMBER, Broken, Ground, bearer, demand, wait_until
from torture.proxy import HOST, Caller, Nginx
from torture.traffic import at_once, kept

SPARE = 8  # connections to the server that may be open for whole requests
INSIDE, OUTSIDE = "127.0.0.2", "127.0.0.3"  # who may see the operator's pages, and who may not
# What is passed on and what is not, in bytes of the body.
LIMITS = (
    (HOOK, 900_000, 1_100_000),
    ("/webhook/voipinnovations/sms", 9_900_000, 10_900_000),
    ("/webhook/ringotel/x", 60_000, 70_000),
)
FILE, TOO_LARGE = 25_000_000, 28_000_000


def run(ground: Ground, scale: Scale) -> Figures:
    """Let the slow ones come, again and again, and everybody else beside them."""
    server = ground.started(
        ADMIN_PASSWORD="a good password", ADMIN_ALLOW=INSIDE, TRUSTED_PROXIES="127.0.0.1"
    )
    nginx = ground.enter(Nginx(ground.folder / "nginx", server))
    token = bearer(server)
    stream = _stream(ground, nginx, token)
    count, texts, rounds = scale.pick(100, 500), 100, scale.pick(1, 10)
    kinds = halves(token, upload(server, token))
    stopped = through = 0
    for n in range(rounds):
        seen = _beside(nginx, server, stream, kinds, count, range(n * texts, (n + 1) * texts))
        stopped, through = stopped + seen[0], max(through, seen[1])
    lost = set(range(rounds * texts)) - set(kept(server.storage))
    demand(not lost, f"{len(lost)} texts were acknowledged and are not kept")
    limits, strangers = _limits(nginx, token), _who_calls(nginx)
    logged = nginx.logged()
    demand(TOKEN not in logged and quote(TOKEN) not in logged, "the webhook's token is in a log")
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
    """One round; how many were held, and the connections to the server beside the stream's."""
    before = let_in(server)
    with ExitStack() as stack:
        slow = _slow(stack, nginx, kinds, count)
        wait_until(lambda: let_in(server) - before <= SPARE, "the server without slow callers", 40)
        carrier, through = Caller(nginx), 0
        for index in texts:
            status, _ = carrier.call("POST", HOOK, webhook(index, NUMBER))
            demand(status == 200, f"a text was answered {status} beside slow callers")
            _next_event(stream)
            through = max(through, let_in(server) - before) if index % 10 == 0 else through
        demand(through <= SPARE, f"{through} connections to the server: slow callers got through")
        waiting = [line for line in slow if not _is_hung_up(line)]
        demand(bool(waiting), "no slow caller was held: nothing is shown")
        wait_until(lambda: all(map(_is_hung_up, waiting)), "the end of nginx's patience")
    return len(waiting), through


def _slow(
    stack: ExitStack, nginx: Nginx, kinds: Sequence[bytes], count: int
) -> list[socket.socket]:
    """Callers of every kind; returned are all but those who only do not read."""
    unread, lines = kinds[-1], list[socket.socket]()

    def come(first: int) -> None:
        for n in range(first, count, 8):
            half = kinds[n % len(kinds)]
            line = stack.enter_context(nginx.trusting.wrap_socket(narrow(nginx.port)))
            line.sendall(half)
            if half is not unread:
                lines.append(line)

    at_once([partial(come, first) for first in range(8)])
    return lines


def _is_hung_up(line: socket.socket) -> bool:
    line.setblocking(False)
    try:
        while line.recv(4096):
            pass
    except ssl.SSLWantReadError:
        return False
    except OSError:
        return True
    return True


def _stream(ground: Ground, nginx: Nginx, token: str) -> HTTPResponse:
    """An app's open stream; its first line is there already."""
    connection = ground.enter(closing(Caller(nginx).connected()))
    head = {"Host": HOST, "Authorization": f"Bearer {token}"}
    connection.request("GET", "/api/v1/events", headers=head)
    try:
        stream = connection.getresponse()
    except TimeoutError:
        raise Broken("a stream was not begun within ten seconds") from None
    demand(stream.status == 200, f"the stream is answered {stream.status}")
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
        raise Broken("an event of the stream was held back for ten seconds") from None
    raise Broken("the stream was cut")


def _limits(nginx: Nginx, token: str) -> int:
    """What is as large as it may be is passed on, what is larger is not even read."""
    caller = Caller(nginx)
    for path, most, too_large in LIMITS:
        status, _ = caller.call("POST", path, b"[" + b" " * (most - 2) + b"]")
        demand(status not in (0, 413), f"{path} answers {status} to {most} bytes")
        demand(caller.announce(path, too_large) == 413, f"{path} takes {too_large} bytes")
    head = {"Authorization": f"Bearer {token}", **FORM}
    status, told = caller.call("POST", "/api/v1/media", form(FILE), **head)
    demand(status == 201, f"a file of {FILE} bytes is answered {status}: {told[:200]!r}")
    demand(caller.announce("/api/v1/media", TOO_LARGE) == 413, f"{TOO_LARGE} bytes are taken")
    return 2 * len(LIMITS) + 2


def _who_calls(nginx: Nginx) -> int:
    """Nobody outside passes for this machine or for somebody else, whatever they write."""
    inside, outside = Caller(nginx, INSIDE), Caller(nginx, OUTSIDE)
    claims = ("", "127.0.0.1", INSIDE, f"{INSIDE}, 127.0.0.1", f"127.0.0.1,{INSIDE}")
    for claim in claims:
        told = {"X-Forwarded-For": claim} if claim else {}
        status, _ = inside.call("GET", "/admin/sign-in", b"", **told)
        demand(status == 200, f"the operator is answered {status} with {told}")
        status, _ = outside.call("GET", "/admin/sign-in", b"", **told)
        demand(status == 403, f"a stranger is answered {status} with {told}")
        status, page = outside.call("GET", "/ready", b"", **told)
        demand(status == 200 and b"checks" not in page, f"/ready says {page[:200]!r} to {told}")
        status, _ = outside.call("GET", "/metrics", b"", **told)
        demand(status == 404, f"/metrics answers {status} to {told}")
    return 2 * len(claims)


CHECK = Check(
    name="front_proxy",
    claim=(
        "Behind nginx as it is documented, Textbridge sees whole requests only: slow callers are "
        "held there and hung up on, while texts are taken and streams flow."
    ),
    run=run,
    needs=("nginx",),
    mutants=(
        Mutant(
            "docs/deploy.md",
            "client_body_timeout 10s; ",
            "proxy_request_buffering off; ",
            "half bodies are passed on",
        ),
        Mutant(
            "docs/deploy.md",
            "proxy_buffering off;",
            "proxy_ignore_headers X-Accel-Buffering;",
            "the stream is held back",
        ),
        Mutant(
            "docs/deploy.md",
            "proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;",
            "",
            "who is outside passes for this machine",
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
            "what nginx refuses it logs with the webhook's token",
        ),
        Mutant(
            "blueprints/client_address.py",
            "address = hops.pop()",
            "address = hops.pop(0)",
            "the first address that anybody writes is believed",
        ),
    ),
)
