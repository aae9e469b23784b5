"""The words of mails, in English: subject, labels, notes and sentences."""

from datetime import datetime

FROM, TO, WITH, RECEIVED = "From", "To", "With", "Received"
OPEN = "Open the conversation"
NO_ANSWERS = "Please do not answer this mail: answers are not sent on as texts."

# The first line of a mail that can be answered. All below it is a quote, in whatever language.
ANSWER_ABOVE = "=== Answer above this line ==="
# Stands before the hidden words by which mail programs list a mail; nobody sees or types it.
PREVIEW_MARK = "\u2063\u200b\u2063\u200b\u2063"
PREVIEW_CLASS = "textbridge_preview"
REFUSED = "Your answer was not sent as a text"
NOT_SENT = "Your text was not delivered"
PERHAPS_NOT_SENT = "Your text was perhaps not sent"
TEST = "Test mail"
TEST_ARRIVED = "Mails of Textbridge arrive here. Nobody needs to answer this one."

ATTACHMENT = "attachment"  # the name of a file without one
NOT_FETCHED = "this attachment could not be fetched."
NOT_ARRIVED = "this attachment had not arrived yet when the mail was written."
TOO_LARGE = "this attachment is too large for a mail."
NO_LONGER_KEPT = "this attachment is no longer kept."


def subject(sender: str, receivers: list[str], content: str) -> str:
    """The subject of a mail.

    >>> subject("Ann Example", ["Front desk"], quoted("One more thing…"))
    'Ann Example → Front desk: "One more thing…"'
    """
    return f"{sender} → {', '.join(receivers)}: {content}"


def quoted(words: str) -> str:
    """Words of a text."""
    return f'"{words}"'


def sent(content_types: list[str]) -> str:
    """What somebody did who sent files of these types, without a text.

    >>> sent(["image/png"]), sent(["image/png", "text/vcard"]), sent([])
    ('sent a picture', 'sent 2 attachments', 'sent no text')
    """
    if not content_types:
        return "sent no text"
    pictures = all(each.startswith("image/") for each in content_types)
    if len(content_types) > 1:
        return f"sent {len(content_types)} {'pictures' if pictures else 'attachments'}"
    return "sent a picture" if pictures else "sent an attachment"


def sentence(sender: str, done: str) -> str:
    """What a sender did, as a sentence.

    >>> sentence("Ann Example", sent([]))
    'Ann Example sent no text.'
    """
    return f"{sender} {done}."


def shortened(names: list[str], most: int) -> list[str]:
    """At most so many names, and the number of the others.

    >>> shortened(["Ann", "Bob", "Cy"], 2), shortened(["Ann", "Bob"], 2)
    (['Ann', 'Bob and 1 more'], ['Ann', 'Bob'])
    """
    more = len(names) - most
    return names if more <= 0 else [*names[: most - 1], f"{names[most - 1]} and {more} more"]


def answers(receiver: str, days: int) -> str:
    """What an answer to a mail does, and for how long."""
    for_days = "a day" if days == 1 else f"{days} days"
    return (
        f"Answer this mail to send a text to {receiver}: write at the top, above the line. "
        "Pictures go along, quotes and signatures do not. It works from this address only, for "
        f"{for_days}."
    )


def not_sent(receivers: str, *, is_known: bool) -> str:
    """What became of a text that was written by answering a mail."""
    if is_known:
        return f"Your text to {receivers} was not delivered. To try again, answer the mail anew."
    return (
        f"It is not known whether your text to {receivers} was sent. Ask before you send it again; "
        "your administrator can look it up."
    )


def moment(local: datetime) -> str:
    """A local time with its zone, such as ``Thursday, 28 May 2026, 16:26 EDT``."""
    return f"{local:%A}, {local.day} {local:%B %Y, %H:%M %Z}"
