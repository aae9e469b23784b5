"""G25: five hundred callers who never finish their requests, and the others beside them.

Without a proxy in front: each holds a connection with half a head, half a body, or an answer that
it does not read. The documented proxy (docs/deploy.md) keeps them away before that.
"""

import socket
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from itertools import count, islice
from pathlib import Path
from statistics import median
from time import perf_counter

from bench.street import webhook
from tests.server import Server
from torture.check import Check, Figures, Mutant, Scale
from torture.ground import HOOK, NUMBER, Ground, bearer, delivering, demand, serving, wait_until
from torture.traffic import Line

SLOW = 500
STAY = 250  # those with half a body; on a busy machine the others may be hung up on meanwhile
LEAST_SHARE = 0.5  # of the pace without them; measured beside others on two cores
TRIES = 3  # slow callers cost as much each time; a busy machine does not
HALVES = (
    b"GET /up HTTP/1.1\r\nHost: x\r\nX-Slow: ",
    b"POST " + HOOK.encode() + b" HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    b"Content-Length: 100000\r\n\r\n[",
    b"POST /api/v1/media HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Length: 2000000"
    b"\r\nContent-Type: multipart/form-data; boundary=x\r\n\r\n--x\r\n",
    b"",
)


def run(ground: Ground, scale: Scale) -> Figures:
    """Measure alone and beside the slow ones, in one run."""
    server, texts = ground.started(), scale.pick(100, 1_000)
    delivering(server)
    token = bearer(server).encode()
    line, numbers = Line(server), count()
    _paces(server, line, numbers, texts // 2)  # warm
    share, looks = 0.0, 0.0
    for _ in range(TRIES):
        alone = _paces(server, line, numbers, texts)
        with ExitStack() as stack:
            slow = [stack.enter_context(_slow(server, n, token)) for n in range(SLOW)]
            wait_until(lambda: _let_in(server) >= STAY, f"room for {STAY} slow callers")
            beside = _paces(server, line, numbers, texts)
            for each in slow:  # one more byte each, as they do
                with suppress(OSError):
                    each.send(b"x")
            again = _paces(server, Line(server), numbers, texts)
        share = max(share, median(alone.webhooks) / median([*beside.webhooks, *again.webhooks]))
        looks = max(looks, median(alone.looks) / median([*beside.looks, *again.looks]))
        if min(share, looks) > LEAST_SHARE:
            break
    demand(share > LEAST_SHARE, f"webhooks at {share:.0%} of their pace")
    demand(looks > LEAST_SHARE, f"/up answers at {looks:.0%} of its pace")
    return {
        "slow callers": SLOW,
        "webhooks taken beside them": 2 * texts,
        "webhooks refused": 0,
        "pace of webhooks, of that alone": round(share, 2),
        "pace of /up, of that alone": round(looks, 2),
    }


class _Paces:
    """How long each webhook and each look took, in seconds."""

    def __init__(self) -> None:
        self.webhooks: list[float] = []
        self.looks: list[float] = []


def _paces(server: Server, line: Line, numbers: Iterator[int], texts: int) -> _Paces:
    paces = _Paces()
    for index in islice(numbers, texts):
        start = perf_counter()
        status, _ = line.call("POST", HOOK, webhook(index, NUMBER))
        paces.webhooks.append(perf_counter() - start)
        demand(status == 200, f"a webhook was answered {status} beside slow callers")
        if index % 10 == 0:
            start = perf_counter()
            status, _ = Line(server).call("GET", "/up")
            paces.looks.append(perf_counter() - start)
            demand(status == 200, f"/up answers {status} beside slow callers")
    return paces


def _slow(server: Server, n: int, token: bytes) -> socket.socket:
    line = socket.create_connection(("127.0.0.1", server.port), timeout=10)
    half = HALVES[n % len(HALVES)]
    line.sendall(half.replace(b"%s", token))
    return line


def _let_in(server: Server) -> int:
    """How many sockets the web process has open."""
    found = 0
    for handle in Path(f"/proc/{serving(server)[0]}/fd").iterdir():
        try:
            found += handle.readlink().name.startswith("socket:")
        except OSError:
            continue
    return found


CHECK = Check(
    name="slow_clients",
    claim="Beside 500 callers who never finish their requests, webhooks are taken and /up answers, "
    "also without a proxy in front.",
    run=run,
    mutants=(
        Mutant(
            "gunicorn.conf.py",
            "worker_connections = 2000",
            "worker_connections = 100",
            "a process has room for a hundred connections",
        ),
    ),
)
