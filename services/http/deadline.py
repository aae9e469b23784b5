"""A total deadline for any block that waits: DNS, connecting, TLS, writing and reading together."""

from collections.abc import Iterator
from contextlib import contextmanager

import gevent


class DeadlineExceeded(Exception):
    """Raised inside a block whose time is up.

    Not an ``OSError``: HTTP and mail libraries would take that for a broken connection.
    """


@contextmanager
def deadline(seconds: float) -> Iterator[None]:
    """Interrupt whatever the block waits for after so many seconds in total.

    A time-out per read does not end an answer that drips in byte by byte; this does. It works where
    gevent has patched the sockets (every server process and worker). Raises ``DeadlineExceeded``.
    """
    with gevent.Timeout(seconds, DeadlineExceeded):
        yield
