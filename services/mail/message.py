"""The e-mail (RFC 5322) for one text message: headers, body, pictures and other files."""

import hashlib
from email import policy
from email.headerregistry import Address
from email.message import EmailMessage

from services.core.local_time import LocalTime
from services.core.messages import Message
from services.core.segments import split
from services.mail.attachments import MailFile, read_files
from services.mail.body import MailBody, as_html, as_plain_text, mail_body
from services.mail.details import MailDetails
from services.mail.headers import one_line
from services.mail.reply_address import AnswerAddress
from services.mail.words import MailWords

MOST_QUOTED = 60  # characters of the text in the subject
MOST_NAMED = 4  # receivers in the subject: our number and members of a group


def build_mail(
    message: Message,
    details: MailDetails,
    sender: Address,
    recipient: Address,
    id_domain: str,
    local_time: LocalTime,
    words: MailWords,
    answers: AnswerAddress | None = None,
) -> EmailMessage:
    """The e-mail for a text message, with its attachments; ``answers`` is for what answers it.

    ``id_domain`` is the right side of all ids. The Message-ID depends on message and recipient
    only, so that mailboxes recognise a repeated mail. All mails of a conversation to one recipient
    refer to the same id, of a mail that was never sent, so that mailboxes show them as one thread.
    Raises ``MailError`` when an attachment cannot be read from the disk.
    """
    files, notes = read_files(message.media, id_domain, words)
    days = answers.days if answers is not None else None
    mail = _content(mail_body(message, details, notes, local_time, words, days), files)
    mail["Subject"] = _subject(message, details, words)
    mail["From"] = sender
    if answers is not None:
        mail["Reply-To"] = Address(sender.display_name, addr_spec=answers.address)
    mail["To"] = recipient
    mail["Date"] = local_time.of(int(message.created_at))
    address = recipient.addr_spec.lower()
    mail["Message-ID"] = f"<{message.id}.{_short_hash(address)}@{id_domain}>"
    # Short, so that the header stays in one line: Python folds a longer one before its value.
    thread = f"<thread.{_short_hash(f'{message.conversation_id} {address}')}@{id_domain}>"
    mail["In-Reply-To"] = thread
    mail["References"] = thread
    mail["Auto-Submitted"] = "auto-generated"
    return mail


def _short_hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _subject(message: Message, details: MailDetails, words: MailWords) -> str:
    others = [details.name(member) for member in details.other_members(message)]
    receivers = words.shortened([details.our_name(message.number), *others], MOST_NAMED)
    return words.subject(details.name(message.peer), receivers, _said(message, words))


def _said(message: Message, words: MailWords) -> str:
    """The first words of the text, or what was sent without one."""
    line = one_line(message.text, 4 * MOST_QUOTED)
    if not line:
        return words.sent([file.content_type for file in message.media])
    first, *more = split(line, MOST_QUOTED, width=lambda _: 1)
    return words.quoted(first.rstrip() + "…" if more else first)


def _content(body: MailBody, files: list[MailFile]) -> EmailMessage:
    """A mail without headers: body in two forms, pictures that it shows, other files.

    Pictures are not within ``multipart/alternative``, so that programs that show plain text list
    them as files. Sent once, with a file name, a picture is shown in the text and can be saved.
    """
    pictures = [file for file in files if file.is_shown]
    mail = EmailMessage(policy=policy.SMTP)
    mail.set_content(as_plain_text(body), cte="quoted-printable")
    mail.add_alternative(as_html(body, pictures), subtype="html", cte="quoted-printable")
    if pictures:
        mail = _around(mail, "related")
        mail.set_param("type", "multipart/alternative")  # RFC 2387 §3.1
    for file in pictures:
        mail.add_related(
            file.content,
            *file.content_type.split("/"),
            cid=f"<{file.content_id}>",
            filename=file.name,
            disposition="inline",
        )
    if len(pictures) < len(files):
        mail.make_mixed()
    for file in files:
        if not file.is_shown:
            mail.add_attachment(file.content, *file.content_type.split("/"), filename=file.name)
    return mail


def _around(part: EmailMessage, subtype: str) -> EmailMessage:
    """A multipart with one part."""
    outer = EmailMessage(policy=policy.SMTP)
    outer["MIME-Version"] = "1.0"
    outer["Content-Type"] = f"multipart/{subtype}"
    outer.attach(part)
    return outer
