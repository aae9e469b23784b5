"""G25: five hundred callers who never finish their requests, and the others beside them.

Without a proxy in front: each holds a connection with half a head, half a body, nothing, or an
answer that it does not read. With the documented one: ``front_proxy``.
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
STAY = 200  # those with half a body; on a busy machine the others may be hung up on meanwhile
LEAST_SHARE = 0.5  # of the pace without them; measured beside others on two cores
TRIES = 3  # slow callers cost as much each time; a busy machine does not
FILE = 1_000_000  # bytes: more than fits into the buffers of a connection
FORM = {"Content-Type": "multipart/form-data; boundary=x"}


def run(ground: Ground, scale: Scale) -> Figures:
    """Measure alone and beside the slow ones, in one run."""
    server, texts = ground.started(), scale.pick(100, 1_000)
    delivering(server)
    token = bearer(server)
    kinds = halves(token, upload(server, token))
    line, numbers = Line(server), count()
    _paces(server, line, numbers, texts // 2)  # warm
    share, looks = 0.0, 0.0
    for _ in range(TRIES):
        alone = _paces(server, line, numbers, texts)
        with ExitStack() as stack:
            slow = [stack.enter_context(_slow(server, kinds[n % len(kinds)])) for n in range(SLOW)]
            wait_until(lambda: let_in(server) >= STAY, f"room for {STAY} slow callers")
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


def form(size: int) -> bytes:
    """A form with a file of so many bytes; its headers are ``FORM``."""
    head = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.mp4"\r\n\r\n'
    start = b"\0\0\0\x18ftypmp42"
    return head + start + bytes(size - len(start)) + b"\r\n--x--\r\n"


def upload(server: Server, token: str) -> str:
    """Upload a file; returns its id."""
    head = {"Authorization": f"Bearer {token}", **FORM}
    status, told = Line(server).call("POST", "/api/v1/media", form(FILE), **head)
    demand(status == 201, f"a file was answered {status}")
    return str(told["id"])


def halves(token: str, file: str) -> tuple[bytes, ...]:
    """What each kind of slow caller sends; the last one does not read its answer, the file."""
    head = b" HTTP/1.1\r\nHost: x\r\n"
    known = head + f"Authorization: Bearer {token}\r\n".encode()
    return (
        b"GET /up" + head + b"X-Slow: ",
        b"POST " + HOOK.encode() + head + b"Content-Length: 100000\r\n\r\n[",
        b"POST /api/v1/media" + known + b"Content-Length: 2000000\r\n"
        b"Content-Type: multipart/form-data; boundary=x\r\n\r\n--x\r\n",
        b"",
        f"GET /api/v1/media/{file}".encode() + known + b"\r\n",
    )


def narrow(port: int) -> socket.socket:
    """A connection on which hardly anything waits to be read."""
    line = socket.socket()
    line.settimeout(10)
    line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    line.connect(("127.0.0.1", port))
    return line


def _slow(server: Server, half: bytes) -> socket.socket:
    line = narrow(server.port)
    line.sendall(half)
    return line


def let_in(server: Server) -> int:
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
