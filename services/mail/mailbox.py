"""IMAP client for the mailbox into which answers come (RFC 9051, IDLE of RFC 2177)."""

import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import date, timedelta
from typing import Any

from imapclient import FLAGGED, SEEN, IMAPClient, SocketTimeout
from imapclient.exceptions import IMAPClientError, LoginError

from services.config.sections import ImapSettings
from services.core.errors import Kind, MailError
from services.http.deadline import DeadlineExceeded, deadline
from services.mail.headers import one_line
from services.mail.inbound_mail import MOST_BYTES

# What the methods of a session raise; ``Mailbox.session`` turns it into ``MailError``.
CONNECTION_ERRORS = (OSError, IMAPClientError, DeadlineExceeded)
IMPLICIT_TLS_PORT, PLAIN_PORT = 993, 143
MOST_AT_ONCE = 200  # mails of one look
NOTICE_SECONDS = 0.5  # until a wait ends after ``alive`` says no


class Mailbox:
    """A folder of the mailbox of ``IMAP_*``. Every step has a total deadline."""

    seconds = 30.0  # of a step
    fetch_seconds = 120.0  # of a step that fetches a whole mail

    def __init__(self, settings: ImapSettings) -> None:
        self._settings = settings
        self._server_name = f"The IMAP server {settings.host}"

    @contextmanager
    def session(self) -> Iterator["MailboxSession"]:
        """A connection that is logged in, with the folder open. Raises ``MailError``."""
        client: IMAPClient | None = None
        try:
            with deadline(self.seconds):
                client = self._connect()
                self._secure(client)
                self._login(client)
                validity = self._open(client)
            yield MailboxSession(self, client, validity)
        except DeadlineExceeded:
            raise MailError(f"{self._server_name} did not answer in time.", Kind.RETRY) from None
        except IMAPClientError as error:
            reason = f"{self._server_name} does not serve us: {self._without_password(error)}"
            raise MailError(reason, Kind.RETRY) from None
        except ssl.SSLCertVerificationError as error:
            raise _misconfigured(
                f"{self._server_name} shows a certificate that cannot be trusted: "
                f"{error.verify_message.rstrip('.')}.",
                "Write IMAP_HOST as it stands in the certificate, or have the certificate renewed.",
            ) from None
        except UnicodeError:
            raise _misconfigured(f"{self._server_name} has no valid name.", "Correct it.") from None
        except ssl.SSLError:
            hint = "If this stays so, check IMAP_PORT and IMAP_ENCRYPTION."
            reason = f"{self._server_name} broke off the encryption. {hint}"
            raise MailError(reason, Kind.RETRY) from None
        except OSError as error:
            why = error.strerror or "it did not answer in time"
            raise MailError(f"{self._server_name} was not reached: {why}.", Kind.RETRY) from None
        finally:
            if client is not None:
                _close(client)

    def check(self) -> None:
        """Log in and open the folder. Raises ``MailError``."""
        with self.session():
            pass

    def _connect(self) -> IMAPClient:
        known = self._settings
        uses_ssl = known.encryption == "ssl"
        port = known.port or (IMPLICIT_TLS_PORT if uses_ssl else PLAIN_PORT)
        return IMAPClient(
            known.host,
            port,
            ssl=uses_ssl,
            ssl_context=ssl.create_default_context() if uses_ssl else None,
            timeout=SocketTimeout(self.seconds, self.seconds),
        )

    def _secure(self, client: IMAPClient) -> None:
        if self._settings.encryption != "tls":
            return
        if not client.has_capability("STARTTLS"):
            raise _misconfigured(
                f"{self._server_name} offers no encryption (STARTTLS).",
                "Set IMAP_ENCRYPTION=ssl and the port for it, usually 993.",
            )
        client.starttls(ssl.create_default_context())

    def _login(self, client: IMAPClient) -> None:
        try:
            client.login(self._settings.username, self._settings.password)
        except UnicodeError:
            raise _misconfigured(
                "IMAP_USERNAME or IMAP_PASSWORD holds letters that a log-in cannot carry.",
                "Use a password of plain letters (without accents), digits and signs.",
            ) from None
        except LoginError as error:
            raise _misconfigured(
                f"{self._server_name} does not accept IMAP_USERNAME and IMAP_PASSWORD: "
                f"{self._without_password(error)}.",
                "Correct them; some providers want a password for apps.",
            ) from None

    def _open(self, client: IMAPClient) -> int:
        """Open the folder; returns its UIDVALIDITY."""
        try:
            return int(client.select_folder(self._settings.folder).get(b"UIDVALIDITY", 0))
        except IMAPClientError as error:
            if not client.folder_exists(self._settings.folder):
                raise _misconfigured(
                    f"{self._server_name} has no folder “{self._settings.folder}”.",
                    "Correct IMAP_FOLDER.",
                ) from None
            raise error from None

    def _without_password(self, error: Exception) -> str:
        said = one_line(str(error), 300).rstrip(".")
        return said.replace(self._settings.password, "••••••••")


class MailboxSession:
    """An open folder. Its methods raise ``CONNECTION_ERRORS``."""

    def __init__(self, mailbox: Mailbox, client: IMAPClient, validity: int) -> None:
        """``validity``: mails keep their numbers as long as it stays the same."""
        self.validity = validity
        self._mailbox = mailbox
        self._client = client

    def unread(self, days: int) -> list[int]:
        """The numbers of unread mails of the last days, the oldest first."""
        since = date.today() - timedelta(days=days)
        with deadline(self._mailbox.seconds):
            return sorted(map(int, self._client.search(["UNSEEN", "SINCE", since])))

    def heads(self, uids: list[int]) -> dict[int, bytes]:
        """The heads of mails, at most ``MOST_AT_ONCE``; one that is gone meanwhile is left out."""
        if not uids:
            return {}
        with deadline(self._mailbox.seconds):
            found = self._client.fetch(uids[:MOST_AT_ONCE], [b"BODY.PEEK[HEADER]"])
        return {uid: _bytes(found.get(uid, {}), b"BODY[HEADER]") for uid in uids if uid in found}

    def content(self, uid: int) -> bytes | None:
        """A whole mail, or ``None`` if it is larger than ``MOST_BYTES``."""
        with deadline(self._mailbox.fetch_seconds):
            if int(self._fetched(uid, b"RFC822.SIZE", b"RFC822.SIZE")) > MOST_BYTES:
                return None
            return bytes(self._fetched(uid, b"BODY.PEEK[]", b"BODY[]"))

    def _fetched(self, uid: int, item: bytes, name: bytes) -> Any:
        """An item of a mail. One that was removed meanwhile must not look like an empty one."""
        found = self._client.fetch([uid], [item]).get(uid, {})
        if name not in found:
            raise IMAPClientError("a mail was removed while it was read")
        return found[name]

    def mark(self, uid: int, *, flagged: bool) -> None:
        """Mark a mail as read, and as one that a person should look at."""
        with deadline(self._mailbox.seconds):
            self._client.add_flags([uid], [SEEN, FLAGGED] if flagged else [SEEN], silent=True)

    def wait(self, seconds: float, alive: Callable[[], bool]) -> None:
        """Wait until something is new, or for so long, or until ``alive`` says no."""
        end = time.monotonic() + seconds
        if not self._client.has_capability("IDLE"):
            while alive() and time.monotonic() < end:
                time.sleep(NOTICE_SECONDS)
            return
        with deadline(seconds + self._mailbox.seconds):
            self._client.idle()
            while alive() and time.monotonic() < end:
                if any(_is_news(each) for each in self._client.idle_check(NOTICE_SECONDS)):
                    break
            self._client.idle_done()


def _bytes(answer: dict[bytes, Any], name: bytes) -> bytes:
    content = answer.get(name)
    return content if isinstance(content, bytes) else b""


def _is_news(response: Any) -> bool:
    """Whether a line of IDLE is more than a sign of life (``* OK Still here``)."""
    return not (isinstance(response, tuple) and response[:1] == (b"OK",))


def _close(client: IMAPClient) -> None:
    with suppress(OSError, IMAPClientError, DeadlineExceeded), deadline(2.0):
        client.logout()
    with suppress(OSError, IMAPClientError):
        client.shutdown()


def _misconfigured(reason: str, remedy: str) -> MailError:
    return MailError(f"{reason} {remedy}", Kind.CONFIG)
