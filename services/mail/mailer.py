"""SMTP client that sends each text message as an e-mail through the server of ``MAIL_*``.

Standards: SMTP (RFC 5321) with STARTTLS (RFC 3207) and AUTH (RFC 4954).
"""

import re
import smtplib
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from email.headerregistry import Address
from email.message import EmailMessage
from functools import cached_property

from services.config.sections import MailSettings
from services.core.error_words import reason_in
from services.core.errors import Kind, MailError, RequestRefused
from services.core.language import Language
from services.core.local_time import UTC_TIME, LocalTime
from services.core.messages import Message, Status
from services.http.deadline import DeadlineExceeded, deadline
from services.mail.details import MailDetails
from services.mail.headers import one_line, parse_address
from services.mail.message import build_mail
from services.mail.refusal import build_refusal
from services.mail.reply_address import ReplyAddresses
from services.mail.smtp_errors import connection_error, misconfigured, smtp_error
from services.mail.words import MailWords

# MAIL_ENCRYPTION as Laravel writes it, in old and new versions.
ENCRYPTION = {"tls": "starttls", "smtps": "ssl"}
IMPLICIT_TLS_PORT = 465


class Mailer:
    """Sends text messages through the mail server of ``MAIL_*``.

    ``domain`` is the public host name of this installation, used in every Message-ID. With an empty
    ``MAIL_ENCRYPTION`` the connection is encrypted if the server offers it, and the certificate is
    not verified (as between mail servers). ``tls`` and ``ssl`` require both. Port 465 means ``ssl``
    unless ``MAIL_ENCRYPTION`` says otherwise.
    """

    seconds = 30.0  # the total deadline of one mail

    def __init__(
        self,
        settings: MailSettings,
        app_name: str,
        domain: str,
        local_time: LocalTime = UTC_TIME,
        replies: ReplyAddresses | None = None,
    ) -> None:
        """``replies`` makes the addresses for answers; without it mails cannot be answered."""
        self._replies = replies
        self._local_time = local_time
        self._settings = settings
        self._words = MailWords(Language(settings.language), app_name)
        self._from_name = settings.from_name or app_name
        self._domain = re.sub(r"[^A-Za-z0-9.-]", "-", domain)
        self._server_name = f"The mail server {settings.host}"

    def send(self, message: Message, to: str, details: MailDetails) -> None:
        """Send one message to one address; returns when the server has accepted it.

        A repeated mail has the same Message-ID. Raises ``MailError``.
        """
        sender, recipient = self._sender(), _recipient(to)
        answers = None
        if self._replies is not None:
            answers = self._replies.address_for(
                message.conversation_id, recipient.addr_spec, time.time()
            )
        self._send(
            build_mail(
                message,
                details,
                sender,
                recipient,
                self._domain,
                self._local_time,
                self._words,
                answers,
            ),
            sender,
            recipient,
        )

    def send_refusal(
        self, to: str, error: RequestRefused, answered_id: str, **values: object
    ) -> None:
        """Say why an answer was not sent as a text; ``answered_id`` is its Message-ID.

        ``values`` are put into the sentence. Raises ``MailError``.
        """
        sender, recipient = self._sender(), _recipient(to)
        reason = reason_in(self._words.language, error.code, error.reason, **values)
        mail = build_refusal(
            sender, recipient, self._words.refused, reason, answered_id, self._domain
        )
        self._send(mail, sender, recipient)

    def send_failure(
        self, message: Message, to: str, details: MailDetails, cause: str | None = None
    ) -> None:
        """Tell the address that has written a text why it was not sent, or may not have been.

        ``cause`` is the kind of the carrier's error, if it is known. Raises ``MailError``.
        """
        sender, recipient = self._sender(), _recipient(to)
        receivers = ", ".join(map(details.name, message.recipients))
        words = self._words
        is_known = message.status is not Status.UNKNOWN
        why = reason_in(words.language, message.error_code, message.error_reason or "", cause)
        reason = "\n\n".join(
            (
                words.not_sent(receivers, is_known=is_known),
                one_line(why, 500),
                words.quoted(one_line(message.text, 200)),
            )
        )
        title = words.not_delivered if is_known else words.perhaps_not_sent
        self._send(
            build_refusal(sender, recipient, title, reason, "", self._domain), sender, recipient
        )

    def _send(self, mail: EmailMessage, sender: Address, recipient: Address) -> None:
        with self._session() as server:
            server.sendmail(sender.addr_spec, [recipient.addr_spec], mail.as_bytes())

    def send_test(self, to: str) -> None:
        """Send a mail that shows that mails arrive. Raises ``MailError``."""
        sender, recipient = self._sender(), _recipient(to)
        mail = build_refusal(
            sender, recipient, self._words.test, self._words.test_arrived, "", self._domain
        )
        self._send(mail, sender, recipient)

    @property
    def is_on(self) -> bool:
        """Whether a mail server is configured."""
        return self._settings.host is not None

    def check(self) -> None:
        """Connect and log in without sending a mail. Raises ``MailError``."""
        self._sender()
        with self._session():
            pass

    @contextmanager
    def _session(self) -> Iterator[smtplib.SMTP]:
        """A connection, encrypted and logged in as configured. Raises ``MailError``."""
        host = self._settings.host
        if not host:
            raise misconfigured("MAIL_HOST is not set.", "Set it in .env to send mails.")
        try:
            with deadline(self.seconds):
                server = self._connect(host)
                try:
                    self._secure(server)
                    self._login(server)
                    yield server
                    # The answer to QUIT is ignored: an error there must not repeat the mail.
                    with suppress(OSError, smtplib.SMTPException):
                        server.putcmd("quit")
                finally:
                    server.close()
        except DeadlineExceeded:
            reason = f"{self._server_name} was not done within {self.seconds:.0f} seconds."
            raise MailError(reason, Kind.RETRY) from None
        except smtplib.SMTPException as error:
            raise smtp_error(error, self._server_name, self._settings) from None
        except (OSError, UnicodeError) as error:
            raise connection_error(error, self._server_name) from None

    @property
    def _encryption(self) -> str:
        configured = self._settings.encryption or ""
        if not configured and self._settings.port == IMPLICIT_TLS_PORT:
            return "ssl"
        return ENCRYPTION.get(configured, configured)

    def _connect(self, host: str) -> smtplib.SMTP:
        port = self._settings.port
        if self._encryption == "ssl":
            return smtplib.SMTP_SSL(host, port, timeout=self.seconds, context=self._tls_context)
        return smtplib.SMTP(host, port, timeout=self.seconds)

    def _secure(self, server: smtplib.SMTP) -> None:
        server.ehlo_or_helo_if_needed()
        offered = server.has_extn("starttls")
        if self._encryption == "starttls" and not offered:
            raise misconfigured(
                f"{self._server_name} offers no encryption (STARTTLS).",
                "Set MAIL_ENCRYPTION=ssl and the port for it, usually 465.",
            )
        if self._encryption in ("starttls", "") and offered:
            server.starttls(context=self._tls_context)

    @cached_property
    def _tls_context(self) -> ssl.SSLContext:
        """The TLS context; cached, because loading the certificates takes longer than a mail."""
        context = ssl.create_default_context()
        if self._encryption == "":
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context

    def _login(self, server: smtplib.SMTP) -> None:
        if not self._settings.username:
            return
        try:
            server.login(self._settings.username, self._settings.password or "")
        except UnicodeError:
            raise misconfigured(
                "MAIL_USERNAME or MAIL_PASSWORD holds letters that a mail log-in cannot carry.",
                "Use a password of plain letters (without accents), digits and signs.",
            ) from None

    def _sender(self) -> Address:
        remedy = "Set it in .env to the sender of the mails, such as texts@example.com."
        written = self._settings.from_address
        if not written:
            raise misconfigured("MAIL_FROM_ADDRESS is not set.", remedy)
        try:
            return parse_address(one_line(self._from_name, 60), written)
        except ValueError:
            raise misconfigured("MAIL_FROM_ADDRESS is no usable address.", remedy) from None


def _recipient(written: str) -> Address:
    try:
        return parse_address("", written)
    except ValueError:
        raise MailError(
            f"“{one_line(written, 100)}” is not an e-mail address of plain letters such as "
            "desk@example.com. Correct it in Message Settings.",
            Kind.REFUSED,
        ) from None
