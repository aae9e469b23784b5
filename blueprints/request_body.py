"""Reading the body of a request within limits of size and time.

The time is a total one: a time-out for each read does not end a body that comes byte by byte. It
grows with the size that the route takes, so that a slow line can still upload a film.
"""

import threading
import time
from typing import IO, Any

from flask import Flask, Request, request
from gunicorn.http.errors import ParseException
from werkzeug.exceptions import BadRequest, RequestEntityTooLarge, RequestTimeout
from werkzeug.utils import cached_property

from services.core.errors import RequestRefused
from services.http.deadline import DeadlineExceeded, deadline

UNPROVEN_BYTES = 64_000  # where a route sets no limit, and where only the body can prove the caller
BODY_SECONDS = 20.0  # for a small body
SLOWEST_BYTES = 100_000  # a second, of a large one
MOST_LARGE_BODIES = 32  # that are read at once in a process, of callers that are not known yet
_large_bodies = threading.Semaphore(MOST_LARGE_BODIES)


def most_seconds(most_bytes: int) -> float:
    """The seconds after which a body must be complete, for a route that takes ``most_bytes``."""
    return BODY_SECONDS + most_bytes / SLOWEST_BYTES


def whole_body(most: int) -> bytes:
    """The body of this request, which is refused (413) from ``most`` bytes on."""
    request.max_content_length = most
    body = request.get_data()
    if len(body) == most:  # of unknown length, and cut there
        raise RequestEntityTooLarge
    return body


def unproven_body(most: int) -> bytes:
    """As ``whole_body``, where only the body can prove who calls.

    Of bodies that are larger than ``UNPROVEN_BYTES``, or of unknown length, only a few are read at
    once in a process. Raises ``RequestRefused`` (503) beyond them.
    """
    length = request.content_length
    if length is not None and length <= UNPROVEN_BYTES:
        return whole_body(most)
    if not _large_bodies.acquire(blocking=False):
        raise RequestRefused(
            "busy", "Too many large calls at once. Try again.", status=503, retry_after=5
        )
    try:
        return whole_body(most)
    finally:
        _large_bodies.release()


def _cut() -> BadRequest:
    return BadRequest("The body of the request did not come whole. Send it again.")


class CheckedBody:
    """The stream of a body that must be complete, and be so after some seconds from now on."""

    def __init__(self, stream: IO[bytes], seconds: float, length: int | None = None) -> None:
        """``length`` is what the head announces, in bytes; ``None`` for a body in chunks."""
        self._stream = stream
        self._end = time.monotonic() + seconds
        self._missing = length or 0

    def read(self, size: int = -1) -> bytes:
        """Read as a stream does.

        Raises ``RequestTimeout`` (408) when the time is up; the server then closes the connection,
        as the rest of the body may still come. Raises ``BadRequest`` (400) where the connection
        ends before the body, and for chunks (RFC 9112 §7.1) that cannot be read.
        """
        left = self._end - time.monotonic()
        try:
            with deadline(max(left, 0.001)):
                data = self._stream.read(size)
        except DeadlineExceeded:
            raise RequestTimeout("The body of the request took too long. Send it again.") from None
        except ParseException:
            raise _cut() from None
        self._missing -= len(data)
        is_over = size < 0 or (size > 0 and not data)
        if is_over and self._missing > 0:
            raise _cut()
        return data

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


class TimedRequest(Request):
    """A request whose body is read whole, within a total time."""

    @cached_property
    def stream(self) -> IO[bytes]:
        """The body, limited in size and time."""
        most = self.max_content_length or UNPROVEN_BYTES
        stream, length = super().stream, self.content_length
        return CheckedBody(stream, most_seconds(most), length)  # type: ignore[return-value]


def register(app: Flask) -> None:
    """Limit the bodies of all requests of an application; a route may set another size."""
    app.request_class = TimedRequest
    app.config["MAX_CONTENT_LENGTH"] = UNPROVEN_BYTES
