"""The one way out: HTTP requests with a total deadline and a bounded answer.

What matters to a message is whether a failed request can have been acted upon. ``NotSent`` says it
certainly was not, ``NoAnswer`` that nobody knows.
"""

import json
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from ipaddress import ip_address
from time import time
from typing import Any

import gevent
import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import ConnectTimeoutError, NameResolutionError, NewConnectionError

from services.errors import TextbridgeError

CONNECT_SECONDS = 5.0
ANSWER_BYTES = 256 * 1024


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


class _Session(requests.Session):
    """A session that takes redirects as answers and leaves their target, however odd, unread."""

    def get_redirect_target(self, resp: requests.Response) -> str | None:
        return None


def is_public(address: str) -> bool:
    """Whether an IP address is one of the internet, not of this machine or a network of ours.

    >>> is_public("9.9.9.9"), is_public("10.0.0.1"), is_public("::ffff:127.0.0.1")
    (True, False, False)
    """
    ip = ip_address(address.partition("%")[0])
    inner = getattr(ip, "ipv4_mapped", None) or getattr(ip, "sixtofour", None) or ip
    return inner.is_global and not inner.is_multicast


class _PublicHTTP(HTTPConnection):
    """A connection that hangs up before it has said anything if it leads into a private network.

    What counts is where it leads in the end: whatever a name stands for at another moment.
    """

    def _new_conn(self) -> socket.socket:
        connected = super()._new_conn()
        if not is_public(connected.getpeername()[0]):
            connected.close()
            raise NewConnectionError(self, "not a public address")
        return connected


class _PublicHTTPS(_PublicHTTP, HTTPSConnection):
    """The same with TLS."""


class _PublicHTTPPool(HTTPConnectionPool):
    ConnectionCls = _PublicHTTP


class _PublicHTTPSPool(HTTPSConnectionPool):
    ConnectionCls = _PublicHTTPS


class _PublicAdapter(HTTPAdapter):
    """Connects to the internet only."""

    def init_poolmanager(self, *arguments: Any, **more: Any) -> None:
        super().init_poolmanager(*arguments, **more)
        self.poolmanager.pool_classes_by_scheme = {
            "http": _PublicHTTPPool,
            "https": _PublicHTTPSPool,
        }


class Http:
    """Keep-alive connections to the outside, with no redirects, proxies or retries of their own.

    With ``public_only`` nothing in a private network or on this machine can be reached.
    """

    def __init__(self, *, public_only: bool = False) -> None:
        self._session = _Session()
        self._session.trust_env = False
        self._session.headers["User-Agent"] = "Textbridge"
        kind = _PublicAdapter if public_only else HTTPAdapter
        adapter = kind(pool_connections=32, pool_maxsize=32, max_retries=0)
        self._session.mount("https://", adapter)
        self._session.mount("http://", adapter)

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
        seconds: float = 20.0,
        most: int = ANSWER_BYTES,
    ) -> Answer:
        """Make one request and read its whole answer.

        ``seconds`` is the total deadline, ``most`` the largest decoded body in bytes. Redirects are
        answers. Raises ``NotSent``, ``NoAnswer`` or ``TooLarge``; none of them quotes the address,
        which may hold a secret.
        """
        try:
            with deadline(seconds):
                return self._exchange(
                    method, url, seconds, most, headers=headers, params=params, data=data,
                    files=files, json=json,
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

    def _exchange(self, method: str, url: str, seconds: float, most: int, **content: Any) -> Answer:
        with self._session.request(
            method,
            url,
            timeout=(min(CONNECT_SECONDS, seconds), seconds),
            allow_redirects=False,
            stream=True,
            **content,
        ) as response:
            body = bytearray()
            for chunk in response.iter_content(64 * 1024):
                body += chunk
                if len(body) > most:
                    raise TooLarge(f"The answer is larger than {most} bytes.")
            headers = {name.lower(): value for name, value in response.headers.items()}
            return Answer(response.status_code, headers, bytes(body))


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
    return "It did not take the connection."
