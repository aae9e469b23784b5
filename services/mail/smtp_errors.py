"""Turns SMTP and connection errors into ``MailError``: retry, refuse, or wrong configuration."""

import base64
import smtplib
import ssl

from services.config.sections import MailSettings
from services.core.errors import Kind, MailError
from services.mail.headers import one_line

# What the server refused, and the decision for a reply code of 500 or more (RFC 5321 §4.2.1).
REFUSALS: dict[type[smtplib.SMTPException], tuple[str, Kind]] = {
    smtplib.SMTPAuthenticationError: (
        "does not accept MAIL_USERNAME and MAIL_PASSWORD",
        Kind.CONFIG,
    ),
    smtplib.SMTPSenderRefused: ("takes no mail from MAIL_FROM_ADDRESS", Kind.CONFIG),
    smtplib.SMTPRecipientsRefused: ("takes no mail for this address", Kind.REFUSED),
    smtplib.SMTPDataError: ("did not take the mail", Kind.REFUSED),
}
TOO_LARGE = 552  # RFC 1870 §6.1: the reply to MAIL FROM, although it concerns this mail only


def misconfigured(reason: str, remedy: str) -> MailError:
    """The error for a mistake in the ``MAIL_*`` variables."""
    return MailError(f"{reason} {remedy}", Kind.CONFIG)


def smtp_error(error: smtplib.SMTPException, server_name: str, settings: MailSettings) -> MailError:
    """The error for a reply of the mail server, or for a lost connection.

    ``server_name`` begins the sentence. The reply is quoted without the password in ``settings``.
    """
    what, decision = REFUSALS.get(type(error), ("does not serve us", Kind.CONFIG))
    reply: bytes | str
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        code, reply = next(iter(error.recipients.values()))
    elif isinstance(error, smtplib.SMTPResponseException):
        code, reply = error.smtp_code, error.smtp_error
    elif isinstance(error, smtplib.SMTPServerDisconnected):
        reason = f"{server_name} hung up or fell silent before it took the mail."
        return MailError(reason, Kind.RETRY)
    else:
        return misconfigured(
            f"{server_name} offers no way to log in that fits this connection.",
            "Set MAIL_ENCRYPTION=tls, or leave MAIL_USERNAME empty if it needs none.",
        )
    if code == TOO_LARGE:
        what, decision = REFUSALS[smtplib.SMTPDataError]
    reason = f"{server_name} {what}: {code} {_without_password(reply, settings)}"
    return MailError(reason, decision if code >= 500 else Kind.RETRY, code=str(code))


def connection_error(error: OSError | UnicodeError, server_name: str) -> MailError:
    """The error for a connection that failed or broke."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return misconfigured(
            f"{server_name} shows a certificate that cannot be trusted: "
            f"{error.verify_message.rstrip('.')}.",
            "Write MAIL_HOST as it stands in the certificate, or have the certificate renewed.",
        )
    if isinstance(error, UnicodeError):
        return misconfigured(f"{server_name} has no valid name.", "Correct MAIL_HOST.")
    if isinstance(error, ssl.SSLError):
        hint = "If this stays so, check MAIL_PORT and MAIL_ENCRYPTION."
        return MailError(f"{server_name} broke off the encryption. {hint}", Kind.RETRY)
    why = error.strerror or "it did not answer in time"
    return MailError(f"{server_name} was not reached: {why}.", Kind.RETRY)


def _without_password(reply: bytes | str, settings: MailSettings) -> str:
    """A reply as one line without the password: some servers quote the line that they refuse."""
    text = reply.decode("utf-8", "replace") if isinstance(reply, bytes) else reply
    password = settings.password
    if password:
        plain = f"\0{settings.username}\0{password}"  # SASL PLAIN (RFC 4616)
        for sent in (plain, password):
            text = text.replace(base64.b64encode(sent.encode()).decode(), "••••••••")
        text = text.replace(password, "••••••••")
    return one_line(text, 300)
