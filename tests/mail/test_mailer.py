"""Mailer, with a real SMTP server on this machine (aiosmtpd)."""

import email
import shutil
import socket
import ssl
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from email import policy
from email.message import EmailMessage
from pathlib import Path
from threading import Event, Thread
from typing import Any
from unittest.mock import Mock

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from services.config.sections import MailSettings
from services.core.errors import Kind, MailError
from services.core.messages import Attachment, Message
from services.mail.details import MailDetails
from services.mail.mailer import Mailer

JPEG = b"\xff\xd8\xff\xe0" + bytes(range(256)) * 5 + b"\r\n.\r\n\n.\n\xff\xd9"
PASSWORD = "correct horse"

MESSAGE = Message(
    direction="in",
    number="+12025550143",
    peer="+13035550177",
    text="Is the shop open on Sunday?",
    created_at=1_780_000_000.5,
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
        if self.hangs_up:
            server.transport.close()
        assert isinstance(envelope.content, bytes)
        mail = email.message_from_bytes(envelope.content, policy=policy.default)
        assert isinstance(mail, EmailMessage)
        self.taken.append((envelope.mail_from or "", envelope.rcpt_tos, mail))
        return self.on_data


class LocalController(Controller):
    """A controller on whatever port is free."""

    def _trigger_server(self) -> None:
        assert self.server is not None
        self.port = self.server.sockets[0].getsockname()[1]
        super()._trigger_server()


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


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as running:
        yield running


def settings(**changed: Any) -> MailSettings:
    usual: dict[str, Any] = {
        "host": "127.0.0.1",
        "port": 25,
        "username": None,
        "password": None,
        "encryption": "none",
        "from_address": "texts@example.com",
        "from_name": None,
    }
    return MailSettings(**(usual | changed))


def mailer(**changed: Any) -> Mailer:
    return Mailer(settings(**changed), "Textbridge", "sms.example.com")


def sent(
    server: Server,
    message: Message,
    to: str = "desk@example.com",
    details: MailDetails = DETAILS,
) -> EmailMessage:
    mailer(port=server.port).send(message, to, details)
    return server.taken[-1][2]


def text_of(mail: EmailMessage) -> str:
    body = mail.get_body(("plain",))
    assert isinstance(body, EmailMessage)
    return str(body.get_content())


def failed(mailer: Mailer, message: Message = MESSAGE, to: str = "desk@example.com") -> MailError:
    with pytest.raises(MailError) as caught:
        mailer.send(message, to, DETAILS)
    assert PASSWORD not in caught.value.reason
    return caught.value


def test_a_text_arrives_as_a_plain_mail(server: Server) -> None:
    mail = sent(server, MESSAGE)
    [(sender, recipients, _)] = server.taken
    assert (sender, recipients) == ("texts@example.com", ["desk@example.com"])
    assert mail["Subject"] == "Text from +13035550177 to +12025550143"
    assert mail["From"] == "Textbridge <texts@example.com>"
    assert mail["To"] == "desk@example.com"
    assert mail["Date"] == "Thu, 28 May 2026 20:26:40 +0000"
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail["Reply-To"] is None
    assert mail.get_content_type() == "text/plain"
    assert text_of(mail).splitlines()[:5] == [
        "Is the shop open on Sunday?",
        "",
        "From: +13035550177",
        "To: +12025550143",
        "Received: 2026-05-28 20:26 UTC",
    ]


def test_a_group_says_with_whom(server: Server) -> None:
    others = [f"+1303555018{n}" for n in range(5)]
    mail = sent(server, replace(MESSAGE, participants=(*others, MESSAGE.peer)))
    assert mail["Subject"] == (
        "Text from +13035550177 to +12025550143 with "
        "+13035550180, +13035550181, +13035550182 and 2 more"
    )
    assert f"With: {', '.join(others)}\n" in text_of(mail).replace("\r\n", "\n")


def test_the_name_of_the_sender_may_hold_anything(server: Server) -> None:
    name = 'Müller, Söhne "x" <y@example.net>'
    mailer(port=server.port, from_name=name).send(MESSAGE, "desk@example.com", MailDetails())
    [address] = server.taken[0][2]["From"].addresses
    assert (address.display_name, address.addr_spec) == (name, "texts@example.com")


def test_repeats_have_one_message_id_and_every_address_its_own(server: Server) -> None:
    ids = [
        str(sent(server, message, to)["Message-ID"]).strip()
        for message, to in [
            (MESSAGE, "desk@example.com"),
            (replace(MESSAGE, updated_at=1.0), "Desk@Example.com"),
            (MESSAGE, "boss@example.com"),
            (replace(MESSAGE, id="0190f3a2-0000-7000-8000-000000000000"), "desk@example.com"),
        ]
    ]
    assert ids[0] == ids[1]
    assert len(set(ids)) == 3
    assert ids[0].startswith(f"<{MESSAGE.id}.")
    assert ids[0].endswith("@sms.example.com>")


@pytest.mark.parametrize(
    "text",
    [
        "one\ntwo\n\nthree",
        ".\n.\n..\n.leading\n.",
        "Subject: x\nBcc: someone@example.net\n\nbody",
        "From here on\n>From",
        "Grüße, Å…\u0085 and 😀👨‍👩‍👧🏽",
        "שלום \u200f(עולם)\u200e مرحبا \u202eevil\u202c",
        "line\u2028separator\u2029",
        "=20 =3D soft=\nbreak \t",
        "x" * 1600,
        "é" * 1600,
    ],
)
def test_a_text_is_read_as_it_was_written(server: Server, text: str) -> None:
    read = text_of(sent(server, replace(MESSAGE, text=text))).replace("\r\n", "\n")
    expected = text.replace("\u0085", "")
    assert read.startswith(expected + "\n\nFrom: +13035550177\n")
    assert len(server.taken) == 1


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\r\nBcc: x@example.net\r\n\r\nb", "a\nBcc: x@example.net\n\nb"),
        ("a\rb", "a\nb"),
        ("\r\n.\r\nMAIL FROM:<x@example.net>", "\n.\nMAIL FROM:<x@example.net>"),
        ("\0a\0b\x1b[31m\x07", "ab[31m"),
        ("\ud83d half", " half"),
    ],
)
def test_an_odd_text_makes_one_mail_to_one_address(server: Server, text: str, shown: str) -> None:
    mail = sent(server, replace(MESSAGE, text=text))
    assert [recipients for _, recipients, _ in server.taken] == [["desk@example.com"]]
    assert mail["Bcc"] is None
    assert text_of(mail).replace("\r\n", "\n").startswith(shown + "\n\nFrom: +13035550177\n")


@pytest.mark.parametrize(
    "odd",
    [
        *(
            "\r\nBcc: x@example.net",
            "\n.\n",
            "\u2028",
            "\u2029x",
            "\0",
            "\u202egnp",
            "\ud83d",
            "😀",
        ),
        "=?utf-8?q?=0ABcc=3A_x=40example.net?=",
    ],
)
@pytest.mark.parametrize("where", ["peer", "number", "participants"])
def test_an_odd_sender_stays_on_the_line_of_the_subject(
    server: Server, where: str, odd: str
) -> None:
    value = "MTN" + odd
    changed: dict[str, Any] = {where: (value,) if where == "participants" else value}
    mail = sent(server, replace(MESSAGE, **changed))
    assert [recipients for _, recipients, _ in server.taken] == [["desk@example.com"]]
    assert mail["Bcc"] is None
    subject = str(mail["Subject"])
    assert "MTN" in subject
    assert not set(subject) & set("\r\n\0\u2028\u2029\u202e\ud83d")
    assert ("😀" in subject) == (odd == "😀")


@pytest.mark.parametrize(
    "to",
    [
        "",
        "desk",
        "desk@",
        "@example.com",
        "desk@example.com\r\nBcc: x@example.net",
        "desk@example.com, x@example.net",
        "<desk@example.com>",
        "desk@example.com>",
        "de\0sk@example.com",
        "kärcher@example.com",
        "desk@example..com",
        "\u202edesk@example.com",
    ],
)
def test_what_is_no_address_is_refused_before_anything_is_sent(server: Server, to: str) -> None:
    error = failed(mailer(port=server.port), to=to)
    assert error.kind is Kind.REFUSED
    assert "Correct it in Message Settings" in error.reason
    assert "\n" not in error.reason
    assert server.taken == []


def test_a_domain_in_any_script_is_written_to(server: Server) -> None:
    sent(server, MESSAGE, "desk@müller.example")
    assert server.taken[0][1] == ["desk@xn--mller-kva.example"]


def attachment_file(folder: Path, name: str, content_type: str, content: bytes) -> Attachment:
    attachment = Attachment(name=name, content_type=content_type, size=len(content), state="kept")
    path = folder / attachment.id
    path.write_bytes(content)
    return replace(attachment, path=path)


def attachments(mail: EmailMessage) -> list[tuple[str | None, str, bytes]]:
    return [
        (part.get_filename(), part.get_content_type(), part.get_payload(decode=True))
        for part in mail.iter_attachments()
    ]


@pytest.mark.parametrize(
    ("name", "content_type", "shown", "typed"),
    [
        ("beach.jpg", "image/jpeg", "beach.jpg", "image/jpeg"),
        ("", "image/png", "attachment.png", "image/png"),
        ("list", "text/csv", "list.csv", "text/csv"),
        ("Grüße 😀.pdf", "application/pdf", "Grüße 😀.pdf", "application/pdf"),
        ("../../etc/x\r\nBcc: a.gif", "image/gif", ".._.._etc_x Bcc_ a.gif", "image/gif"),
        ("x\u202egpj.exe", "application/octet-stream", "xgpj.exe", "application/octet-stream"),
        ("x", "message/rfc822", "x.bin", "application/octet-stream"),
        ("x", "image/jpeg\r\nBcc: a@example.net", "x.bin", "application/octet-stream"),
    ],
)
def test_a_picture_is_attached_byte_for_byte(
    server: Server, tmp_path: Path, name: str, content_type: str, shown: str, typed: str
) -> None:
    mail = sent(
        server, replace(MESSAGE, media=(attachment_file(tmp_path, name, content_type, JPEG),))
    )
    assert attachments(mail) == [(shown, typed, JPEG)]
    assert text_of(mail).startswith(MESSAGE.text)
    assert server.taken[0][1] == ["desk@example.com"]


def test_a_file_name_makes_no_header(server: Server, tmp_path: Path) -> None:
    """Python's email package reads encoded words in it, with the end of a line in them."""
    name = "=?utf-8?q?=0AContent-Type=3A_text/html?=.jpg"
    mail = sent(
        server, replace(MESSAGE, media=(attachment_file(tmp_path, name, "image/jpeg", JPEG),))
    )
    assert [part.get_content_type() for part in mail.walk()] == [
        "multipart/mixed",
        "text/plain",
        "image/jpeg",
    ]
    assert "= ?utf-8" in str(next(iter(mail.iter_attachments())).get_filename())


def test_a_picture_without_a_text_says_so(server: Server, tmp_path: Path) -> None:
    picture = attachment_file(tmp_path, "beach.jpg", "image/jpeg", JPEG)
    mail = sent(server, replace(MESSAGE, text="", media=(picture,)))
    assert text_of(mail).startswith("(no text)")


def test_what_cannot_be_attached_is_named_with_its_reason(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.mail.message.MAX_ATTACHED_BYTES", 2000)
    half = bytes(1000)
    media = (
        Attachment(name="late.jpg", content_type="image/jpeg"),
        Attachment(name="gone.jpg", state="failed", reason="The carrier has it no longer.\r\n"),
        attachment_file(tmp_path, "half.mp4", "video/mp4", half),
        attachment_file(tmp_path, "more.mp4", "video/mp4", half + b"!"),
        attachment_file(tmp_path, "fits.mp4", "video/mp4", half),
        Attachment(name="lost.gif", state="kept", path=tmp_path / "lost"),
    )
    mail = sent(server, replace(MESSAGE, media=media))
    assert [name for name, _, _ in attachments(mail)] == ["half.mp4", "fits.mp4"]
    assert [line for line in text_of(mail).splitlines() if line.startswith("[")] == [
        "[late.jpg: this attachment had not arrived yet when the mail was written.]",
        "[gone.jpg: this attachment could not be fetched. The carrier has it no longer.]",
        "[more.mp4: this attachment is too large for a mail.]",
        "[lost.gif: this attachment is no longer kept.]",
    ]


def test_a_disk_that_cannot_be_read_now_sends_nothing(server: Server, tmp_path: Path) -> None:
    unreadable = Attachment(name="beach.jpg", state="kept", path=tmp_path)
    error = failed(mailer(port=server.port), replace(MESSAGE, media=(unreadable,)))
    assert error.kind is Kind.RETRY
    assert server.taken == []


@pytest.mark.parametrize(
    ("what", "answer", "kind", "code"),
    [
        ("on_rcpt", "550 5.1.1 No such user", Kind.REFUSED, "550"),
        ("on_rcpt", "450 4.2.0 Greylisted", Kind.RETRY, "450"),
        ("on_rcpt", "452 Too many recipients", Kind.RETRY, "452"),
        ("on_mail", "553 Sender not allowed", Kind.CONFIG, "553"),
        ("on_mail", "552 Too large", Kind.REFUSED, "552"),
        ("on_mail", "451 Later", Kind.RETRY, "451"),
        ("on_data", "554 Looks like spam", Kind.REFUSED, "554"),
        ("on_data", "451 Local error", Kind.RETRY, "451"),
        ("on_data", "421 Shutting down", Kind.RETRY, "421"),
    ],
)
def test_what_follows_from_an_answer(
    server: Server, what: str, answer: str, kind: Kind, code: str
) -> None:
    setattr(server, what, answer)
    error = failed(mailer(port=server.port))
    assert (error.kind, error.code) == (kind, code)
    assert answer in error.reason


def test_a_server_that_hangs_up_after_the_mail_is_tried_again(server: Server) -> None:
    server.hangs_up = True
    error = failed(mailer(port=server.port))
    assert error.kind is Kind.RETRY
    assert "hung up" in error.reason
    assert len(server.taken) == 1


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def test_a_refused_connection_is_tried_again() -> None:
    error = failed(mailer(port=free_port()))
    assert (error.kind, error.code) == (Kind.RETRY, None)
    assert error.reason == "The mail server 127.0.0.1 was not reached: Connection refused."


def test_a_host_that_cannot_exist_is_a_matter_for_the_operator() -> None:
    error = failed(mailer(host="mail..example.com"))
    assert error.kind is Kind.CONFIG
    assert "MAIL_HOST" in error.reason


@contextmanager
def speaking(speak: Callable[[socket.socket], None]) -> Iterator[int]:
    """A server that does with its one connection what ``speak`` does."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def accept() -> None:
            connection, _ = listener.accept()
            with connection:
                speak(connection)

        thread = Thread(target=accept)
        thread.start()
        yield int(listener.getsockname()[1])
        thread.join()


@pytest.mark.parametrize(
    ("greeting", "kind", "code"),
    [
        (b"554 No mail from there\r\n", Kind.CONFIG, "554"),
        (b"421 Busy\r\n", Kind.RETRY, "421"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", Kind.RETRY, "-1"),
        (b"", Kind.RETRY, None),
    ],
)
def test_what_follows_from_a_greeting(greeting: bytes, kind: Kind, code: str | None) -> None:
    with speaking(lambda connection: connection.sendall(greeting)) as port:
        error = failed(mailer(port=port))
    assert (error.kind, error.code) == (kind, code)


def test_a_server_that_stays_silent_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Mailer, "seconds", 0.2)
    with speaking(lambda connection: connection.recv(1)) as port:
        error = failed(mailer(port=port))
    assert error.kind is Kind.RETRY


UNDER_GEVENT = """
from gevent import monkey; monkey.patch_all()
import sys
from services.config.sections import MailSettings
from services.core.errors import MailError
from services.mail.mailer import Mailer
from services.mail.details import MailDetails
from services.core.messages import Message
settings = MailSettings(host="127.0.0.1", port=int(sys.argv[1]), username=None, password=None,
                        encryption="none", from_address="texts@example.com", from_name=None)
Mailer.seconds = 0.5
try:
    Mailer(settings, "Textbridge", "sms.example.com").send(
        Message("in", "+12025550143", "+13035550177"), "desk@example.com", MailDetails())
except MailError as error:
    print(error.kind, error.reason)
"""


def sent_under_gevent(port: int) -> str:
    """What a process like the server's own says of its attempt: nothing if the mail was taken."""
    done = subprocess.run(
        [sys.executable, "-c", UNDER_GEVENT, str(port)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stderr == ""
    return done.stdout


def test_a_tarpit_is_left_at_the_deadline() -> None:
    def drip(connection: socket.socket) -> None:
        with suppress(OSError):
            while True:
                connection.sendall(b"2")
                Event().wait(0.05)

    with speaking(drip) as port:
        said = sent_under_gevent(port)
    assert said.startswith("retry The mail server 127.0.0.1 was not done within")


def test_a_mail_that_is_taken_is_done_whatever_the_server_says_to_quit() -> None:
    def silent_at_the_end(connection: socket.socket) -> None:
        with connection.makefile("rb") as lines:
            for answer in (b"220 Hello", b"250 Hello", b"250 OK", b"250 OK", b"354 Go on"):
                connection.sendall(answer + b"\r\n")
                heard.append(lines.readline())
            heard.extend(iter(lines.readline, b".\r\n"))
            connection.sendall(b"250 Taken\r\n")
            heard.extend(lines)

    heard: list[bytes] = []
    with speaking(silent_at_the_end) as port:
        assert sent_under_gevent(port) == ""
    assert heard[-1] == b"quit\r\n"


@pytest.mark.parametrize(
    ("missing", "name"), [("host", "MAIL_HOST"), ("from_address", "MAIL_FROM_ADDRESS")]
)
def test_what_is_not_set_is_named_with_its_remedy(missing: str, name: str) -> None:
    error = failed(mailer(**{missing: None}))
    assert error.kind is Kind.CONFIG
    assert error.reason.startswith(f"{name} is not set. Set it in .env")


@dataclass(frozen=True)
class Certificate:
    """A certificate for 127.0.0.1 that signs itself, and the server's side of TLS with it."""

    file: Path
    context: ssl.SSLContext


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    program = shutil.which("openssl")
    if program is None:
        pytest.skip("openssl is not installed")
    folder = tmp_path_factory.mktemp("tls")
    subprocess.run(
        [
            *(program, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"),
            *("-subj", "/CN=mail.example.com", "-addext", "subjectAltName=IP:127.0.0.1"),
            *("-keyout", folder / "key.pem", "-out", folder / "cert.pem"),
        ],
        check=True,
        capture_output=True,
    )
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    return Certificate(folder / "cert.pem", context)


@pytest.fixture
def trusted(certificate: Certificate, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate.file))


def authenticate(
    server: SMTP, session: Session, envelope: Envelope, mechanism: str, credentials: Any
) -> AuthResult:
    right = LoginPassword(b"texts", PASSWORD.encode())
    return AuthResult(success=credentials == right, handled=False)


@contextmanager
def serving_tls(certificate: Certificate, **options: Any) -> Iterator[Server]:
    with serving(
        tls_context=certificate.context,
        authenticator=authenticate,
        auth_required=True,
        **({"require_starttls": True} | options),
    ) as running:
        yield running


ACCOUNT = {"username": "texts", "password": PASSWORD}


@pytest.mark.usefixtures("trusted")
@pytest.mark.parametrize("written", ["tls", "starttls", None])
def test_a_mail_goes_encrypted_and_logged_in(certificate: Certificate, written: str | None) -> None:
    with serving_tls(certificate) as server:
        secure = mailer(port=server.port, encryption=written, **ACCOUNT)
        secure.check()
        assert server.taken == []
        secure.send(MESSAGE, "desk@example.com", MailDetails())
        assert len(server.taken) == 1


@pytest.mark.usefixtures("trusted")
@pytest.mark.parametrize("written", ["ssl", "smtps"])
def test_a_mail_goes_encrypted_from_the_first_byte(
    certificate: Certificate, written: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(ssl_context=certificate.context) as server:
        mailer(port=server.port, encryption=written).send(
            MESSAGE, "desk@example.com", MailDetails()
        )
        monkeypatch.setattr("services.mail.mailer.IMPLICIT_TLS_PORT", server.port)
        mailer(port=server.port, encryption=None).send(MESSAGE, "desk@example.com", MailDetails())
        assert len(server.taken) == 2


@pytest.mark.parametrize("written", ["tls", "ssl"])
def test_a_certificate_that_nobody_vouches_for_is_not_trusted(
    certificate: Certificate, written: str
) -> None:
    at_once = {"ssl_context": certificate.context} if written == "ssl" else {}
    later = {"tls_context": certificate.context} if written == "tls" else {}
    with serving(**at_once, **later) as server:
        error = failed(mailer(port=server.port, encryption=written))
        assert error.kind is Kind.CONFIG
        assert "certificate that cannot be trusted: self-signed" in error.reason
        assert server.taken == []


@pytest.mark.usefixtures("trusted")
def test_a_certificate_for_another_host_is_not_trusted(certificate: Certificate) -> None:
    with serving(tls_context=certificate.context) as server:
        error = failed(mailer(host="localhost", port=server.port, encryption="tls"))
        assert error.kind is Kind.CONFIG
        assert "Hostname mismatch" in error.reason
        assert server.taken == []


@pytest.mark.usefixtures("trusted")
def test_whom_to_trust_is_read_once_and_not_for_each_mail(
    certificate: Certificate, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = Mock(side_effect=ssl.create_default_context)
    with serving(tls_context=certificate.context) as server:
        monkeypatch.setattr(ssl, "create_default_context", read)
        secure = mailer(port=server.port, encryption="tls")
        for _ in range(3):
            secure.send(MESSAGE, "desk@example.com", MailDetails())
        assert len(server.taken) == 3
    assert read.call_count == 1


def test_where_encryption_is_left_open_an_unknown_certificate_will_do(
    certificate: Certificate,
) -> None:
    with serving(tls_context=certificate.context, require_starttls=True) as server:
        mailer(port=server.port, encryption=None).send(MESSAGE, "desk@example.com", MailDetails())
        assert len(server.taken) == 1


def test_encryption_that_is_asked_for_and_not_offered_sends_nothing(server: Server) -> None:
    error = failed(mailer(port=server.port, encryption="tls", **ACCOUNT))
    assert error.kind is Kind.CONFIG
    assert "offers no encryption" in error.reason
    assert server.taken == []


def test_a_plain_server_on_the_encrypted_port_is_tried_again_with_a_hint(server: Server) -> None:
    error = failed(mailer(port=server.port, encryption="ssl"))
    assert error.kind is Kind.RETRY
    assert "check MAIL_PORT and MAIL_ENCRYPTION" in error.reason


@pytest.mark.parametrize(
    "account",
    [
        {"username": "texts", "password": "wrong"},
        {"username": "texts", "password": None},
        {"username": "nobody", "password": PASSWORD},
    ],
)
def test_a_wrong_password_is_a_matter_for_the_operator(
    certificate: Certificate, account: dict[str, Any]
) -> None:
    with serving_tls(certificate) as server:
        error = failed(mailer(port=server.port, encryption=None, **account))
        assert (error.kind, error.code) == (Kind.CONFIG, "535")
        assert "MAIL_USERNAME and MAIL_PASSWORD" in error.reason
        with pytest.raises(MailError):
            mailer(port=server.port, encryption=None, **account).check()


def test_a_server_that_wants_a_login_and_gets_none_says_so(certificate: Certificate) -> None:
    with serving_tls(certificate) as server:
        error = failed(mailer(port=server.port, encryption=None))
        assert (error.kind, error.code) == (Kind.CONFIG, "530")


def test_a_server_without_a_login_names_the_remedy(server: Server) -> None:
    error = failed(mailer(port=server.port, **ACCOUNT))
    assert error.kind is Kind.CONFIG
    assert "no way to log in" in error.reason
    assert "leave MAIL_USERNAME empty" in error.reason


def test_a_password_that_cannot_be_sent_names_the_remedy(certificate: Certificate) -> None:
    with serving_tls(certificate) as server:
        account = {"username": "texts", "password": "hübsch"}
        error = failed(mailer(port=server.port, encryption=None, **account))
        assert error.kind is Kind.CONFIG
        assert "plain letters" in error.reason
        assert "hübsch" not in error.reason


@pytest.mark.parametrize(
    ("answer", "kind"), [("535 You said: ", Kind.CONFIG), ("454 Not now: ", Kind.RETRY)]
)
@pytest.mark.parametrize("method", ["PLAIN", "LOGIN"])
def test_a_password_that_the_server_repeats_is_not_shown(
    answer: str, kind: Kind, method: str
) -> None:
    def repeat(connection: socket.socket) -> None:
        lines = connection.makefile("rb")
        connection.sendall(b"220 Hello\r\n")
        lines.readline()
        connection.sendall(f"250-Hello\r\n250 AUTH {method}\r\n".encode())
        said = lines.readline()
        if method == "LOGIN":
            connection.sendall(b"334 UGFzc3dvcmQ6\r\n")
            said = lines.readline()
        connection.sendall(answer.encode() + said.strip() + f" ({PASSWORD})\r\n".encode())
        lines.read()
        lines.close()

    with speaking(repeat) as port:
        error = failed(mailer(port=port, **ACCOUNT))
    assert error.kind is kind
    assert error.reason.endswith("•••••••• (••••••••)")
