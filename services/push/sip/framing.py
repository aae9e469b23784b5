"""Framing of SIP on TCP and TLS (RFC 3261 §18.3): cuts what is read into messages."""

from collections.abc import Iterator

from services.push.sip.grammar import Unreadable
from services.push.sip.message_parser import MAX_BODY, MAX_HEAD, check, parse_head, with_body
from services.push.sip.sip_message import Request, Response

LONGEST_SKIPPED_BODY = 16 * 1024 * 1024  # bytes; nobody sends more by mistake


class Framer:
    """Collects the bytes of one connection.

    A body that is longer than ``MAX_BODY`` is left out: the message comes with an empty one, and
    its Content-Length says how long it was.
    """

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._head: Request | Response | None = None
        self._left = 0  # bytes of the body that are still to come
        self._skips = False
        self.pings = 0
        self.pongs = 0

    def feed(self, data: bytes) -> Iterator[Request | Response | Unreadable]:
        """Yield the messages that are complete now, and an error for each that is not valid.

        Counts keep-alives (RFC 5626): ``pings`` of two CR LF, and ``pongs`` of one. Raises
        ``Unreadable`` where nobody can say where the next message begins: close the connection.
        """
        self._buffer += data
        while (head := self._head or self._read_head()) and self._body_is_complete():
            body = bytes(self._buffer[: self._left])
            del self._buffer[: self._left]
            self._head = None
            try:
                yield check(with_body(head, body))
            except Unreadable as error:
                yield error

    def _read_head(self) -> Request | Response | None:
        """Take the headers of the next message from the buffer, if they are complete."""
        self._drop_keep_alives()
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            if len(self._buffer) > MAX_HEAD:
                raise Unreadable("The headers are too long.", 513)
            return None
        head = parse_head(bytes(self._buffer[:end]))
        size = head.number("content-length")
        if len(head.headers.all("content-length")) != 1 or size is None:
            raise Unreadable("A message on a connection needs one Content-Length.")
        if size > LONGEST_SKIPPED_BODY:
            raise Unreadable("A body is far too long.", 513)
        del self._buffer[: end + 4]
        self._head, self._left, self._skips = head, size, size > MAX_BODY
        return head

    def _body_is_complete(self) -> bool:
        if self._skips:
            skipped = min(self._left, len(self._buffer))
            del self._buffer[:skipped]
            self._left -= skipped
        return self._left <= len(self._buffer) and not (self._skips and self._left)

    def _drop_keep_alives(self) -> None:
        """Count and remove line breaks before a message."""
        while self._buffer.startswith(b"\r\n"):
            if self._buffer.startswith(b"\r\n\r\n"):
                self.pings += 1
                del self._buffer[:4]
            else:
                self.pongs += 1
                del self._buffer[:2]
