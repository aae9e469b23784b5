"""SMTP listener for answers to mails: your mail server hands them over (RFC 5321).

It takes mails to signed addresses only, and says 250 when the text is on disk or the refusal was
mailed. 451 lets the mail server try again.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import structlog
from aiosmtpd.smtp import SMTP, Envelope, Session

from services.core.errors import MailError, StorageUnwell
from services.mail.inbound_mail import MOST_BYTES
from services.messaging.mail_replies import MailOutcome, MailReplies

log = structlog.get_logger()
SILENT_SECONDS = 120.0  # until a connection is closed on which nothing happens
TAKEN = "250 2.0.0 taken"
LATER = "451 4.3.0 it cannot be kept now, try again later"
NOT_HERE = "550 5.1.1 no such address for answers"


@dataclass(eq=False)
class _Handler:
    """What the server asks at each command (``aiosmtpd.handlers``)."""

    replies: MailReplies

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """Accept a recipient."""
        if not self.replies.is_ours(address):
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


async def serve(
    replies: MailReplies, address: str, stopped: Callable[[], Awaitable[object]]
) -> None:
    """Listen at ``127.0.0.1:2525`` or another address until ``stopped`` returns.

    Raises ``OSError`` where nothing can listen there.
    """
    host, _, port = address.rpartition(":")
    handler = _Handler(replies)

    def session() -> SMTP:
        return SMTP(
            handler,
            data_size_limit=MOST_BYTES,
            enable_SMTPUTF8=True,
            ident="Textbridge",
            hostname="textbridge",
            timeout=SILENT_SECONDS,
        )

    loop = asyncio.get_running_loop()
    server = await loop.create_server(session, host.strip("[]"), int(port))
    async with server:
        await stopped()
