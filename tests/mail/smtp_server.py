"""A real SMTP server on this machine (aiosmtpd), and a mailer that sends to it."""

import asyncio
import email
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import policy
from email.message import EmailMessage
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from services.config.sections import MailSettings
from services.core.errors import MailError
from services.core.local_time import UTC_TIME, LocalTime
from services.core.messages import Message
from services.mail.details import MailDetails
from services.mail.mailer import Mailer

PASSWORD = "correct horse"

MESSAGE = Message(
    direction="in",
    number="+12025550143",
    peer="+13035550177",
    text="Is the shop open on Sunday?",
    created_at=1_780_000_000.5,
    conversation_id="0190f3a2-0000-7000-8000-000000000001",
)
DETAILS = MailDetails()


@dataclass
class Server:
    """A mail server: what it took, and what it answers instead of its usual answers."""

    port: int = 0
    taken: list[tuple[str, list[str], EmailMessage]] = field(default_factory=list)
    on_mail: str = "250 OK"
    on_rcpt: str = "250 OK"
    on_data: str = "250 OK"
    hangs_up: bool = False

    async def handle_MAIL(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if self.on_mail.startswith("250"):
            envelope.mail_from = address
        return self.on_mail

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if self.on_rcpt.startswith("250"):
            envelope.rcpt_tos.append(address)
        return self.on_rcpt

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        if self.hangs_up and server.transport is not None:
            server.transport.close()
        assert isinstance(envelope.content, bytes)
        mail = email.message_from_bytes(envelope.content, policy=policy.default)
        assert isinstance(mail, EmailMessage)
        self.taken.append((envelope.mail_from or "", envelope.rcpt_tos, mail))
        return self.on_data


class LocalController(Controller):
    """A controller on whatever port is free."""

    def _trigger_server(self) -> None:
        assert isinstance(self.server, asyncio.Server)
        self.port = self.server.sockets[0].getsockname()[1]
        super()._trigger_server()  # type: ignore[no-untyped-call]


@contextmanager
def serving(**options: Any) -> Iterator[Server]:
    server = Server()
    controller = LocalController(server, hostname="127.0.0.1", port=0, **options)
    controller.start()
    server.port = controller.port
    try:
        yield server
    finally:
        controller.stop()


def settings(**changed: Any) -> MailSettings:
    usual: dict[str, Any] = {
        "host": "127.0.0.1",
        "port": 25,
        "username": None,
        "password": None,
        "encryption": "none",
        "from_address": "texts@example.com",
        "from_name": None,
        "language": "en",
    }
    return MailSettings(**(usual | changed))


def mailer(local_time: LocalTime = UTC_TIME, **changed: Any) -> Mailer:
    return Mailer(settings(**changed), "Textbridge", "sms.example.com", local_time)


def sent(
    server: Server,
    message: Message,
    to: str = "desk@example.com",
    details: MailDetails = DETAILS,
) -> EmailMessage:
    mailer(port=server.port).send(message, to, details)
    return server.taken[-1][2]


def failed(mailer: Mailer, message: Message = MESSAGE, to: str = "desk@example.com") -> MailError:
    with pytest.raises(MailError) as caught:
        mailer.send(message, to, DETAILS)
    assert PASSWORD not in caught.value.reason
    return caught.value
