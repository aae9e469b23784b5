"""The mail that says why an answer by e-mail was not sent as a text (RFC 3834)."""

from datetime import UTC, datetime
from email import policy
from email.headerregistry import Address
from email.message import EmailMessage

from services.core.messages import uuid7


def build_refusal(
    sender: Address,
    recipient: Address,
    title: str,
    reason: str,
    answered_id: str,
    id_domain: str,
) -> EmailMessage:
    """A mail with a reason in plain words, and nothing of the conversation but what is in it.

    ``answered_id`` is the Message-ID of the mail that it answers, or empty. No mail program answers
    it by itself.
    """
    mail = EmailMessage(policy=policy.SMTP)
    mail["Subject"] = title
    mail["From"] = sender
    mail["To"] = recipient
    mail["Date"] = datetime.now(UTC)
    mail["Message-ID"] = f"<{uuid7()}@{id_domain}>"
    if answered_id:
        mail["In-Reply-To"] = answered_id
        mail["References"] = answered_id
    mail["Auto-Submitted"] = "auto-replied"
    mail["X-Auto-Response-Suppress"] = "All"  # Exchange heeds this instead of Auto-Submitted
    mail.set_content(f"{title}.\n\n{reason}\n", cte="quoted-printable")
    return mail
