"""Grammar of SIP (RFC 3261 §25) that several headers share: tokens, quoted strings, parameters."""

import re
from collections.abc import Iterable, Iterator

WORD = r"[A-Za-z0-9\-.!%*_+`'~]+"
QUOTED = r'"(?:[^"\\\x00-\x08\x0a-\x1f\x7f]|\\[^\r\n])*"'
HOST = r"(?:[A-Za-z0-9_](?:[A-Za-z0-9_.-]*)|\[[0-9A-Fa-f:.]+\])"
PORT = r"[0-9]{1,5}"
# A parameter's value that needs no quotes: a token, or a host.
_BARE = r"[A-Za-z0-9\-.!%*_+`'~\[\]:]+"
_PARAM = re.compile(rf"[ \t]*({WORD})[ \t]*(?:=[ \t]*({_BARE}|{QUOTED})[ \t]*)?")
_BARE_ONLY = re.compile(_BARE)
_BREAKS = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]+")

Params = tuple[tuple[str, str | None], ...]


class Unreadable(Exception):
    """Data is not valid SIP; ``status`` is the SIP status that refuses it."""

    def __init__(self, reason: str, status: int = 400) -> None:
        self.reason = reason
        self.status = status
        super().__init__(reason)


def split(text: str, separator: str) -> list[str]:
    """Split a header value at a separator that is in no quoted string and in no ``<…>``.

    Raises ``Unreadable`` where a quoted string or a bracket is not closed.

    >>> split('"a, b" <sip:x;y,z>, c', ",")
    ['"a, b" <sip:x;y,z>', ' c']
    """
    parts, start, in_quotes, in_brackets, position = [], 0, False, False, 0
    while position < len(text):
        character = text[position]
        if in_quotes:
            position += character == "\\"
            in_quotes = character != '"'
        elif character == '"' and not in_brackets:
            in_quotes = True
        elif character == "<":
            in_brackets = True
        elif character == ">":
            in_brackets = False
        elif character == separator and not in_brackets:
            parts.append(text[start:position])
            start = position + 1
        position += 1
    if in_quotes or in_brackets:
        raise Unreadable("A quoted string or a bracket is not closed.")
    return [*parts, text[start:]]


def quote(text: str) -> str:
    r"""A quoted string; line breaks and other control characters become spaces.

    >>> print(quote('Ann "A" \r\nB'))
    "Ann \"A\"  B"
    """
    plain = _BREAKS.sub(" ", text)
    return '"' + plain.replace("\\", "\\\\").replace('"', '\\"') + '"'


def unquote(text: str) -> str:
    """The content of a quoted string."""
    return re.sub(r"\\(.)", r"\1", text[1:-1], flags=re.DOTALL)


def parse_params(parts: Iterable[str]) -> Params:
    """Parameters of a header, each ``name``, ``name=value`` or ``name="value"``.

    Names are in lower case. Raises ``Unreadable``.
    """
    return tuple(_params(parts))


def _params(parts: Iterable[str]) -> Iterator[tuple[str, str | None]]:
    for part in parts:
        found = _PARAM.fullmatch(part)
        if not found:
            raise Unreadable("A parameter of a header is not valid.")
        name, value = found[1].lower(), found[2]
        yield name, unquote(value) if value and value.startswith('"') else value


def write_params(params: Params) -> str:
    """Parameters as they follow a header's value, ``;`` included."""
    written = []
    for name, value in params:
        if value is None:
            written.append(f";{name}")
        else:
            written.append(f";{name}={value if _BARE_ONLY.fullmatch(value) else quote(value)}")
    return "".join(written)


def param(params: Params, name: str) -> str | None:
    """The value of a parameter: ``None`` if it is missing, and empty if it has no value."""
    return next((value or "" for each, value in params if each == name), None)
