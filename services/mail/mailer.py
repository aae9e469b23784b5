"""Texts as e-mails: one plain mail a message and address, with its pictures attached.

Standards: SMTP (RFC 5321) with STARTTLS (RFC 3207) and AUTH (RFC 4954); the mail is RFC 5322.
"""

import base64
import hashlib
import mimetypes
import re
import smtplib
import ssl
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from email import policy
from email.errors import HeaderParseError
from email.headerregistry import Address
from email.message import EmailMessage
from functools import cached_property
from pathlib import PurePath

from services.config.sections import MailSettings
from services.core.errors import Kind, MailError
from services.core.messages import Attachment, Message
from services.http import DeadlineExceeded, deadline

ATTACHED_BYTES = 20_000_000  # in all; base64 adds a third, and many servers stop at 30 MB

# MAIL_ENCRYPTION in Laravel's words, old and new.
ENCRYPTION = {"tls": "starttls", "smtps": "ssl"}
IMPLICIT_TLS_PORT = 465

# What the server refused, and what follows from an answer that begins with 5 (RFC 5321 §4.2.1).
REFUSALS: dict[type[smtplib.SMTPException], tuple[str, Kind]] = {
    smtplib.SMTPAuthenticationError: (
        "does not accept MAIL_USERNAME and MAIL_PASSWORD",
        Kind.CONFIG,
    ),
    smtplib.SMTPSenderRefused: ("takes no mail from MAIL_FROM_ADDRESS", Kind.CONFIG),
    smtplib.SMTPRecipientsRefused: ("takes no mail for this address", Kind.REFUSED),
    smtplib.SMTPDataError: ("did not take the mail", Kind.REFUSED),
}
TOO_LARGE = 552  # RFC 1870 §6.1: answered to MAIL FROM, yet about this one mail

CONTENT_TYPE = re.compile(r"(image|audio|video|text|application)/[a-z0-9.+-]+", re.ASCII)
NOT_IN_A_LINE = {"Cc", "Cf", "Cs"}  # controls, bidi marks, halves of surrogate pairs
FILE_TYPES = mimetypes.MimeTypes()  # Python's own table, whatever the machine has


class Mailer:
    """Sends texts through the mail server of ``MAIL_*``.

    ``domain`` is our public host name: the right side of every Message-ID. With an empty
    ``MAIL_ENCRYPTION`` the connection is encrypted where the server offers it, but whose
    certificate it shows is not checked (as between mail servers); ``tls`` and ``ssl`` insist on
    both. Port 465 means ``ssl`` unless told otherwise.
    """

    seconds = 30.0  # the total deadline of one mail

    def __init__(self, settings: MailSettings, app_name: str, domain: str) -> None:
        self._settings = settings
        self._from_name = settings.from_name or app_name
        self._domain = re.sub(r"[^A-Za-z0-9.-]", "-", domain)
        self._server = f"The mail server {settings.host}"

    def send(self, message: Message, to: str) -> None:
        """Send one message to one address; returns when the server has taken it.

        A repeat has the same Message-ID, so that mailboxes can tell. Raises ``MailError``.
        """
        sender, recipient = self._sender(), _recipient(to)
        mail = self._compose(message, sender, recipient)
        with self._session() as server:
            server.sendmail(sender.addr_spec, [recipient.addr_spec], mail.as_bytes())

    def check(self) -> None:
        """Connect and log in, and send nothing. Raises ``MailError``."""
        self._sender()
        with self._session():
            pass

    @contextmanager
    def _session(self) -> Iterator[smtplib.SMTP]:
        """A connection, encrypted and logged in as configured. Raises ``MailError``."""
        host = self._settings.host
        if not host:
            raise _misconfigured("MAIL_HOST is not set.", "Set it in .env to send mails.")
        try:
            with deadline(self.seconds):
                server = self._connect(host)
                try:
                    self._secure(server)
                    self._login(server)
                    yield server
                    # Its answer is not waited for: a mail that is taken must not be sent again.
                    with suppress(OSError, smtplib.SMTPException):
                        server.putcmd("quit")
                finally:
                    server.close()
        except DeadlineExceeded:
            reason = f"{self._server} was not done within {self.seconds:.0f} seconds."
            raise MailError(reason, Kind.RETRY) from None
        except smtplib.SMTPException as error:
            raise self._refusal(error) from None
        except (OSError, UnicodeError) as error:
            raise self._unreached(error) from None

    @property
    def _encryption(self) -> str:
        asked = self._settings.encryption or ""
        if not asked and self._settings.port == IMPLICIT_TLS_PORT:
            return "ssl"
        return ENCRYPTION.get(asked, asked)

    def _connect(self, host: str) -> smtplib.SMTP:
        port = self._settings.port
        if self._encryption == "ssl":
            return smtplib.SMTP_SSL(host, port, timeout=self.seconds, context=self._trust)
        return smtplib.SMTP(host, port, timeout=self.seconds)

    def _secure(self, server: smtplib.SMTP) -> None:
        server.ehlo_or_helo_if_needed()
        offered = server.has_extn("starttls")
        if self._encryption == "starttls" and not offered:
            raise _misconfigured(
                f"{self._server} offers no encryption (STARTTLS).",
                "Set MAIL_ENCRYPTION=ssl and the port for it, usually 465.",
            )
        if self._encryption in ("starttls", "") and offered:
            server.starttls(context=self._trust)

    @cached_property
    def _trust(self) -> ssl.SSLContext:
        """Whose certificates are taken. To read them costs more than a mail, so they are kept."""
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
            raise _misconfigured(
                "MAIL_USERNAME or MAIL_PASSWORD holds letters that a mail log-in cannot carry.",
                "Use a password of plain letters (without accents), digits and signs.",
            ) from None

    def _refusal(self, error: smtplib.SMTPException) -> MailError:
        """What follows from an answer of the server, or from its silence."""
        what, final = REFUSALS.get(type(error), ("does not serve us", Kind.CONFIG))
        words: bytes | str
        if isinstance(error, smtplib.SMTPRecipientsRefused):
            code, words = next(iter(error.recipients.values()))
        elif isinstance(error, smtplib.SMTPResponseException):
            code, words = error.smtp_code, error.smtp_error
        elif isinstance(error, smtplib.SMTPServerDisconnected):
            reason = f"{self._server} hung up or fell silent before it took the mail."
            return MailError(reason, Kind.RETRY)
        else:
            return _misconfigured(
                f"{self._server} offers no way to log in that fits this connection.",
                "Set MAIL_ENCRYPTION=tls, or leave MAIL_USERNAME empty if it needs none.",
            )
        if code == TOO_LARGE:
            what, final = REFUSALS[smtplib.SMTPDataError]
        reason = f"{self._server} {what}: {code} {self._quoted(words)}"
        return MailError(reason, final if code >= 500 else Kind.RETRY, code=str(code))

    def _unreached(self, error: OSError | UnicodeError) -> MailError:
        """What follows from a connection that did not come about or broke."""
        if isinstance(error, ssl.SSLCertVerificationError):
            return _misconfigured(
                f"{self._server} shows a certificate that cannot be trusted: "
                f"{error.verify_message.rstrip('.')}.",
                "Write MAIL_HOST as it stands in the certificate, or have the certificate renewed.",
            )
        if isinstance(error, UnicodeError):
            return _misconfigured(f"{self._server} has no valid name.", "Correct MAIL_HOST.")
        if isinstance(error, ssl.SSLError):
            hint = "If this stays so, check MAIL_PORT and MAIL_ENCRYPTION."
            return MailError(f"{self._server} broke off the encryption. {hint}", Kind.RETRY)
        why = error.strerror or "it did not answer in time"
        return MailError(f"{self._server} was not reached: {why}.", Kind.RETRY)

    def _quoted(self, words: bytes | str) -> str:
        """The server's words without the password: some servers quote the line they refuse."""
        said = words.decode("utf-8", "replace") if isinstance(words, bytes) else words
        password = self._settings.password
        if password:
            plain = f"\0{self._settings.username}\0{password}"
            for sent in (plain, password):
                said = said.replace(base64.b64encode(sent.encode()).decode(), "••••••••")
            said = said.replace(password, "••••••••")
        return _line(said, 300)

    def _compose(self, message: Message, sender: Address, recipient: Address) -> EmailMessage:
        mail = EmailMessage(policy=policy.SMTP)
        mail["Subject"] = _subject(message)
        mail["From"] = sender
        mail["To"] = recipient
        mail["Date"] = datetime.fromtimestamp(int(message.created_at), UTC)
        mail["Message-ID"] = f"<{message.id}.{_short_hash(recipient)}@{self._domain}>"
        mail["Auto-Submitted"] = "auto-generated"
        attached, notes = _sorted(message.media)
        mail.set_content(_body(message, notes), cte="quoted-printable")
        for file, content in attached:
            maintype, _, subtype = _content_type(file).partition("/")
            mail.add_attachment(content, maintype, subtype, filename=_file_name(file))
        return mail

    def _sender(self) -> Address:
        remedy = "Set it in .env to the sender of the mails, such as texts@example.com."
        written = self._settings.from_address
        if not written:
            raise _misconfigured("MAIL_FROM_ADDRESS is not set.", remedy)
        try:
            return _address(_line(self._from_name, 60), written)
        except ValueError:
            raise _misconfigured("MAIL_FROM_ADDRESS is no usable address.", remedy) from None


def _misconfigured(reason: str, remedy: str) -> MailError:
    return MailError(f"{reason} {remedy}", Kind.CONFIG)


def _recipient(written: str) -> Address:
    try:
        return _address("", written)
    except ValueError:
        raise MailError(
            f"“{_line(written, 100)}” is not an e-mail address of plain letters such as "
            "desk@example.com. Correct it in Message Settings.",
            Kind.REFUSED,
        ) from None


def _address(display_name: str, written: str) -> Address:
    """A mailbox, its domain in letters that every server takes. Raises ``ValueError``."""
    local, at, domain = written.strip().rpartition("@")
    try:
        return Address(display_name, addr_spec=local + at + domain.encode("idna").decode())
    except (HeaderParseError, IndexError):
        raise ValueError("It is not an e-mail address.") from None


def _short_hash(address: Address) -> str:
    return hashlib.sha256(address.addr_spec.lower().encode()).hexdigest()[:12]


def _line(text: str, most: int) -> str:
    """A text from outside as one harmless line of at most ``most`` characters."""
    words = " ".join(text.split())
    kept = "".join(c for c in words if unicodedata.category(c) not in NOT_IN_A_LINE)
    # The email package reads these signs as an encoded word, in which a line may end.
    kept = kept.replace("=?", "= ?")
    return kept if len(kept) <= most else kept[: most - 1] + "…"


def _others(message: Message) -> list[str]:
    return [_line(other, 40) for other in message.participants if other != message.peer]


def _subject(message: Message) -> str:
    subject = f"Text from {_line(message.peer, 40)} to {_line(message.number, 40)}"
    others = _others(message)
    if not others:
        return subject
    more = f" and {len(others) - 3} more" if len(others) > 3 else ""
    return f"{subject} with {', '.join(others[:3])}{more}"


def _body(message: Message, notes: list[str]) -> str:
    text = "".join(
        c for c in message.text if c in "\n\r\t" or unicodedata.category(c) not in {"Cc", "Cs"}
    )
    when = datetime.fromtimestamp(message.created_at, UTC)
    others = _others(message)
    lines = [
        f"From: {_line(message.peer, 40)}",
        f"To: {_line(message.number, 40)}",
        *([f"With: {', '.join(others)}"] if others else []),
        f"Received: {when:%Y-%m-%d %H:%M} UTC",
    ]
    parts = [
        text or "(no text)",
        *notes,
        "\n".join(lines),
        "Please do not answer this mail: answers are not sent on as texts.",
    ]
    return "\n\n".join(parts) + "\n"


def _sorted(files: tuple[Attachment, ...]) -> tuple[list[tuple[Attachment, bytes]], list[str]]:
    """What can be attached, with its bytes, and a note for everything that cannot."""
    attached, notes, room = [], [], ATTACHED_BYTES
    for file in files:
        content = _content(file, room)
        if isinstance(content, str):
            notes.append(f"[{_file_name(file)}: {content}]")
        else:
            attached.append((file, content))
            room -= len(content)
    return attached, notes


def _content(file: Attachment, room: int) -> bytes | str:
    """The bytes of an attachment, or why they are not in the mail."""
    if file.state == "failed":
        return f"this attachment could not be fetched. {_line(file.reason or '', 300)}".rstrip()
    if file.state == "pending" or file.path is None:
        return "this attachment had not arrived yet when the mail was written."
    try:
        if file.path.stat().st_size > room:
            return "this attachment is too large for a mail."
        return file.path.read_bytes()
    except FileNotFoundError:
        return "this attachment is no longer kept."
    except OSError as error:
        reason = f"An attachment cannot be read from the disk: {error.strerror}."
        raise MailError(reason, Kind.RETRY) from None


def _content_type(file: Attachment) -> str:
    known = CONTENT_TYPE.fullmatch(file.content_type)
    return file.content_type if known else "application/octet-stream"


def _file_name(file: Attachment) -> str:
    name = re.sub(r"[/\\:]", "_", _line(file.name, 120)) or "attachment"
    extension = FILE_TYPES.guess_extension(_content_type(file), strict=False) or ""
    return name if PurePath(name).suffix else name + extension
