"""The body of a mail, as plain text and as simple HTML with the same words.

The HTML has no scripts, loads nothing from outside and sets no colours, so that mail programs show
it in their light and dark ones.
"""

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from html import escape

from services.core.local_time import LocalTime
from services.core.messages import Message
from services.mail.attachments import MailFile
from services.mail.details import MailDetails
from services.mail.words import PREVIEW_CLASS, PREVIEW_MARK, MailWords

PAGE = """\
<!DOCTYPE html>
<html lang="%s">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
</head>
<body style="margin:0;padding:16px;font:16px/1.5 -apple-system,'Segoe UI',Roboto,Arial,sans-serif">
<div style="max-width:600px;margin:0 auto;overflow-wrap:anywhere;word-break:break-word">
%s
</div>
</body>
</html>
"""
TEXT = "margin:0 0 16px;font-size:18px"
PARAGRAPH = "margin:0 0 16px"
SMALL = "margin:0 0 12px;font-size:14px;opacity:.75"
# Mail lists show the first words of a mail, which else were our line for answers.
HIDDEN = "display:none;max-height:0;overflow:hidden;mso-hide:all"
MOST_PREVIEW = 150  # characters
LINK = (
    "display:inline-block;padding:8px 16px;border:1px solid;border-radius:8px;text-decoration:none"
)
# Outlook on Windows knows the attribute only, other programs the style.
PICTURE = '<img src="cid:%s" alt="%s" width="400" style="%s">'
PICTURE_STYLE = "display:block;width:100%;max-width:400px;height:auto;border-radius:8px"


@dataclass(frozen=True, slots=True)
class MailBody:
    """The parts of a body.

    ``notes`` are about files left out, ``facts`` are lines of a label with its value.
    """

    text: str
    notes: list[str]
    facts: list[str]
    link: str
    link_label: str
    link_line: str
    last_sentence: str
    first_line: str
    language: str


def mail_body(
    message: Message,
    details: MailDetails,
    notes: list[str],
    local_time: LocalTime,
    words: MailWords,
    answer_days: int | None = None,
) -> MailBody:
    """What the body of a mail says. The text is untrusted; the facts are one line each.

    ``answer_days`` is how long it can be answered, ``None`` if it cannot.
    """
    text = _readable(message.text)
    others = [details.name_and_address(member) for member in details.other_members(message)]
    return MailBody(
        text=text
        if text.strip()
        else words.who_sent(
            details.name(message.peer), [file.content_type for file in message.media]
        ),
        notes=notes,
        facts=[
            words.fact(words.sender, details.name_and_address(message.peer)),
            words.fact(words.receiver, details.our_name_and_number(message.number)),
            *([words.fact(words.members, ", ".join(others))] if others else []),
            words.fact(words.received, words.moment(local_time.of(message.created_at))),
        ],
        link=details.link,
        link_label=words.open,
        link_line=words.fact(words.open, details.link),
        last_sentence=words.no_answers
        if answer_days is None
        else words.answers(", ".join(map(details.name, message.recipients)), answer_days),
        first_line="" if answer_days is None else words.answer_above,
        language=words.language.tag,
    )


def as_plain_text(body: MailBody) -> str:
    """The body for mail programs that show plain text."""
    parts = [
        *([body.first_line] if body.first_line else []),
        body.text,
        *body.notes,
        "\n".join(body.facts),
        *([body.link_line] if body.link else []),
        body.last_sentence,
    ]
    return "\n\n".join(parts) + "\n"


def as_html(body: MailBody, pictures: Iterable[MailFile]) -> str:
    """The body as an HTML page that shows the pictures of the same mail.

    Links in the text are not made clickable: anybody may send one.
    """
    parts = []
    if body.first_line:
        preview = PREVIEW_MARK + escape(" ".join(body.text.split())[:MOST_PREVIEW])
        parts = [
            f'<div class="{PREVIEW_CLASS}" style="{HIDDEN}">{preview}</div>',
            f'<p style="{SMALL}">{escape(body.first_line)}</p>',
        ]
    # A direction of its own, by its first letter: Arabic and Hebrew begin at the right.
    parts += [f'<div dir="auto" style="{TEXT}">{_lines(body.text)}</div>']
    for picture in pictures:
        image = PICTURE % (escape(picture.content_id), escape(picture.name), PICTURE_STYLE)
        parts.append(f'<p style="{PARAGRAPH}">{image}</p>')
    parts += [f'<p style="{PARAGRAPH}">{escape(note)}</p>' for note in body.notes]
    if body.link:
        link = f'<a href="{escape(body.link)}" style="{LINK}">{escape(body.link_label)}</a>'
        parts.append(f'<p style="{PARAGRAPH}">{link}</p>')
    facts = "<br>\n".join(map(escape, body.facts))
    parts.append(f'<p style="{SMALL}">{facts}</p>')
    parts.append(f'<p style="{SMALL}">{escape(body.last_sentence)}</p>')
    return PAGE % (body.language, "\n".join(parts))


def _readable(text: str) -> str:
    """A text without control characters and half surrogate pairs, with Unix line ends."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n")
    return "".join(c for c in lines if c in "\n\t" or unicodedata.category(c) not in {"Cc", "Cs"})


def _lines(text: str) -> str:
    return escape(text).replace("\n", "<br>\n")
