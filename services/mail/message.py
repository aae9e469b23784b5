"""The e-mail (RFC 5322) for one text message: subject, body, attachments, Message-ID."""

import hashlib
import mimetypes
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email import policy
from email.headerregistry import Address
from email.message import EmailMessage
from pathlib import PurePath

from services.core.errors import Kind, MailError
from services.core.local_time import LocalTime
from services.core.messages import Attachment, Message
from services.mail.headers import one_line

# Sum of all attachments. Base64 adds a third, and many mail servers refuse more than 30 MB.
MAX_ATTACHED_BYTES = 20_000_000

CONTENT_TYPE = re.compile(r"(image|audio|video|text|application)/[a-z0-9.+-]+", re.ASCII)
FILE_TYPES = mimetypes.MimeTypes()  # Python's own table, independent of the machine


@dataclass(frozen=True, slots=True)
class MailDetails:
    """What a mail shows besides its message.

    ``names`` are contact names by address, ``description`` is that of our number. ``link`` opens
    the conversation in the phone app. What is not known is empty.
    """

    names: Mapping[str, str] = field(default_factory=dict)
    description: str = ""
    link: str = ""


def build_mail(
    message: Message,
    details: MailDetails,
    sender: Address,
    recipient: Address,
    id_domain: str,
    local_time: LocalTime,
) -> EmailMessage:
    """The e-mail for a text message, with its attachments.

    ``id_domain`` is the right side of the Message-ID. The Message-ID depends on message and
    recipient only, so that mailboxes recognise a repeated mail. Raises ``MailError`` when an
    attachment cannot be read from the disk.
    """
    mail = EmailMessage(policy=policy.SMTP)
    mail["Subject"] = _subject(message)
    mail["From"] = sender
    mail["To"] = recipient
    mail["Date"] = datetime.fromtimestamp(int(message.created_at), UTC)
    mail["Message-ID"] = f"<{message.id}.{_short_hash(recipient)}@{id_domain}>"
    mail["Auto-Submitted"] = "auto-generated"
    attached, notes = _read_attachments(message.media)
    mail.set_content(_body(message, notes, local_time), cte="quoted-printable")
    for file, content in attached:
        maintype, _, subtype = _content_type(file).partition("/")
        mail.add_attachment(content, maintype, subtype, filename=_file_name(file))
    return mail


def _short_hash(address: Address) -> str:
    return hashlib.sha256(address.addr_spec.lower().encode()).hexdigest()[:12]


def _other_members(message: Message) -> list[str]:
    return [one_line(member, 40) for member in message.participants if member != message.peer]


def _subject(message: Message) -> str:
    subject = f"Text from {one_line(message.peer, 40)} to {one_line(message.number, 40)}"
    others = _other_members(message)
    if not others:
        return subject
    more = f" and {len(others) - 3} more" if len(others) > 3 else ""
    return f"{subject} with {', '.join(others[:3])}{more}"


def _body(message: Message, notes: list[str], local_time: LocalTime) -> str:
    text = "".join(
        c for c in message.text if c in "\n\r\t" or unicodedata.category(c) not in {"Cc", "Cs"}
    )
    when = local_time.of(message.created_at)
    others = _other_members(message)
    lines = [
        f"From: {one_line(message.peer, 40)}",
        f"To: {one_line(message.number, 40)}",
        *([f"With: {', '.join(others)}"] if others else []),
        f"Received: {when:%Y-%m-%d %H:%M %Z}",
    ]
    parts = [
        text or "(no text)",
        *notes,
        "\n".join(lines),
        "Please do not answer this mail: answers are not sent on as texts.",
    ]
    return "\n\n".join(parts) + "\n"


def _read_attachments(
    files: tuple[Attachment, ...],
) -> tuple[list[tuple[Attachment, bytes]], list[str]]:
    """The files to attach, with their bytes, and a note for each file that is left out."""
    attached, notes, bytes_left = [], [], MAX_ATTACHED_BYTES
    for file in files:
        content = _content(file, bytes_left)
        if isinstance(content, str):
            notes.append(f"[{_file_name(file)}: {content}]")
        else:
            attached.append((file, content))
            bytes_left -= len(content)
    return attached, notes


def _content(file: Attachment, max_bytes: int) -> bytes | str:
    """The bytes of an attachment, or the reason why it is left out."""
    if file.state == "failed":
        return f"this attachment could not be fetched. {one_line(file.reason or '', 300)}".rstrip()
    if file.state == "pending" or file.path is None:
        return "this attachment had not arrived yet when the mail was written."
    try:
        if file.path.stat().st_size > max_bytes:
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
    name = re.sub(r"[/\\:]", "_", one_line(file.name, 120)) or "attachment"
    extension = FILE_TYPES.guess_extension(_content_type(file), strict=False) or ""
    return name if PurePath(name).suffix else name + extension
