"""Parser of SIP messages (RFC 3261 §7): from bytes to requests and responses.

What is read has been checked: the headers that every message needs are there once and can be read.
"""

import re

from services.push.sip.grammar import WORD, Unreadable
from services.push.sip.sip_message import Headers, Request, Response

MAX_LINE = 8 * 1024  # bytes, folded lines together
MAX_HEADERS = 128
MAX_HEAD = 64 * 1024  # bytes of start line and headers
MAX_BODY = 256 * 1024  # bytes

ONCE = (
    "from",
    "to",
    "call-id",
    "cseq",
    "max-forwards",
    "content-length",
    "content-type",
    "expires",
    "event",
)

_REQUEST = re.compile(rf"({WORD}) ([^ \t]+) ([Ss][Ii][Pp]/[0-9]+\.[0-9]+)")
_RESPONSE = re.compile(r"[Ss][Ii][Pp]/2\.0 ([1-6][0-9]{2})(?: (.*))?", re.DOTALL)
_HEADER = re.compile(rf"({WORD})[ \t]*:[ \t]*(.*)", re.DOTALL)
_FOLD = re.compile(rb"\r\n[ \t]+")


class InvalidRequest(Unreadable):
    """A request that can be answered, but whose content is not valid."""

    def __init__(self, request: Request, error: Unreadable) -> None:
        super().__init__(error.reason, error.status)
        self.request = request


def parse_datagram(data: bytes) -> Request | Response:
    """Read a message that came by UDP. Bytes after the body are ignored.

    Raises ``InvalidRequest`` where a request can be answered with its ``status``, and another
    ``Unreadable`` where nothing can be done with it.
    """
    head, blank, rest = data.partition(b"\r\n\r\n")
    if not blank:
        raise Unreadable("The headers do not end.")
    message = parse_head(head)
    try:
        size = message.number("content-length")
        if size is not None and size > len(rest):
            raise Unreadable("The body is shorter than Content-Length says.")
    except Unreadable as error:
        raise _refusable(message, error) from None
    return check(with_body(message, rest[:size]))


def parse_head(head: bytes) -> Request | Response:
    """Read the start line and the headers, without the empty line, and do not check the headers.

    Raises ``Unreadable``.
    """
    if len(head) > MAX_HEAD:
        raise Unreadable("The headers are too long.", 513)
    start, *lines = _FOLD.sub(b" ", head).split(b"\r\n")
    if len(lines) > MAX_HEADERS or any(len(line) > MAX_LINE for line in (start, *lines)):
        raise Unreadable("There are too many headers, or one is too long.", 513)
    headers = Headers(_parse_header(line) for line in lines)
    first = _text(start)
    if response := _RESPONSE.fullmatch(first):
        reason = response[2] or ""
        return Response(headers=headers, status=int(response[1]), reason=reason)
    request = _REQUEST.fullmatch(first)
    if not request:
        raise Unreadable("The first line is neither a request nor a response.")
    message = Request(headers=headers, method=request[1], uri=request[2])
    if request[3].upper() != "SIP/2.0":
        raise _refusable(message, Unreadable("This is another version of SIP.", 505))
    return message


def with_body(message: Request | Response, body: bytes) -> Request | Response:
    """The same message with a body."""
    if isinstance(message, Request):
        return Request(message.headers, body, message.method, message.uri)
    return Response(message.headers, body, message.status, message.reason)


def check(message: Request | Response) -> Request | Response:
    """Check the headers that every message needs. Raises as ``parse_datagram``."""
    try:
        _check(message)
    except Unreadable as error:
        raise _refusable(message, error) from None
    return message


def _check(message: Request | Response) -> None:
    for name in ONCE:
        if len(message.headers.all(name)) > 1:
            raise Unreadable(f"The header {name} stands there twice.")
    if not message.vias:
        raise Unreadable("The header via is missing.")
    cseq = message.cseq
    _ = message.sender, message.to, message.call_id
    message.number("max-forwards", 256)
    if isinstance(message, Request):
        for name in ("contact", "route", "record-route"):
            message.addresses(name)
        if cseq.method != message.method:
            raise Unreadable("The method in CSeq is another one.")
        if message.target.headers:
            raise Unreadable("The Request-URI has headers.")


def _refusable(message: Request | Response, error: Unreadable) -> Unreadable:
    """The error, with the request if it can be answered: a response needs these headers."""
    if isinstance(message, Response):
        return error
    try:
        answerable = bool(message.vias)
    except Unreadable:
        return error
    complete = all(message.headers.get(name) for name in ("from", "to", "call-id", "cseq"))
    return InvalidRequest(message, error) if answerable and complete else error


def _parse_header(line: bytes) -> tuple[str, str]:
    found = _HEADER.fullmatch(_text(line))
    if not found:
        raise Unreadable("A header has no name.")
    return found[1], found[2].rstrip(" \t")


def _text(data: bytes) -> str:
    text = data.decode("utf-8", "surrogateescape")
    if "\r" in text or "\n" in text:
        raise Unreadable("A line break is not CR LF.")
    return text
