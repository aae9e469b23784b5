"""Why a text was refused or has failed, in the language of mails and of the phone app.

The reason of an error is English and has all details. In another language the sentence for its code
stands in its place: that of ``REASONS``, or for a carrier's code that of the code's cause in the
carrier's error table. ``make words`` writes both for the phone app (``reason_words.js``).
"""

import re
from collections.abc import Mapping

from services.core.language import Language, sentence

_LATER = sentence("Too much at once. Try again later.")
_CHANGED = sentence("It was changed or deleted meanwhile.")

REASONS = {
    "answered": sentence("A person has answered meanwhile."),
    "being_sent": sentence("This message is being sent at the moment. Try again in a minute."),
    "blocked": sentence("This sender is blocked."),
    "busy": _LATER,
    "carrier_off": sentence("The carrier of this number is not set up. Ask your administrator."),
    "channel_not_carried": sentence("This number does not carry WhatsApp or RCS."),
    "conflict": _CHANGED,
    "content_type": sentence("Files of this kind cannot be sent."),
    "country_not_allowed": sentence(
        "Texts to this country or kind of number are turned off. Ask your administrator."
    ),
    "csv_unreadable": sentence("The file cannot be read."),
    "deleted": sentence("This text was sent before, and then deleted."),
    "deleting_not_allowed": sentence("Deleting is turned off. Ask your administrator."),
    "emergency_number": sentence(
        "Textbridge cannot send texts to emergency services. Call {number}."
    ),
    "empty": sentence("There is nothing in it."),
    "fault": sentence("The server has a fault. Tell your administrator."),
    "file_too_large": sentence("A file is too large for the carrier."),
    "file_type": sentence("The carrier does not take files of this kind."),
    "file_unreadable": sentence("This file cannot be sent. Try another one."),
    "files_too_large": sentence("All files together are too large for the carrier. Leave one out."),
    "invalid": sentence("This is not a valid value."),
    "invalid_link": sentence("This link is too old. Open the message again."),
    "invalid_number": sentence("This is not a phone number."),
    "limit_reached": _LATER,
    "no_common_hours": sentence(
        "There is no time at which it is not quiet hours for one of these people. Write to them "
        "one by one."
    ),
    "no_number": sentence("Your extension has no number yet. Ask your administrator."),
    "no_push": sentence(
        "This device is not registered for notifications. Turn them off and on again."
    ),
    "not_dialable": sentence("This is not a number that can be texted."),
    "not_found": sentence("It is not there any more."),
    "not_scheduled": sentence("This text does not wait any more: it was sent or cancelled."),
    "not_their_number": sentence("This extension does not have the number of this conversation."),
    "number_not_allowed": sentence(
        "A rule sends new conversations by another of your numbers. Choose it under “Send from”."
    ),
    "number_not_yours": sentence("This number is not yours any more."),
    "opted_out": sentence(
        "They have opted out. Nobody can text them until they text START, or your administrator "
        "takes it back."
    ),
    "person_forgotten": sentence("The data of this person was deleted."),
    "picture": sentence("This picture cannot be sent. Try another one."),
    "restored": sentence("It was cancelled because a backup was restored."),
    "same_number": sentence("A number cannot text itself."),
    "send_at_past": sentence("This time is over. Choose a later one."),
    "send_at_too_far": sentence("Choose a time within the next year."),
    "stale": _CHANGED,
    "storage_unwell": sentence("The server cannot keep anything now. Try again later."),
    "text_too_long": sentence("The text is too long for the carrier."),
    "too_large": sentence("This file is too large."),
    "too_late": sentence("Its time was too long ago, so it was not sent."),
    "too_long": sentence("This is too long."),
    "too_many_files": sentence("These are too many files for one message."),
    "too_many_guesses": sentence("This was wrong too often. Try again later."),
    "too_many_pinned": sentence("Too many conversations are pinned. Unpin another one first."),
    "too_many_recipients": sentence("These are too many people for one message of this number."),
    "too_many_requests": _LATER,
    "too_many_scheduled": sentence(
        "Too many texts are scheduled. Cancel some, or send this one later."
    ),
    "too_much_at_once": _LATER,
    "unauthorized": sentence("This device is not signed in. Ask your administrator for a code."),
    "unknown_file": sentence("A file is no longer at the server. Attach it anew."),
    "wrong_code": sentence(
        "This code is wrong, used or too old. Ask your administrator for a new one."
    ),
}

# By the cause of a carrier's error (``Cause`` of the error tables).
CAUSES = {
    "opt_out": sentence(
        "They have opted out of texts from this number. They must text START to get them again."
    ),
    "number_not_in_use": sentence("The number is wrong or not in service."),
    "not_mobile": sentence("The number cannot receive this message. It may be a landline."),
    "phone_off": sentence("The phone is off or out of reach. Try again later."),
    "recipient_blocks": sentence("They or their carrier block texts from this number."),
    "spam": sentence("The text was taken for spam. Write it differently."),
    "registration": sentence(
        "Your number is not registered for texts like this. Ask your administrator."
    ),
    "sender": sentence("Your number cannot send this text. Ask your administrator."),
    "account": sentence("The account at the carrier does not allow this. Ask your administrator."),
    "credentials": sentence("The carrier does not let this server in. Ask your administrator."),
    "funds": sentence("The account at the carrier has no money left. Ask your administrator."),
    "country": sentence("The carrier has no way to this number, its country or its network."),
    "pace": sentence("Too many texts were sent in a short time. Try again later."),
    "content": sentence("The carrier does not take this text or its files. Change them."),
    "failure": sentence("A carrier had a failure. Sending it again later may work."),
    "unconfirmed": sentence("The carrier does not say whether it arrived."),
}
# The cause where the HTTP status of a carrier's answer is all that is known.
STATUS_CAUSES = {
    **dict.fromkeys(("401", "403", "404", "405"), "credentials"),
    "402": "funds",
    **dict.fromkeys(("408", "500", "502", "503", "504", *map(str, range(520, 531))), "failure"),
    "429": "pace",
}


def cause_of(causes: Mapping[str, str], code: str | None) -> str | None:
    """The cause of an error by its code; ``causes`` is the table of its carrier."""
    return causes.get(code or "") or STATUS_CAUSES.get(code or "")


def reason_in(
    language: Language, code: str | None, reason: str, cause: str | None = None, /, **values: object
) -> str:
    """The words for an error in a language; ``values`` are put into them.

    ``reason`` is the English sentence with all details. If it is a key of the catalogues itself,
    it is translated; else the sentence for the code or for the cause takes its place.
    """
    known = REASONS.get(code or "") or CAUSES.get(cause or "")
    if language.tag == "en" or known is None or language.has(reason):
        return language.t(reason, **values)
    return language.t(known, **{**_values(known, reason), **values})


def _values(known: str, reason: str) -> dict[str, str]:
    """What stands in an English reason for the names in braces of its sentence."""
    pattern = re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>.+)", re.escape(known))
    found = re.fullmatch(pattern, reason)
    return found.groupdict() if found else {}
