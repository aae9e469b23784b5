"""SIP messages (RFC 3261 §7): requests and responses, read from bytes and written as bytes.

What is read has been checked: the headers that every message needs are there once and can be read.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from services.push.sip.addresses import (
    NameAddress,
    Uri,
    parse_name_address,
    parse_name_addresses,
    parse_port,
    parse_uri,
)
from services.push.sip.grammar import (
    HOST,
    PORT,
    WORD,
    Params,
    Unreadable,
    param,
    parse_params,
    split,
    write_params,
)

MAX_LINE = 8 * 1024  # bytes, folded lines together
MAX_HEADERS = 128
MAX_HEAD = 64 * 1024  # bytes of start line and headers
MAX_BODY = 256 * 1024  # bytes

COMPACT = {
    "a": "accept-contact",
    "b": "referred-by",
    "c": "content-type",
    "e": "content-encoding",
    "f": "from",
    "i": "call-id",
    "k": "supported",
    "l": "content-length",
    "m": "contact",
    "o": "event",
    "r": "refer-to",
    "s": "subject",
    "t": "to",
    "u": "allow-events",
    "v": "via",
}
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
_ODD_NAMES = {"call-id": "Call-ID", "cseq": "CSeq", "www-authenticate": "WWW-Authenticate"}

_REQUEST = re.compile(rf"({WORD}) ([^ \t]+) ([Ss][Ii][Pp]/[0-9]+\.[0-9]+)")
_RESPONSE = re.compile(r"[Ss][Ii][Pp]/2\.0 ([1-6][0-9]{2})(?: (.*))?", re.DOTALL)
_HEADER = re.compile(rf"({WORD})[ \t]*:[ \t]*(.*)", re.DOTALL)
_FOLD = re.compile(rb"\r\n[ \t]+")
_VIA = re.compile(
    rf"[ \t]*SIP[ \t]*/[ \t]*2\.0[ \t]*/[ \t]*({WORD})[ \t]+({HOST})"
    rf"(?:[ \t]*:[ \t]*({PORT}))?[ \t]*",
    re.IGNORECASE,
)
_CSEQ = re.compile(rf"([0-9]{{1,10}})[ \t]+({WORD})")
_CALL_ID = re.compile(r"[\x21-\x7e]+")
_DIGITS = re.compile(r"[0-9]{1,10}")
_TOKEN_ONLY = re.compile(WORD)


@dataclass(frozen=True, slots=True)
class Via:
    """One Via value: the transport, the host and port that sent the message, and parameters."""

    transport: str
    host: str
    port: int | None = None
    params: Params = ()

    def __str__(self) -> str:
        port = "" if self.port is None else f":{self.port}"
        return f"SIP/2.0/{self.transport} {self.host}{port}{write_params(self.params)}"

    def param(self, name: str) -> str | None:
        """The value of a parameter: ``None`` if it is missing, and empty if it has no value."""
        return param(self.params, name)

    @property
    def branch(self) -> str:
        """The parameter ``branch``, which identifies the transaction, or an empty text."""
        return self.param("branch") or ""


@dataclass(frozen=True, slots=True)
class CSeq:
    """The value of CSeq: number and method of a request."""

    number: int
    method: str

    def __str__(self) -> str:
        return f"{self.number} {self.method}"


class Headers:
    """The headers of a message in their order; names are in lower case, compact ones expanded."""

    def __init__(self, pairs: Iterable[tuple[str, str]] = ()) -> None:
        """Raises ``ValueError`` for a name or value that would begin another line."""
        self._pairs = tuple(
            (COMPACT.get(name.lower(), name.lower()), value) for name, value in pairs
        )
        for name, value in self._pairs:
            if not _TOKEN_ONLY.fullmatch(name) or "\r" in value or "\n" in value:
                raise ValueError(f"The SIP header “{name}” cannot be written.")

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(self._pairs)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Headers) and self._pairs == other._pairs

    def __hash__(self) -> int:
        return hash(self._pairs)

    def __repr__(self) -> str:
        return f"Headers({', '.join(name for name, _ in self._pairs)})"

    def get(self, name: str) -> str | None:
        """The first value of a header, or ``None``."""
        return next((value for each, value in self._pairs if each == name.lower()), None)

    def all(self, name: str) -> list[str]:
        """Every value of a header, as the lines had them."""
        return [value for each, value in self._pairs if each == name.lower()]

    def tokens(self, name: str) -> list[str]:
        """The words of a header that is a list, such as Require."""
        listed = (part.strip(" \t") for value in self.all(name) for part in value.split(","))
        return [part for part in listed if part]


@dataclass(frozen=True, slots=True)
class SipMessage:
    """What requests and responses have in common."""

    headers: Headers = field(default_factory=Headers)
    body: bytes = field(default=b"", repr=False)

    @property
    def vias(self) -> list[Via]:
        """Every Via, the topmost first. Raises ``Unreadable``."""
        listed = [part for value in self.headers.all("via") for part in split(value, ",")]
        return [_parse_via(part) for part in listed]

    @property
    def sender(self) -> NameAddress:
        """The address in From. Raises ``Unreadable``."""
        return parse_name_address(self._needed("from"))

    @property
    def to(self) -> NameAddress:
        """The address in To. Raises ``Unreadable``."""
        return parse_name_address(self._needed("to"))

    @property
    def call_id(self) -> str:
        """The Call-ID. Raises ``Unreadable``."""
        value = self._needed("call-id")
        if not _CALL_ID.fullmatch(value):
            raise Unreadable("The Call-ID is not valid.")
        return value

    @property
    def cseq(self) -> CSeq:
        """Number and method in CSeq. Raises ``Unreadable``."""
        found = _CSEQ.fullmatch(self._needed("cseq"))
        if not found or int(found[1]) >= 2**31:
            raise Unreadable("The CSeq is not valid.")
        return CSeq(int(found[1]), found[2])

    def addresses(self, name: str) -> list[NameAddress]:
        """Every address in a header such as Contact or P-Asserted-Identity; ``*`` is none.

        Raises ``Unreadable``.
        """
        values = [value for value in self.headers.all(name) if value.strip() != "*"]
        return [address for value in values for address in parse_name_addresses(value)]

    def number(self, name: str, limit: int = 2**32) -> int | None:
        """A header that is a whole number below ``limit``, or ``None``. Raises ``Unreadable``."""
        value = self.headers.get(name)
        if value is None:
            return None
        if not _DIGITS.fullmatch(value.strip(" \t")) or int(value) >= limit:
            raise Unreadable(f"The number in {name} is not valid.")
        return int(value)

    def encode(self) -> bytes:
        """The message as bytes, with the Content-Length of its body."""
        lines = [self._start_line()]
        for name, value in self.headers:
            if name != "content-length":
                lines.append(f"{_ODD_NAMES.get(name) or name.title()}: {value}")
        lines += [f"Content-Length: {len(self.body)}", "", ""]
        return "\r\n".join(lines).encode("utf-8", "surrogateescape") + self.body

    def _start_line(self) -> str:
        raise NotImplementedError

    def _needed(self, name: str) -> str:
        value = self.headers.get(name)
        if value is None:
            raise Unreadable(f"The header {name} is missing.")
        return value.strip(" \t")


@dataclass(frozen=True, slots=True)
class Request(SipMessage):
    """A request. ``uri`` is the Request-URI as it is written."""

    method: str = ""
    uri: str = ""

    @property
    def target(self) -> Uri:
        """The Request-URI. Raises ``Unreadable``."""
        return parse_uri(self.uri)

    def _start_line(self) -> str:
        return f"{self.method} {self.uri} SIP/2.0"


@dataclass(frozen=True, slots=True)
class Response(SipMessage):
    """A response: ``status`` is its code, ``reason`` its text."""

    status: int = 0
    reason: str = ""

    def _start_line(self) -> str:
        return f"SIP/2.0 {self.status} {self.reason}"


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


def _parse_via(text: str) -> Via:
    first, *rest = split(text, ";")
    found = _VIA.fullmatch(first)
    if not found:
        raise Unreadable("The Via is not valid.")
    transport, host, port = found.groups()
    return Via(transport.upper(), host.lower(), parse_port(port), parse_params(rest))


def _text(data: bytes) -> str:
    text = data.decode("utf-8", "surrogateescape")
    if "\r" in text or "\n" in text:
        raise Unreadable("A line break is not CR LF.")
    return text
