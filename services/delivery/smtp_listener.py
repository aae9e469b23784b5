"""SMTP listener for answers to mails: your mail server hands them over (RFC 5321).

It takes mails to signed addresses only, and says 250 when the text is on disk or the refusal was
mailed. 451 lets the mail server try again.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import cast

import structlog
from aiosmtpd.smtp import SMTP, Envelope, Session

from services.core.errors import MailError, StorageUnwell
from services.mail.inbound_mail import MOST_BYTES
from services.messaging.mail_replies import MailOutcome, MailReplies

log = structlog.get_logger()
SILENT_SECONDS = 120.0  # until a connection is closed on which nothing happens
WHOLE_SECONDS = 600.0  # until any connection is closed
MOST_CONNECTIONS = 20  # at once; each may hold a mail in memory
MOST_RECIPIENTS = 20  # of one mail
TAKEN = "250 2.0.0 taken"
LATER = "451 4.3.0 it cannot be kept now, try again later"
TOO_MANY = b"421 4.3.2 too many connections, try again later\r\n"
TOO_MANY_RECIPIENTS = "452 4.5.3 too many recipients"
NOT_HERE = "550 5.1.1 no such address for answers"


@dataclass(eq=False)
class _Handler:
    """What the server asks at each command (``aiosmtpd.handlers``)."""

    replies: MailReplies

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """Accept a recipient."""
        if len(envelope.rcpt_tos) >= MOST_RECIPIENTS:
            return TOO_MANY_RECIPIENTS
        sender = (envelope.mail_from or "").strip("<>")
        try:
            is_issued = await asyncio.to_thread(self.replies.is_issued, address, sender)
        except StorageUnwell as error:
            log.error("cannot look an address up", reason=str(error))
            return LATER
        if not is_issued:
            return NOT_HERE
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 ok"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        """Take a mail; the answer is the promise that it is kept."""
        content = envelope.content if isinstance(envelope.content, bytes) else b""
        sender = (envelope.mail_from or "").strip("<>").encode("utf-8", "surrogateescape")
        # RFC 5321 §4.4: the server that delivers a mail notes the sender of the envelope in it.
        raw = b"Return-Path: <%s>\r\n" % sender + content
        recipients = tuple(envelope.rcpt_tos)
        return await asyncio.to_thread(self._take, raw, recipients)

    async def handle_exception(self, error: Exception) -> str:
        """A fault of ours: the mail server keeps the mail."""
        log.exception("an answer failed unexpectedly")
        return LATER

    def _take(self, raw: bytes, recipients: tuple[str, ...]) -> str:
        try:
            outcome = self.replies.take(raw, lambda: raw, recipients)
        except StorageUnwell as error:
            log.error("cannot keep an answer yet", reason=str(error))
            return LATER
        except MailError as error:
            log.warning("refusal not mailed yet", reason=error.reason)
            return LATER
        return NOT_HERE if outcome is MailOutcome.FOREIGN else TAKEN


class _Connection(SMTP):
    """A connection of a mail server, of which there are so many at most, each for so long."""

    def __init__(self, handler: _Handler, connections: "set[_Connection]") -> None:
        self._connections = connections
        self._end: asyncio.TimerHandle | None = None
        super().__init__(
            handler,
            data_size_limit=MOST_BYTES,
            enable_SMTPUTF8=True,
            ident="Textbridge",
            hostname="textbridge",
            timeout=SILENT_SECONDS,
        )

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the connection, or turn it away for now."""
        opened = cast(asyncio.Transport, transport)
        if len(self._connections) >= MOST_CONNECTIONS:
            log.warning("connection for an answer refused", open=len(self._connections))
            opened.write(TOO_MANY)
            opened.close()
            return
        self._connections.add(self)
        self._end = asyncio.get_running_loop().call_later(WHOLE_SECONDS, opened.abort)
        super().connection_made(transport)

    def data_received(self, data: bytes) -> None:
        """Read what comes on a connection that was taken."""
        if self in self._connections:
            super().data_received(data)

    def eof_received(self) -> bool | None:
        """The other side has ended."""
        return super().eof_received() if self in self._connections else False

    def connection_lost(self, error: Exception | None) -> None:
        """Take the connection off the list, so that another one is accepted."""
        if self in self._connections:
            self._connections.discard(self)
            if self._end is not None:
                self._end.cancel()
            super().connection_lost(error)


async def serve(
    replies: MailReplies, address: str, stopped: Callable[[], Awaitable[object]]
) -> None:
    """Listen at ``127.0.0.1:2525`` or another address until ``stopped`` returns.

    Raises ``OSError`` where nothing can listen there.
    """
    host, _, port = address.rpartition(":")
    handler = _Handler(replies)

    connections: set[_Connection] = set()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: _Connection(handler, connections), host.strip("[]"), int(port)
    )
    async with server:
        await stopped()
