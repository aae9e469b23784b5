"""The one way out: HTTP requests with a total deadline and a bounded answer.

What matters to a message is whether a failed request can have been acted upon. ``NotSent`` says it
certainly was not, ``NoAnswer`` that nobody knows.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from time import time
from typing import Any

import gevent
import requests
from requests.auth import AuthBase
from urllib3.exceptions import ConnectTimeoutError, NameResolutionError, NewConnectionError

from services.connections import Connections, NotPublic, PublicConnections
from services.errors import TextbridgeError

CONNECT_SECONDS = 5.0
ANSWER_BYTES = 256 * 1024
HEADERS = {"User-Agent": "Textbridge", "Accept": "*/*", "Accept-Encoding": "gzip, deflate"}


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

    With ``public_only`` nothing in a private network or on this machine can be reached.
    """

    def __init__(self, *, public_only: bool = False) -> None:
        self._connections = PublicConnections() if public_only else Connections()

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
        try:
            with deadline(seconds):
                return self._exchange(
                    method, url, seconds, most, headers=headers, params=params, data=data,
                    files=files, json=json, auth=auth,
                )  # fmt: skip
        except DeadlineExceeded:
            raise NoAnswer(f"There was no answer within {seconds:.0f} seconds.") from None
        except (requests.exceptions.ConnectTimeout, requests.exceptions.SSLError) as error:
            raise NotSent(_plain(error)) from None
        except requests.exceptions.ConnectionError as error:
            if _never_connected(error):
                raise NotSent(_plain(error)) from None
            raise NoAnswer("The connection broke before the answer was complete.") from None
        except requests.exceptions.RequestException as error:
            if isinstance(error, (requests.exceptions.InvalidURL, ValueError)):
                raise NotSent("The address is not valid.") from None
            raise NoAnswer("The connection broke before the answer was complete.") from None

    def _exchange(
        self,
        method: str,
        url: str,
        seconds: float,
        most: int,
        headers: Mapping[str, str] | None,
        **content: Any,
    ) -> Answer:
        request = requests.PreparedRequest()
        request.prepare(method, url, headers={**HEADERS, **(headers or {})}, **content)
        wait = (min(CONNECT_SECONDS, seconds), seconds)
        with self._connections.send(request, stream=True, timeout=wait) as response:
            body = bytearray()
            for chunk in response.iter_content(64 * 1024):
                body += chunk
                if len(body) > most:
                    raise TooLarge(f"The answer is larger than {most} bytes.")
            told = {name.lower(): value for name, value in response.headers.items()}
            return Answer(response.status_code, told, bytes(body))

    def close(self) -> None:
        """Give every connection back."""
        self._connections.close()


def _never_connected(error: requests.exceptions.ConnectionError) -> bool:
    """urllib3 wraps the cause: a refused or unresolvable connection is a NewConnectionError."""
    cause = error.args[0] if error.args else None
    reason = getattr(cause, "reason", cause)
    return isinstance(reason, (NewConnectionError, ConnectTimeoutError))


def _plain(error: requests.exceptions.RequestException) -> str:
    """The failure in words, without the address."""
    if isinstance(error, requests.exceptions.ConnectTimeout):
        return "It did not take the connection in time."
    if isinstance(error, requests.exceptions.SSLError):
        return "Its TLS certificate or handshake was not accepted."
    reason = getattr(error.args[0] if error.args else None, "reason", None)
    if isinstance(reason, NameResolutionError):
        return "Its host name could not be resolved."
    if isinstance(reason, NotPublic):
        return "It is in a private network; the operator can allow it in PUSH_HOSTS."
    return "It did not take the connection."
