"""G25: five hundred slow clients (slowloris) without a proxy, beside normal traffic.

Each holds a connection with incomplete headers, an incomplete body, no data, or an answer that it
does not read. The check with the documented proxy is ``front_proxy``.
"""

import socket
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from itertools import count, islice
from pathlib import Path
from statistics import median
from time import perf_counter

from bench.measured_server import webhook_body
from tests.server import Server
from torture.check import Check, Figures, Mutant, Scale
from torture.clients import HttpClient
from torture.environment import (
    NUMBER,
    WEBHOOK_PATH,
    TestEnvironment,
    delivery_worker_pid,
    new_device_token,
    require,
    wait_until,
    web_process_pids,
)

SLOW = 500
STAY = 200  # clients with an incomplete body; on a busy machine the others may be closed earlier
MIN_SHARE = 0.5  # of the rate without slow clients
TRIES = 3  # a real slowdown would show in every try; a busy machine does not
FILE = 1_000_000  # bytes: more than fits into the buffers of a connection
FORM = {"Content-Type": "multipart/form-data; boundary=x"}


def run(environment: TestEnvironment, scale: Scale) -> Figures:
    """Measure the rate without and with slow clients, in the same run."""
    server, texts = environment.start_server(), scale.pick(100, 1_000)
    delivery_worker_pid(server)
    token = new_device_token(server)
    kinds = incomplete_requests(token, upload(server, token))
    client, numbers = HttpClient(server), count()
    _measure(server, client, numbers, texts // 2)  # warm-up
    share, health_checks = 0.0, 0.0
    for _ in range(TRIES):
        alone = _measure(server, client, numbers, texts)
        with ExitStack() as stack:
            slow = [stack.enter_context(_slow(server, kinds[n % len(kinds)])) for n in range(SLOW)]
            wait_until(lambda: open_sockets(server) >= STAY, f"{STAY} slow callers connected")
            beside = _measure(server, client, numbers, texts)
            for each in slow:  # each sends one more byte
                with suppress(OSError):
                    each.send(b"x")
            again = _measure(server, HttpClient(server), numbers, texts)
        share = max(share, median(alone.webhooks) / median([*beside.webhooks, *again.webhooks]))
        health_checks = max(
            health_checks,
            median(alone.health_checks) / median([*beside.health_checks, *again.health_checks]),
        )
        if min(share, health_checks) > MIN_SHARE:
            break
    require(share > MIN_SHARE, f"webhooks at {share:.0%} of their pace")
    require(health_checks > MIN_SHARE, f"/up answers at {health_checks:.0%} of its pace")
    return {
        "slow callers": SLOW,
        "webhooks taken beside them": 2 * texts,
        "webhooks refused": 0,
        "pace of webhooks, of that alone": round(share, 2),
        "pace of /up, of that alone": round(health_checks, 2),
    }


class _Durations:
    """The durations of webhooks and of health checks, in seconds."""

    def __init__(self) -> None:
        self.webhooks: list[float] = []
        self.health_checks: list[float] = []


def _measure(server: Server, client: HttpClient, numbers: Iterator[int], texts: int) -> _Durations:
    durations = _Durations()
    for index in islice(numbers, texts):
        start = perf_counter()
        status, _ = client.call("POST", WEBHOOK_PATH, webhook_body(index, NUMBER))
        durations.webhooks.append(perf_counter() - start)
        require(status == 200, f"a webhook was answered {status} beside slow callers")
        if index % 10 == 0:
            start = perf_counter()
            status, _ = HttpClient(server).call("GET", "/up")
            durations.health_checks.append(perf_counter() - start)
            require(status == 200, f"/up answers {status} beside slow callers")
    return durations


def form(size: int) -> bytes:
    """A multipart form with a file of ``size`` bytes; its headers are ``FORM``."""
    head = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.mp4"\r\n\r\n'
    start = b"\0\0\0\x18ftypmp42"
    return head + start + bytes(size - len(start)) + b"\r\n--x--\r\n"


def upload(server: Server, token: str) -> str:
    """Upload a file; returns its id."""
    head = {"Authorization": f"Bearer {token}", **FORM}
    status, content = HttpClient(server).call("POST", "/api/v1/media", form(FILE), **head)
    require(status == 201, f"a file was answered {status}")
    return str(content["id"])


def incomplete_requests(token: str, file: str) -> tuple[bytes, ...]:
    """What each kind of slow client sends; the last one does not read the file in its answer."""
    head = b" HTTP/1.1\r\nHost: x\r\n"
    known = head + f"Authorization: Bearer {token}\r\n".encode()
    return (
        b"GET /up" + head + b"X-Slow: ",
        b"POST " + WEBHOOK_PATH.encode() + head + b"Content-Length: 100000\r\n\r\n[",
        b"POST /api/v1/media" + known + b"Content-Length: 2000000\r\n"
        b"Content-Type: multipart/form-data; boundary=x\r\n\r\n--x\r\n",
        b"",
        f"GET /api/v1/media/{file}".encode() + known + b"\r\n",
    )


def connect_with_small_buffer(port: int) -> socket.socket:
    """A connection with a small receive buffer."""
    client = socket.socket()
    client.settimeout(10)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.connect(("127.0.0.1", port))
    return client


def _slow(server: Server, request: bytes) -> socket.socket:
    client = connect_with_small_buffer(server.port)
    client.sendall(request)
    return client


def open_sockets(server: Server) -> int:
    """The number of open sockets of the web process."""
    found = 0
    for handle in Path(f"/proc/{web_process_pids(server)[0]}/fd").iterdir():
        try:
            found += handle.readlink().name.startswith("socket:")
        except OSError:
            continue
    return found


CHECK = Check(
    name="slow_clients",
    claim=(
        "Beside 500 clients with incomplete requests, webhooks are accepted and /up "
        "answers, also without a proxy."
    ),
    run=run,
    mutants=(
        Mutant(
            "gunicorn.conf.py",
            "worker_connections = connections_for(raise_limit())",
            "worker_connections = 100",
            "a process accepts a hundred connections only",
        ),
    ),
)
