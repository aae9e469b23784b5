"""SIP messages (RFC 3261 §7): requests and responses with their headers, and how they are written.

``message_parser`` reads them from bytes.
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
_ODD_NAMES = {"call-id": "Call-ID", "cseq": "CSeq", "www-authenticate": "WWW-Authenticate"}

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

    @property
    def retry_after(self) -> float | None:
        """The seconds in Retry-After, without a comment or parameters behind them, or ``None``."""
        written = (self.headers.get("retry-after") or "").partition(";")[0].partition("(")[0]
        digits = written.strip()
        return float(digits[:9]) if digits.isascii() and digits.isdigit() else None

    def _start_line(self) -> str:
        return f"SIP/2.0 {self.status} {self.reason}"


def _parse_via(text: str) -> Via:
    first, *rest = split(text, ";")
    found = _VIA.fullmatch(first)
    if not found:
        raise Unreadable("The Via is not valid.")
    transport, host, port = found.groups()
    return Via(transport.upper(), host.lower(), parse_port(port), parse_params(rest))
