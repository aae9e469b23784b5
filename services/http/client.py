"""HTTP client for every outgoing request: a total deadline, a bounded answer, no redirects.

What matters to a message is whether a failed request can have been acted upon. ``NotSent`` says it
certainly was not, ``NoAnswer`` that nobody knows.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from functools import lru_cache
from http.cookiejar import DefaultCookiePolicy
from time import monotonic, time
from typing import Any

from requests import PreparedRequest, RequestException, Response, Session
from requests.auth import AuthBase
from requests.exceptions import ConnectTimeout, InvalidSchema, InvalidURL
from urllib3 import HTTPConnectionPool
from urllib3.exceptions import HTTPError, LocationValueError

from services.core.errors import TextbridgeError
from services.http.adapters import Adapter, Connect, NotConnected, connect_any
from services.http.deadline import DeadlineExceeded, deadline
from services.http.public_addresses import connect_public

ANSWER_BYTES = 256 * 1024
HEADERS = {"User-Agent": "Textbridge", "Accept": "*/*", "Accept-Encoding": "gzip"}


class NotSent(TextbridgeError):
    """No connection came about: the other side has seen nothing of the request."""


class NoAnswer(TextbridgeError):
    """The request left, and no whole answer came back: it may have been acted upon."""


class TooLarge(TextbridgeError):
    """The answer is larger than allowed."""


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
        """The ``Retry-After`` header in seconds, at most an hour; both its forms.

        ``None`` where it is missing or cannot be read.
        """
        written = self.headers.get("retry-after", "").strip()
        if written.isascii() and written.isdigit():
            return min(float(written), 3600.0)
        try:
            wait = parsedate_to_datetime(written).timestamp() - time()
        except (ValueError, OverflowError):  # the latter for a year or a zone with many digits
            return None
        return min(max(wait, 0.0), 3600.0)


class _Session(Session):
    """A session that takes every answer as it is: redirects too, whose bodies may be endless."""

    def get_redirect_target(self, resp: Response) -> str | None:
        """Nowhere: else requests would read the whole body to look for the next request."""
        return None


class Http:
    """Keep-alive connections to the outside, with no redirects, proxies, cookies or retries.

    With ``public_only`` nothing in a private network or on this machine can be reached. ``connect``
    opens the connections otherwise. It may be used by several threads or greenlets at once.
    """

    def __init__(self, *, public_only: bool = False, connect: Connect = connect_any) -> None:
        self._session = _Session()
        self._session.trust_env = False
        self._session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        self._adapter = Adapter(connect_public if public_only else connect)
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, self._adapter)
        self._address = lru_cache(maxsize=256)(self._look_up)
        self.clock_ahead: float | None = None  # seconds, by the Date of the last answer

    def request(  # noqa: PLR0913 - what requests takes as well
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
        with _failures(seconds), self._send(request, seconds) as response:
            body = response.raw.read(most + 1, decode_content=True)
        answer = _answer(response.status_code, response.headers, body, most)
        self._compare_clocks(answer)
        return answer

    def first_byte(
        self, url: str, *, headers: Mapping[str, str], seconds: float
    ) -> tuple[Answer, float]:
        """GET an answer that comes in pieces; also says after how many seconds the first came.

        ``seconds`` is the total deadline. Raises as ``request``.
        """
        request = _prepared("GET", url, None, headers, None, None, None, None)
        began, first, body = monotonic(), 0.0, b""
        with _failures(seconds), self._send(request, seconds) as response:
            while piece := response.raw.read1(ANSWER_BYTES):
                first = first or monotonic() - began
                body += piece
                if len(body) > ANSWER_BYTES:
                    break
        return _answer(response.status_code, response.headers, body, ANSWER_BYTES), first

    def _compare_clocks(self, answer: Answer) -> None:
        """Keep by how much this machine's clock is ahead of the server's (RFC 9110 §6.6.1)."""
        with suppress(ValueError, OverflowError):
            date = parsedate_to_datetime(answer.headers.get("date", ""))
            self.clock_ahead = time() - date.timestamp()

    def _send(self, request: PreparedRequest, seconds: float) -> Response:
        """Send a request; returns its answer without its body, to be closed."""
        return self._session.send(request, stream=True, timeout=seconds, allow_redirects=False)

    def post(
        self, url: str, *, headers: Mapping[str, str], data: bytes, seconds: float = 20.0
    ) -> Answer:
        """POST a body straight over urllib3's pool: for what goes often to the same addresses.

        It spares what requests works out anew for each request, half of the CPU time (see
        docs/performance.md); the connections are those of ``request``, and so are the deadline, the
        bound and the errors.
        """
        with _failures(seconds):
            pool, path, own = self._address(url)
            response = pool.urlopen(
                "POST", path, data, {**own, **headers},
                retries=False, redirect=False, timeout=seconds, preload_content=False,
            )  # fmt: skip
            try:
                body = response.read(ANSWER_BYTES + 1, decode_content=True)
            finally:
                response.close()
                response.release_conn()
        return _answer(response.status, response.headers, body, ANSWER_BYTES)

    def _look_up(self, url: str) -> tuple[HTTPConnectionPool, str, dict[str, str]]:
        """The pool of an address, its path, and the headers that every request to it has."""
        request = _prepared("GET", url, None, None, None, None, None, None)
        pool = self._adapter.poolmanager.connection_from_url(request.url)
        return pool, request.path_url, dict(request.headers)

    def close(self) -> None:
        """Close every idle connection."""
        self._address.cache_clear()
        self._session.close()


@contextmanager
def _failures(seconds: float) -> Iterator[None]:
    """A block that sends a request within a total deadline. Raises ``NotSent`` or ``NoAnswer``."""
    try:
        with deadline(seconds):
            yield
    except DeadlineExceeded:
        raise NoAnswer(f"There was no answer within {seconds:.0f} seconds.") from None
    except NotConnected as error:
        raise NotSent(str(error)) from None
    except ConnectTimeout:
        raise NotSent("It did not take the connection in time.") from None
    except (InvalidSchema, InvalidURL, LocationValueError):
        raise NotSent("The address is not valid.") from None
    except (RequestException, HTTPError, OSError):
        raise NoAnswer("The connection broke before the answer was complete.") from None


def _answer(status: int, headers: Mapping[str, str], body: bytes, most: int) -> Answer:
    if len(body) > most:
        raise TooLarge(f"The answer is larger than {most} bytes.")
    return Answer(status, {name.lower(): value for name, value in headers.items()}, body)


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
    """The request as requests writes it, without cookies and the environment's credentials.

    Raises ``NotSent`` for everything that could not be written later.
    """
    request = PreparedRequest()
    try:
        request.method = method
        request.url = _whole(url, params) if params else _checked(url)
        request.prepare_headers({**HEADERS, **(headers or {})})
        request.prepare_body(data, files, json)
        request.prepare_auth(auth)
        for value in request.headers.values():
            if isinstance(value, str):
                value.encode("latin-1")  # all that fits on the wire (RFC 9110 §5.5)
    except ValueError:
        raise NotSent("The address is not valid.") from None
    return request


def _whole(url: str, params: Mapping[str, str] | None = None) -> str:
    """A URL with its parameters, checked, and as it goes over the wire."""
    request = PreparedRequest()
    request.prepare_url(url, params)
    return request.url or ""


_checked = lru_cache(maxsize=256)(_whole)
