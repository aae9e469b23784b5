"""Reading a mail that answers one of ours: its head, and then its new text and files.

Whatever bytes a mail consists of, reading it raises nothing: what cannot be texted has a
``trouble``.
"""

import re
from dataclasses import dataclass
from email.message import Message as ParsedMail
from email.parser import BytesHeaderParser, BytesParser
from email.policy import compat32

from services.core.language import sentence
from services.core.messages import clean
from services.mail.automatic import why_automatic
from services.mail.mail_parts import ReceivedFile, content_of
from services.mail.reply_text import (
    MOST_TEXT,
    has_answer_within,
    new_part,
    only_greets,
    points_below,
)

MOST_BYTES = 30_000_000  # of a mail: base64 makes 20 MB of files 27 MB
MOST_HEAD = 200_000  # bytes of its head
MOST_LINES = 1_000_000
MOST_BOUNDARIES = 60  # of parts within parts: Python's parser compares each line with all
# The headers in which servers note to which address a mail was delivered, and those of its writer.
RECIPIENT_HEADERS = ("Delivered-To", "X-Original-To", "Envelope-To", "X-Envelope-To", "To", "Cc")
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"')
_WORD = r"[^\s<>\"(),;:@]"
_IN_BRACKETS = re.compile(rf"<\s*({_WORD}+@{_WORD}+)\s*>")
_BARE = re.compile(rf"(?<![@\w]){_WORD}+@{_WORD}+(?!@)")
_MESSAGE_ID = re.compile(r"<[^<>\s]{1,500}>")
_QUOTED_LINE = re.compile(r"^[ \t]{0,9}>", re.MULTILINE)

UNREADABLE = sentence(
    "It cannot be read: it is not put together as mails are. Write a new answer with a usual mail "
    "program."
)
ENCRYPTED = sentence(
    "It is encrypted, and Textbridge has no key. Write it again without encryption (in many "
    "programs: S/MIME or PGP off)."
)
WINMAIL = sentence(
    "Outlook has packed it, or its files, as winmail.dat, which Textbridge cannot open. Write it "
    "again as HTML or plain text (in Outlook: Format Text, then HTML)."
)
TOO_LONG = sentence("It has more than {characters} characters. Write a shorter one.")
TOO_LARGE = sentence("It is larger than {mail_size} MB. Send fewer or smaller files.")
QUOTES = sentence(
    "Some of it stands within the quote, or begins with “>” as quotes do. Write all of your answer "
    "at the top of the mail, above the quote."
)
GREETING = sentence(
    "Above the quote it has only a greeting, and your answer may stand within the quote or below "
    "it, where it is not read. Write all of your answer at the top of the mail, above the quote. "
    "If the greeting is all that you want to send, delete the quote."
)
NO_WORDS = sentence(
    "There is no text above the line “Answer above this line”, and no file. Write your answer "
    "above that line, at the top of the mail."
)


@dataclass(frozen=True, slots=True)
class MailHead:
    """The head of a mail.

    ``sender`` is its one address in lower case, or empty; ``recipients`` are all addresses that it
    was sent or delivered to; ``authentication`` are its ``Authentication-Results``, the topmost
    first; ``automatic`` names the sign that no person wrote it.
    """

    sender: str
    recipients: tuple[str, ...]
    message_id: str
    subject: str
    authentication: tuple[str, ...]
    automatic: str


@dataclass(frozen=True, slots=True)
class MailContent:
    """The new text and files of an answer.

    With a ``trouble``, a sentence of the catalogues with names in braces, it cannot be texted.
    """

    text: str = ""
    files: tuple[ReceivedFile, ...] = ()
    trouble: str = ""


def read_head(raw: bytes, envelope: tuple[str, ...] = ()) -> MailHead:
    """The head of a mail; ``envelope`` are the recipients that SMTP named, if it came so."""
    head = BytesHeaderParser(policy=compat32).parsebytes(_head_bytes(raw))
    sender = _sender(head)
    found = [*envelope]
    for name in RECIPIENT_HEADERS:
        for value in head.get_all(name, []):
            found += _addresses(str(value))
    return MailHead(
        sender,
        tuple(dict.fromkeys(found)),
        _message_id(head),
        one_header(head, "Subject"),
        tuple(str(value) for value in head.get_all("Authentication-Results", [])),
        why_automatic(lambda name: _first(head, name), head.get_content_type(), sender),
    )


def read_content(raw: bytes, own_address: re.Pattern[str]) -> MailContent:
    """The new text and files of a mail; ``own_address`` finds our addresses in its quote."""
    if len(raw) > MOST_BYTES:
        return MailContent(trouble=TOO_LARGE)
    if raw.count(b"\n") > MOST_LINES or raw.lower().count(b"boundary") > MOST_BOUNDARIES:
        return MailContent(trouble=UNREADABLE)
    content = content_of(BytesParser(policy=compat32).parsebytes(raw))
    if content.is_encrypted or "-----BEGIN PGP MESSAGE-----" in content.text[:MOST_TEXT]:
        return MailContent(trouble=ENCRYPTED)
    if content.is_broken:
        return MailContent(trouble=UNREADABLE)
    if any(file.is_winmail for file in content.files):
        return MailContent(trouble=WINMAIL)
    plain, kept = content.kept(new_part(content.text, own_address))
    if content.other:
        kept |= content.kept(new_part(content.other, own_address))[1] - content.marked
    text = clean(plain)
    files = tuple(
        file
        for at, file in enumerate(content.files)
        if file.attached or (at in kept and not file.is_logo)
    )
    trouble = _trouble(text, has_files=bool(files))
    if not trouble and (has_answer_within(content.text) or points_below(content.text, text)):
        trouble = QUOTES
    if not trouble and not files and only_greets(content.text, text):
        trouble = GREETING
    return MailContent(trouble=trouble) if trouble else MailContent(text, files)


def _trouble(text: str, *, has_files: bool) -> str:
    """Why the new text of a mail cannot be texted, or empty."""
    if len(text) > MOST_TEXT:
        return TOO_LONG
    if _QUOTED_LINE.search(text):
        return QUOTES
    return "" if text or has_files else NO_WORDS


def content_key(raw: bytes) -> bytes:
    """What is the same in each copy of a mail, by whatever way it is delivered.

    Servers add headers on the way.
    """
    head = BytesHeaderParser(policy=compat32).parsebytes(_head_bytes(raw))
    written = "\n".join(one_header(head, name) for name in ("From", "Date", "Subject"))
    body = raw.replace(b"\r\n", b"\n").partition(b"\n\n")[2]
    return written.encode("utf-8", "replace") + b"\n" + body.strip()


def one_header(head: ParsedMail, name: str) -> str:
    """A header as it is written, in one line."""
    return " ".join((_first(head, name) or "").split())[:500]


def _head_bytes(raw: bytes) -> bytes:
    """The bytes of the head alone: Python's parser reads the body of some types as well."""
    ends = [at for at in (raw.find(b"\n\n"), raw.find(b"\n\r\n")) if at >= 0]
    return raw[: min(ends, default=len(raw)) + 1][:MOST_HEAD] + b"\n"


def _first(head: ParsedMail, name: str) -> str | None:
    value = head.get(name)
    return None if value is None else str(value)


def _sender(head: ParsedMail) -> str:
    """The one address of ``From``; empty where it has none, or several."""
    written = head.get_all("From", [])
    found = _addresses(str(written[0])) if len(written) == 1 else []
    return found[0].casefold() if len(set(map(str.casefold, found))) == 1 else ""


def _addresses(header: str) -> list[str]:
    """The addresses in a header; a display name that looks like one is none."""
    text = _QUOTED.sub(" ", header[:20_000])
    return _IN_BRACKETS.findall(text) or _BARE.findall(text)


def _message_id(head: ParsedMail) -> str:
    found = _MESSAGE_ID.search(one_header(head, "Message-ID"))
    return found[0] if found else ""
