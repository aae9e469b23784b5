"""Mailer, with a real SMTP server on this machine (aiosmtpd)."""

import shutil
import socket
import ssl
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Thread
from typing import Any
from unittest.mock import Mock

import pytest
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from services.core.errors import Kind, MailError
from services.mail.details import MailDetails
from services.mail.mailer import Mailer
from tests.mail.smtp_server import MESSAGE, PASSWORD, Server, failed, mailer, serving


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
from services.mail.mailer import Mailer
from services.core.messages import Message
settings = MailSettings(host="127.0.0.1", port=int(sys.argv[1]), username=None, password=None,
                        encryption="none", from_address="texts@example.com", from_name=None,
                        language="en")
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
