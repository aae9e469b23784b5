"""The one way out: HTTP requests with a total deadline and a bounded answer.

What matters to a message is whether a failed request can have been acted upon. ``NotSent`` says it
certainly was not, ``NoAnswer`` that nobody knows.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from functools import lru_cache
from time import time
from typing import Any

import gevent
from requests import PreparedRequest
from requests.auth import AuthBase

from services.connections import BROKEN, Connections, NotConnected, PublicConnections
from services.core.errors import TextbridgeError

ANSWER_BYTES = 256 * 1024
HEADERS = {"User-Agent": "Textbridge", "Accept": "*/*", "Accept-Encoding": "gzip"}


class NotSent(TextbridgeError):
    """No connection came about: the other side has seen nothing of the request."""


class NoAnswer(TextbridgeError):
    """The request left, and no whole answer came back: it may have been acted upon."""


class TooLarge(TextbridgeError):
    """The answer is larger than allowed."""


class DeadlineExceeded(Exception):
    """Raised inside a block whose time is up.

    Not an ``OSError``: the HTTP library would take that for a broken connection.
    """


@contextmanager
def deadline(seconds: float) -> Iterator[None]:
    """Interrupt whatever the block waits for after so many seconds in total.

    A time-out per read does not end an answer that drips in byte by byte; this does. It works where
    gevent has patched the sockets (every server process).
    """
    with gevent.Timeout(seconds, DeadlineExceeded):
        yield


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer: ``headers`` have lower-case names."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def ok(self) -> bool:
        """Whether the status is 2xx."""
        return 200 <= self.status < 300

    def json(self) -> Any:
        """The body as JSON; raises ``ValueError`` where it is none."""
        try:
            return json.loads(self.body.decode())
        except RecursionError:
            raise ValueError("The JSON is nested too deeply.") from None

    @property
    def retry_after(self) -> float | None:
        """The ``Retry-After`` header in seconds, at most an hour; both its forms."""
        written = self.headers.get("retry-after", "").strip()
        if written.isascii() and written.isdigit():
            return min(float(written), 3600.0)
        try:
            wait = parsedate_to_datetime(written).timestamp() - time()
        except ValueError:
            return None
        return min(max(wait, 0.0), 3600.0)


class Http:
    """Keep-alive connections to the outside, with no redirects, proxies or retries of their own.

    With ``public_only`` nothing in a private network or on this machine can be reached. With
    ``in_turn`` a server is asked one thing after the other, as long as it answers quickly.
    """

    def __init__(self, *, public_only: bool = False, in_turn: bool = False) -> None:
        kind = PublicConnections if public_only else Connections
        self._connections = kind(in_turn=in_turn)

    def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        params: Mapping[str, str] | None = None,
        data: Any = None,
        files: Any = None,
        json: Any = None,
        auth: AuthBase | None = None,
        seconds: float = 20.0,
        most: int = ANSWER_BYTES,
    ) -> Answer:
        """Make one request and read its whole answer.

        ``seconds`` is the total deadline, ``most`` the largest decoded body in bytes. ``auth``
        signs the whole request. Redirects are answers. Raises ``NotSent``, ``NoAnswer`` or
        ``TooLarge``; none of them quotes the address, which may hold a secret.
        """
        request = _prepared(method, url, params, headers, data, files, json, auth)
        try:
            with deadline(seconds):
                answer = Answer(*self._connections.exchange(request, seconds, most))
        except DeadlineExceeded:
            raise NoAnswer(f"There was no answer within {seconds:.0f} seconds.") from None
        except NotConnected as error:
            raise NotSent(str(error)) from None
        except BROKEN:
            raise NoAnswer("The connection broke before the answer was complete.") from None
        if len(answer.body) > most:
            raise TooLarge(f"The answer is larger than {most} bytes.")
        return answer

    def close(self) -> None:
        """Give every connection back."""
        self._connections.close()


def _prepared(
    method: str,
    url: str,
    params: Mapping[str, str] | None,
    headers: Mapping[str, str] | None,
    data: Any,
    files: Any,
    json: Any,
    auth: AuthBase | None,
) -> PreparedRequest:
    """The request as requests writes it, without a browser's belongings, such as cookies."""
    request = PreparedRequest()
    try:
        request.method = method
        request.url = _whole(url, params) if params else _checked(url)
        request.prepare_headers({**HEADERS, **(headers or {})})
        request.prepare_body(data, files, json)
        request.prepare_auth(auth)
    except ValueError:
        raise NotSent("The address is not valid.") from None
    return request


def _whole(url: str, params: Mapping[str, str] | None = None) -> str:
    """A URL with its parameters, checked, and as it goes over the wire."""
    request = PreparedRequest()
    request.prepare_url(url, params)
    return request.url or ""


_checked = lru_cache(maxsize=256)(_whole)
