"""Why a text was refused or has failed, in the language of mails.

The reason of an error is English and has all details. In another language the sentence for its code
stands in its place, where there is one; the phone app has the same sentences (``reasons.js``).
"""

import re

from services.core.language import Language, sentence

REASONS = {
    "answered": sentence("A person has answered meanwhile."),
    "carrier_off": sentence(
        "The carrier of this number is not set up. Ask your administrator.",
    ),
    "channel_not_carried": sentence("This number does not carry WhatsApp or RCS."),
    "country_not_allowed": sentence(
        "Texts to this country or kind of number are turned off. Ask your administrator."
    ),
    "emergency_number": sentence(
        "Textbridge cannot send texts to emergency services. Call {number}."
    ),
    "fault": sentence("The server has a fault. Tell your administrator."),
    "file_too_large": sentence("A file is too large for the carrier."),
    "file_type": sentence("The carrier does not take files of this kind."),
    "limit_reached": sentence("Too much at once. Try again later."),
    "no_common_hours": sentence(
        "There is no time at which it is not quiet hours for one of these people. Write to them "
        "one by one."
    ),
    "not_dialable": sentence("This is not a number that can be texted."),
    "number_not_yours": sentence("This number is not yours any more."),
    "opted_out": sentence(
        "They have opted out. Nobody can text them until they text START, or your administrator "
        "takes it back."
    ),
    "person_forgotten": sentence("The data of this person was deleted."),
    "picture": sentence("This picture cannot be sent. Try another one."),
    "restored": sentence("It was cancelled because a backup was restored."),
    "same_number": sentence("A number cannot text itself."),
    "text_too_long": sentence("The text is too long for the carrier."),
    "too_late": sentence("Its time was too long ago, so it was not sent."),
    "too_many_files": sentence("These are too many files for one message."),
    "too_many_recipients": sentence("These are too many people for one message of this number."),
    "too_much_at_once": sentence("Too much at once. Try again later."),
}


def reason_in(language: Language, code: str | None, reason: str, **values: object) -> str:
    """The words for an error in a language; ``values`` are put into them.

    ``reason`` is the English sentence with all details; it may be a key of the catalogues itself.
    """
    if language.tag == "en" or code not in REASONS:
        return language.t(reason, **values)
    known = REASONS[code]
    return language.t(known, **{**_values(known, reason), **values})


def _values(known: str, reason: str) -> dict[str, str]:
    """What stands in an English reason for the names in braces of its sentence."""
    pattern = re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>.+)", re.escape(known))
    found = re.fullmatch(pattern, reason)
    return found.groupdict() if found else {}
