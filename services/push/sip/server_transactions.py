"""Server transactions of requests that are not INVITE (RFC 3261 §17.2.2): answered once.

A copy of a request gets the same answer again, byte for byte. While the answer is not known, copies
are dropped.
"""

import time
from collections import OrderedDict
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from secrets import token_hex
from threading import Lock

from services.push.sip.account import SipTimes
from services.push.sip.client_transactions import BRANCH
from services.push.sip.connection import Connection
from services.push.sip.grammar import Unreadable
from services.push.sip.sip_message import Headers, Request, Response, Via

MOST = 2_000  # transactions that are kept
REASONS = {
    200: "OK",
    202: "Accepted",
    400: "Bad Request",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    413: "Request Entity Too Large",
    415: "Unsupported Media Type",
    416: "Unsupported URI Scheme",
    420: "Bad Extension",
    480: "Temporarily Unavailable",
    481: "Call/Transaction Does Not Exist",
    489: "Bad Event",
    503: "Service Unavailable",
    505: "Version Not Supported",
    513: "Message Too Large",
}


@dataclass(slots=True)
class ServerTransaction:
    """One request that came in; ``answer`` it once."""

    request: Request
    connection: Connection
    began: float = field(default_factory=time.monotonic)
    response: bytes | None = None
    is_held: bool = False
    _tag: str = field(default_factory=lambda: token_hex(8))
    _lock: Lock = field(default_factory=Lock)

    def answer(
        self, status: int, reason: str = "", headers: Mapping[str, str] | None = None
    ) -> bool:
        """Send the final response; returns whether it is the first. A lost connection is ignored.

        The other side sends its request again on a new connection, and gets this response then.
        """
        with self._lock:
            if self.response is not None:
                return False
            self.response = self._response(status, reason, headers or {}).encode()
        self.send_response()
        return True

    def hold(self) -> bool:
        """Leave the answer to the caller alone; returns whether it is still open.

        From then on ``time_out`` does nothing.
        """
        with self._lock:
            self.is_held = self.is_held or self.response is None
            return self.response is None

    def time_out(self, headers: Mapping[str, str]) -> None:
        """Answer 503, unless somebody holds the answer."""
        with self._lock:
            if self.is_held or self.response is not None:
                return
            self.response = self._response(503, "", headers).encode()
        self.send_response()

    def send_response(self) -> None:
        """Send the response again, if there is one."""
        if self.response is not None:
            with suppress(OSError):
                self.connection.send(self.response)

    def _response(self, status: int, reason: str, headers: Mapping[str, str]) -> Response:
        request = self.request
        top, *others = request.vias
        to = request.headers.get("to") or ""
        if not _has_tag(request):
            to += f";tag={self._tag}"
        pairs = [("via", str(via)) for via in (self._seen(top), *others)]
        pairs += [("from", request.headers.get("from") or ""), ("to", to)]
        pairs += [(name, request.headers.get(name) or "") for name in ("call-id", "cseq")]
        pairs += [("record-route", value) for value in request.headers.all("record-route")]
        pairs += headers.items()
        return Response(Headers(pairs), b"", status, reason or REASONS.get(status, "Status"))

    def _seen(self, via: Via) -> Via:
        """The topmost Via with the address from which the request came (RFC 3581 §4)."""
        host, port = self.connection.remote
        params = [(name, value) for name, value in via.params if name not in ("received", "rport")]
        if via.param("rport") is not None:
            params.append(("rport", str(port)))
        return replace(via, params=(*params, ("received", host)))


class ServerTransactions:
    """The requests of the last seconds, each with its answer."""

    def __init__(self, times: SipTimes, most: int = MOST) -> None:
        self._times = times
        self._most = most
        self._lock = Lock()
        self._known: OrderedDict[tuple[str, ...], ServerTransaction] = OrderedDict()

    def begin(self, request: Request, connection: Connection) -> ServerTransaction | None:
        """A transaction for a new request; ``None`` for a copy, which is dealt with here.

        With too many requests that wait for an answer, a new one is answered 503 at once.
        """
        key = _key(request)
        with self._lock:
            known = self._known.get(key)
            if known is not None:
                known.connection = connection
            else:
                self._make_room()
                new = ServerTransaction(request, connection)
                has_room = len(self._known) < self._most
                if has_room:
                    self._known[key] = new
        if known is not None:
            known.send_response()
            return None
        if not has_room:
            new.answer(503, headers={"Retry-After": "10"})
            return None
        return new

    def _make_room(self) -> None:
        """Drop what is too old, and the oldest answer at the memory limit."""
        limit = time.monotonic() - self._times.transaction
        while self._known:
            key, oldest = next(iter(self._known.items()))
            if oldest.began >= limit:
                break
            del self._known[key]
        if len(self._known) >= self._most:
            for key, each in self._known.items():
                if each.response is not None:
                    del self._known[key]
                    break


def _key(request: Request) -> tuple[str, ...]:
    """What copies of a request have in common (RFC 3261 §17.2.3)."""
    via = request.vias[0]
    if via.branch.startswith(BRANCH) and len(via.branch) > len(BRANCH):
        return via.branch, via.host, str(via.port), request.method
    # A sender of the time before RFC 3261.
    names = ("from", "call-id", "cseq")
    return request.uri, str(via), *(request.headers.get(name) or "" for name in names)


def _has_tag(request: Request) -> bool:
    try:
        return bool(request.to.tag)
    except Unreadable:
        return True  # to be sent back as it is
