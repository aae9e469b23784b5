"""HTTP load generator with little CPU use.

It has one thread and plain sockets, and parses only status and length of an answer. A request costs
about 20 µs of CPU time; the measured servers need 200 µs and more.
"""

import select
import socket
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count

CONTENT_LENGTH = b"Content-Length: "
RequestFactory = Callable[[int], bytes]  # number of the request -> its bytes


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
    make: RequestFactory,
    *,
    connections: int,
    seconds: float = 0.0,
    max_requests: int = 0,
    rate: float = 0.0,
    numbers: Iterator[int] | None = None,
) -> LoadResult:
    """Send requests for some ``seconds``, or ``max_requests`` of them, and wait for every answer.

    With a ``rate`` (a second) they are sent at fixed times, and the latency counts from the time
    when a request should have been sent. Without a rate each connection sends the next request as
    soon as it has its answer.
    """
    numbers = count() if numbers is None else numbers
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
                connection.number = next(numbers)
                connection.since = due if rate else now
                result.began[connection.number] = connection.since
                connection.socket.sendall(make(connection.number))
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


def post_request(path: str, body: bytes, *, headers: str = "") -> bytes:
    """The bytes of a POST with a JSON body; ``headers`` are complete header lines."""
    head = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        f"{headers}Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def get_request(path: str, *, headers: str = "") -> bytes:
    """The bytes of a GET; ``headers`` are complete header lines."""
    return f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{headers}\r\n".encode()
