"""HTTP load generator with little CPU use.

It is a program in C (``native.c``, about 5 µs of CPU time a request) or, without a compiler, the
same in Python (about 30 µs). Both have one thread and plain sockets, and parse only status and
length of an answer.
"""

import json
import select
import socket
import statistics
import struct
import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bench import native
from bench.request_template import RequestTemplate

CONTENT_LENGTH = b"Content-Length: "
RECORD = struct.Struct("=qddq")  # number, began, wait, whether it was a 2xx


@dataclass
class LoadResult:
    """The result of a load run; times in seconds."""

    answered: int = 0
    refused: int = 0  # anything but 2xx
    seconds: float = 0.0
    waits: list[float] = field(default_factory=list)
    began: dict[int, float] = field(default_factory=dict)  # when each request was sent
    first: float = 0.0
    cpu_seconds: float = 0.0  # of the load generator itself

    @property
    def rate(self) -> float:
        """Answers a second."""
        return self.answered / self.seconds if self.seconds else 0.0

    def wait(self, share: float) -> float:
        """The latency in milliseconds that this share of the requests did not exceed."""
        return percentile(self.waits, share) * 1000


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that this share of the values does not exceed; 0 without any."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else 0.0


def median(values: Sequence[float]) -> float:
    """The median; 0 without any value."""
    return statistics.median(values) if values else 0.0


class _Connection:
    """One connection with at most one open request."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=60)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.number = -1
        self.since = 0.0
        self.received = b""

    def answer(self) -> bytes | None:
        """Read from the socket; returns the status once the answer is complete."""
        got = self.socket.recv(65536)
        if not got:
            raise ConnectionError("The server closed the connection.")
        self.received += got
        head = self.received.find(b"\r\n\r\n")
        if head < 0:
            return None
        at = self.received.find(CONTENT_LENGTH, 0, head)
        end = self.received.find(b"\r\n", at)
        length = int(self.received[at + len(CONTENT_LENGTH) : end]) if at >= 0 else 0
        if len(self.received) < head + 4 + length:
            return None
        status = self.received[9:12]
        self.received = b""
        return status


def generate_load(
    port: int,
    template: RequestTemplate,
    *,
    connections: int,
    seconds: float = 0.0,
    max_requests: int = 0,
    rate: float = 0.0,
    first: int = 0,
) -> LoadResult:
    """Send requests for some ``seconds``, or ``max_requests`` of them, and wait for every answer.

    With a ``rate`` (a second) they are sent at fixed times, and the latency counts from the time
    when a request should have been sent. Without a rate each connection sends the next request as
    soon as it has its answer. They are numbered from ``first``.
    """
    program = native.program()
    if program is None:
        return in_python(
            port,
            template,
            connections=connections,
            seconds=seconds,
            max_requests=max_requests,
            rate=rate,
            first=first,
        )
    with tempfile.TemporaryDirectory(prefix="textbridge-bench-load-") as folder:
        request, records = Path(folder) / "request", Path(folder) / "records"
        request.write_bytes(template.content)
        ran = subprocess.run(
            [str(program), "load", str(port), str(connections), str(seconds), str(max_requests)]
            + [str(rate), str(first), str(request), str(records)]
            + [f"{place.offset}:{place.width}:{place.modulus}" for place in template.fields],
            capture_output=True,
            text=True,
            check=False,
        )
        if ran.returncode:
            raise ConnectionError(ran.stderr.strip() or "The load generator failed.")
        return _result(json.loads(ran.stdout), records.read_bytes())


def _result(told: dict[str, float], records: bytes) -> LoadResult:
    result = LoadResult(
        seconds=told["seconds"], first=told["first"], cpu_seconds=told["cpu_seconds"]
    )
    for number, began, wait, accepted in RECORD.iter_unpack(records):
        result.began[number] = began
        result.waits.append(wait)
        result.answered += accepted
        result.refused += not accepted
    return result


def in_python(
    port: int,
    template: RequestTemplate,
    *,
    connections: int,
    seconds: float = 0.0,
    max_requests: int = 0,
    rate: float = 0.0,
    first: int = 0,
) -> LoadResult:
    """``generate_load`` without a compiler."""
    result = LoadResult()
    by_handle = {
        connection.socket.fileno(): connection
        for connection in (_Connection(port) for _ in range(connections))
    }
    poll = select.epoll()
    for handle in by_handle:
        poll.register(handle, select.EPOLLIN)
    idle = list(by_handle.values())
    cpu, start = time.thread_time(), time.monotonic()
    result.first = start
    sent, busy, due = 0, 0, start
    ends = start + seconds if seconds else float("inf")
    try:
        while True:
            now = time.monotonic()
            going = now < ends and (not max_requests or sent < max_requests)
            while going and idle and (not rate or now >= due):
                connection = idle.pop()
                connection.number = first + sent
                connection.since = due if rate else now
                result.began[connection.number] = connection.since
                connection.socket.sendall(template.make(connection.number))
                sent, busy = sent + 1, busy + 1
                due += 1 / rate if rate else 0.0
                going = now < ends and (not max_requests or sent < max_requests)
            if not busy and not going:
                break
            pause = max(0.0, due - now) if rate and going and idle else 1.0
            for handle, _ in poll.poll(pause):
                connection = by_handle[handle]
                status = connection.answer()
                if status is None:
                    continue
                result.waits.append(time.monotonic() - connection.since)
                busy -= 1
                idle.append(connection)
                if status[:1] == b"2":
                    result.answered += 1
                else:
                    result.refused += 1
        result.seconds = time.monotonic() - start
        result.cpu_seconds = time.thread_time() - cpu
    finally:
        poll.close()
        for connection in by_handle.values():
            connection.socket.close()
    return result
