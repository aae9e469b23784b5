"""The words of mails in a language: subject, labels, notes and sentences."""

import re
from collections.abc import Sequence
from datetime import datetime

from services.core.language import LANGUAGES, Language, sentence

# Stands before the hidden words by which mail programs list a mail; nobody sees or types it.
PREVIEW_MARK = "\u2063\u200b\u2063\u200b\u2063"
PREVIEW_CLASS = "textbridge_preview"
DAYS = (
    sentence("Monday"),
    sentence("Tuesday"),
    sentence("Wednesday"),
    sentence("Thursday"),
    sentence("Friday"),
    sentence("Saturday"),
    sentence("Sunday"),
)
MONTHS = (
    sentence("January"),
    sentence("February"),
    sentence("March"),
    sentence("April"),
    sentence("May"),
    sentence("June"),
    sentence("July"),
    sentence("August"),
    sentence("September"),
    sentence("October"),
    sentence("November"),
    sentence("December"),
)
ANSWER_ABOVE = sentence("Answer above this line")


def answer_above(language: Language) -> str:
    """The first line of a mail that can be answered; all below it is a quote.

    >>> answer_above(Language())
    '=== Answer above this line ==='
    """
    return f"=== {language.t(ANSWER_ABOVE)} ==="


def answer_above_pattern() -> re.Pattern[str]:
    """Finds that line in the quote of a mail, in each of the languages."""
    lines = (Language(tag).t(ANSWER_ABOVE).split() for tag in LANGUAGES)
    known = "|".join(r"[ \t]+".join(map(re.escape, words)) for words in lines)
    return re.compile(rf"(?<!=)=+[ \t]*(?:{known})[ \t]*=*", re.IGNORECASE)


class MailWords:
    """What a mail says, in one language; ``app_name`` is that of the installation."""

    def __init__(self, language: Language, app_name: str = "Textbridge") -> None:
        self.language = language
        self._t = t = language.t
        self.sender = t("From")
        self.receiver = t("To")
        self.members = t("With")
        self.received = t("Received")
        self.open = t("Open the conversation")
        self.no_answers = t("Please do not answer this mail: answers are not sent on as texts.")
        self.answer_above = answer_above(language)
        self.refused = t("Your answer was not sent as a text")
        self.not_delivered = t("Your text was not delivered")
        self.perhaps_not_sent = t("Your text was perhaps not sent")
        self.test = t("Test mail")
        self.test_arrived = t(
            "Mails of {name} arrive here. Nobody needs to answer this one.", name=app_name
        )
        self.attachment = t("attachment")  # the name of a file without one
        self.not_fetched = t("this attachment could not be fetched.")
        self.not_arrived = t("this attachment had not arrived yet when the mail was written.")
        self.too_large = t("this attachment is too large for a mail.")
        self.no_longer_kept = t("this attachment is no longer kept.")

    def quoted(self, words: str) -> str:
        """Words of a text."""
        return self._t('"{text}"', text=words)

    def fact(self, label: str, value: str) -> str:
        """A label with its value."""
        return self._t("{label}: {value}", label=label, value=value)

    def subject(self, sender: str, receivers: list[str], content: str) -> str:
        """The subject of a mail; ``content`` is a part of the text, or what was sent without one.

        >>> MailWords(Language()).subject("Ann", ["Front desk"], '"One more thing…"')
        'Ann → Front desk: "One more thing…"'
        """
        who = f"{sender} → {', '.join(receivers)}"
        return self._t("{label}: {value}", label=who, value=content)

    def sent(self, content_types: Sequence[str]) -> str:
        """What somebody did who sent files of these types, without a text; for the subject.

        >>> words = MailWords(Language())
        >>> words.sent(["image/png"]), words.sent(["image/png", "text/vcard"]), words.sent([])
        ('sent a picture', 'sent 2 attachments', 'sent no text')
        """
        if not content_types:
            return self._t("sent no text")
        count, many = len(content_types), self.language.many
        if _are_pictures(content_types):
            return many(count, "sent a picture", "sent {count} pictures")
        return many(count, "sent an attachment", "sent {count} attachments")

    def who_sent(self, sender: str, content_types: Sequence[str]) -> str:
        """The same as a sentence, in place of the text.

        >>> MailWords(Language()).who_sent("Ann Example", [])
        'Ann Example sent no text.'
        """
        if not content_types:
            return self._t("{sender} sent no text.", sender=sender)
        count, many = len(content_types), self.language.many
        if _are_pictures(content_types):
            return many(
                count, "{sender} sent a picture.", "{sender} sent {count} pictures.", sender=sender
            )
        return many(
            count,
            "{sender} sent an attachment.",
            "{sender} sent {count} attachments.",
            sender=sender,
        )

    def shortened(self, names: list[str], most: int) -> list[str]:
        """At most so many names, and the number of the others.

        >>> MailWords(Language()).shortened(["Ann", "Bob", "Cy"], 2)
        ['Ann', 'Bob and 1 more']
        """
        more = len(names) - most
        if more <= 0:
            return names
        last = self.language.many(
            more, "{name} and {count} more", "{name} and {count} more", name=names[most - 1]
        )
        return [*names[: most - 1], last]

    def answers(self, receiver: str, days: int) -> str:
        """What an answer to a mail does, and for how long."""
        what = self._t(
            "Answer this mail to send a text to {receiver}: write at the top, above the line. "
            "Pictures go along, quotes and signatures do not.",
            receiver=receiver,
        )
        how_long = self.language.many(
            days,
            "It works from this address only, for a day.",
            "It works from this address only, for {count} days.",
        )
        return f"{what} {how_long}"

    def not_sent(self, receivers: str, *, is_known: bool) -> str:
        """What became of a text that was written by answering a mail."""
        if is_known:
            return self._t(
                "Your text to {receivers} was not delivered. To try again, answer the mail anew.",
                receivers=receivers,
            )
        return self._t(
            "It is not known whether your text to {receivers} was sent. Ask before you send it "
            "again; your administrator can look it up.",
            receivers=receivers,
        )

    def moment(self, local: datetime) -> str:
        """A local time with its zone, such as ``Thursday, 28 May 2026, 16:26 EDT``."""
        return self._t(
            "{weekday}, {day} {month} {year}, {time} {zone}",
            weekday=self._t(DAYS[local.weekday()]),
            day=local.day,
            month=self._t(MONTHS[local.month - 1]),
            year=local.year,
            time=f"{local:%H:%M}",
            zone=local.tzname(),
        )


def _are_pictures(content_types: Sequence[str]) -> bool:
    return all(each.startswith("image/") for each in content_types)
