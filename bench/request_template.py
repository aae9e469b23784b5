"""Requests of the load generator: one text each, with places for the number of the request."""

import re
from dataclasses import dataclass

_MARK = re.compile(rb"@index:(\d+)(?::(\d+))?@")


def index(width: int, modulus: int = 0) -> str:
    """A mark for the number of the request, or its remainder, in ``width`` digits."""
    return f"@index:{width}:{modulus}@" if modulus else f"@index:{width}@"


@dataclass(frozen=True, slots=True)
class Field:
    """Digits at an offset of the request; with a ``modulus`` the remainder of its number."""

    offset: int
    width: int
    modulus: int


@dataclass(frozen=True, slots=True)
class RequestTemplate:
    """The bytes of a request, and the fields in which the requests differ."""

    content: bytes
    fields: tuple[Field, ...] = ()

    def make(self, number: int) -> bytes:
        """The request of a number."""
        made = bytearray(self.content)
        for field in self.fields:
            value = number % field.modulus if field.modulus else number
            made[field.offset : field.offset + field.width] = b"%0*d" % (field.width, value)
        return bytes(made)


def post_request(path: str, body: bytes, *, headers: str = "") -> RequestTemplate:
    """A POST with a JSON body, both with marks; ``headers`` are complete header lines."""
    plain = _MARK.sub(lambda mark: b"0" * int(mark[1]), body)
    head = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        f"{headers}Content-Length: {len(plain)}\r\n\r\n"
    )
    return _compiled(head.encode() + body)


def get_request(path: str, *, headers: str = "") -> RequestTemplate:
    """A GET; ``headers`` are complete header lines."""
    return _compiled(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{headers}\r\n".encode())


def _compiled(marked: bytes) -> RequestTemplate:
    content, fields, end = b"", [], 0
    for mark in _MARK.finditer(marked):
        content += marked[end : mark.start()]
        width = int(mark[1])
        fields.append(Field(len(content), width, int(mark[2] or 0)))
        content += b"0" * width
        end = mark.end()
    return RequestTemplate(content + marked[end:], tuple(fields))
