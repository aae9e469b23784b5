"""HTTP traffic that costs the measuring machine as little as Python allows.

One thread, plain sockets, no parsing beyond the status and the length of an answer: about 20 µs of
CPU a request, beside the 200 µs and more of what is measured.
"""

import select
import socket
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count

CONTENT_LENGTH = b"Content-Length: "
Make = Callable[[int], bytes]  # the request of a number, as it goes over the wire


@dataclass
class Result:
    """What came of some traffic; times in seconds."""

    answered: int = 0
    refused: int = 0  # anything but 2xx
    seconds: float = 0.0
    waits: list[float] = field(default_factory=list)
    began: dict[int, float] = field(default_factory=dict)  # when each request left
    first: float = 0.0
    cpu_seconds: float = 0.0  # of the traffic itself

    @property
    def rate(self) -> float:
        """Answers a second."""
        return self.answered / self.seconds if self.seconds else 0.0

    def wait(self, share: float) -> float:
        """The wait in milliseconds that this share of the requests did not exceed."""
        return percentile(self.waits, share) * 1000


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that this share of the values does not exceed; 0 without any."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else 0.0


def median(values: Sequence[float]) -> float:
    """The median; 0 without any value."""
    return statistics.median(values) if values else 0.0


class _Line:
    """One connection, with at most one request under way."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=60)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.number = -1
        self.since = 0.0
        self.received = b""

    def answer(self) -> bytes | None:
        """The status of the answer, once it is whole."""
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


def run(
    port: int,
    make: Make,
    *,
    connections: int,
    seconds: float = 0.0,
    most: int = 0,
    rate: float = 0.0,
    numbers: Iterator[int] | None = None,
) -> Result:
    """Send requests for some ``seconds``, or ``most`` of them, and wait for every answer.

    With a ``rate`` (a second) they leave by the clock, and a wait counts from the moment when the
    request should have left; without one, each connection asks again as soon as it has its answer.
    """
    numbers = count() if numbers is None else numbers
    result = Result()
    lines = {line.socket.fileno(): line for line in (_Line(port) for _ in range(connections))}
    poll = select.epoll()
    for handle in lines:
        poll.register(handle, select.EPOLLIN)
    idle = list(lines.values())
    cpu, start = time.thread_time(), time.monotonic()
    result.first = start
    sent, busy, due = 0, 0, start
    ends = start + seconds if seconds else float("inf")
    try:
        while True:
            now = time.monotonic()
            going = now < ends and (not most or sent < most)
            while going and idle and (not rate or now >= due):
                line = idle.pop()
                line.number = next(numbers)
                line.since = due if rate else now
                result.began[line.number] = line.since
                line.socket.sendall(make(line.number))
                sent, busy = sent + 1, busy + 1
                due += 1 / rate if rate else 0.0
                going = now < ends and (not most or sent < most)
            if not busy and not going:
                break
            pause = max(0.0, due - now) if rate and going and idle else 1.0
            for handle, _ in poll.poll(pause):
                line = lines[handle]
                status = line.answer()
                if status is None:
                    continue
                result.waits.append(time.monotonic() - line.since)
                busy -= 1
                idle.append(line)
                if status[:1] == b"2":
                    result.answered += 1
                else:
                    result.refused += 1
        result.seconds = time.monotonic() - start
        result.cpu_seconds = time.thread_time() - cpu
    finally:
        poll.close()
        for line in lines.values():
            line.socket.close()
    return result


def post(path: str, body: bytes, *, headers: str = "") -> bytes:
    """A POST of JSON as it goes over the wire; ``headers`` are whole lines."""
    head = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        f"{headers}Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def get(path: str, *, headers: str = "") -> bytes:
    """A GET as it goes over the wire."""
    return f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{headers}\r\n".encode()
