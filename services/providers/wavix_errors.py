"""What Wavix refuses, in words (https://docs.wavix.com/messaging/errors).

Wavix tells by sentences, not by numbers, both in its answers and in its delivery reports. The codes
here are the numbers of the sentences' pages in its documentation.
"""

from typing import Any

from services.core.errors import Kind, SendError
from services.core.messages import clean
from services.http.client import Answer

REFUSED, RETRY, UNKNOWN, CONFIG = Kind.REFUSED, Kind.RETRY, Kind.UNKNOWN, Kind.CONFIG

_TOO_OFTEN = (
    "This person was sent too many texts, or the same one too often, within an hour. Wavix blocks "
    "more of them for 60 minutes."
)
_NOT_ALLOWED = "Wavix does not let texts through to this number. Ask support@wavix.com."
_SPAM = (
    "The recipient's carrier took the text for spam, or it does not fit what your 10DLC campaign "
    "is registered for. Write it differently."
)
_REGISTER = "In Wavix open SMS, Sender IDs"
TOO_FAST = "26"

# A part of Wavix's sentence in lower case, its code, what follows, and the sentence for people. The
# first that is found decides. What concerns one sender or one recipient alone is refused and never
# pauses the texts of all others.
ERRORS: tuple[tuple[str, str, Kind, str], ...] = (
    (
        "not provisioned for the country",
        "5",
        REFUSED,
        f"Your Sender ID is not allowed in the recipient's country. {_REGISTER} and add it.",
    ),
    ("flooding", "7", RETRY, _TOO_OFTEN),
    ("blocked for the next", "47", RETRY, _TOO_OFTEN),
    (
        "unsubscribed recipient",
        "9",
        REFUSED,
        "The recipient has opted out by answering STOP. Do not write to them again.",
    ),
    (
        "us and ca phone numbers only",
        "12",
        REFUSED,
        "Wavix sends pictures to US and Canadian numbers only. Send plain text instead.",
    ),
    ("1mb or less", "13", REFUSED, "The attachment is larger than 1 MB. Send a smaller one."),
    ("media format", "14", REFUSED, "Wavix does not take this type of file."),
    (
        "publicly accessible",
        "15",
        REFUSED,
        "Wavix could not fetch the attachment from here. Check that APP_URL can be reached from "
        "the internet, then send it again.",
    ),
    ("destination forbidden", "17", REFUSED, _NOT_ALLOWED),
    ("destination blocked", "19", REFUSED, _NOT_ALLOWED),
    (
        "invalid or not mobile",
        "18",
        REFUSED,
        "The recipient's number is not valid or cannot receive texts; it may be a landline.",
    ),
    ("up to 5 attachments", "21", REFUSED, "A message can have 5 attachments at most."),
    (
        "sender id not found",
        "22",
        REFUSED,
        "Wavix does not know the Sender ID. Activate Inbound SMS on the number, then "
        f"{_REGISTER[0].lower()}{_REGISTER[1:]} and register it; or correct WAVIX_SENDER_ID or the "
        "number's sender_id.",
    ),
    (
        "far-end carrier",
        "23",
        REFUSED,
        "The recipient's carrier rejected the message. The phone may be off or full, or the "
        "recipient blocks you. Sending it again later may work.",
    ),
    ("gateway rejected", "24", RETRY, "A partner of Wavix could not pass the message on."),
    (
        "callback url is invalid",
        "25",
        CONFIG,
        "Wavix does not accept this server's address for delivery reports. Check APP_URL.",
    ),
    ("sms per second", TOO_FAST, RETRY, "More is sent at once than the Wavix account may."),
    (
        "destination carrier or handset",
        "29",
        REFUSED,
        "The recipient's phone or carrier cannot receive this kind of message.",
    ),
    (
        "lacks credits",
        "31",
        REFUSED,
        "The recipient's number is not in service, has no credit, or takes no texts.",
    ),
    (
        "inactive 10dlc campaign",
        "33",
        REFUSED,
        f"{_SPAM} Check in Wavix that the 10DLC campaign of your number is active.",
    ),
    (
        "messaging limit exceeded",
        "34",
        RETRY,
        "Your 10DLC brand or campaign has used up its limit for today.",
    ),
    ("daily quota", "36", RETRY, "Your 10DLC brand has used up T-Mobile's limit for today."),
    ("sending limit reached", "38", RETRY, "Your 10DLC campaign sends faster than AT&T allows."),
    ("spam message", "37", REFUSED, _SPAM),
    ("content filtering", "43", REFUSED, _SPAM),
    ("non-compliant", "46", REFUSED, _SPAM),
    ("message too long", "41", REFUSED, "The text is too long. Send it in parts."),
    ("no longer active", "44", REFUSED, "The recipient's number is no longer in use."),
    ("unsupported carrier", "45", REFUSED, "Wavix has no way to the recipient's carrier."),
    ("idempotency", "55", UNKNOWN, "Wavix has this message already."),
    (
        "service is not provisioned",
        "403",
        CONFIG,
        "Texting is not enabled for the Wavix account. Ask support@wavix.com.",
    ),
    ("insufficient", "balance", CONFIG, "The Wavix account has no money left. Top it up."),
)


def explained(told: str) -> tuple[Kind, str | None, str]:
    """What Wavix's sentence about a message means: what follows, its code, and our sentence.

    The code is ``None`` for a sentence that is not known. Wavix's own words are always quoted.

    >>> explained("Message too long")[2]
    'The text is too long. Send it in parts. Wavix says: “Message too long”.'
    >>> explained("")
    (<Kind.REFUSED: 'refused'>, None, 'Wavix could not deliver the message and does not say why.')
    """
    if not told:
        return REFUSED, None, "Wavix could not deliver the message and does not say why."
    quoted = f"Wavix says: “{told[:200].rstrip('. ')}”."
    for part, code, kind, sentence in ERRORS:
        if part in told.lower():
            return kind, code, f"{sentence} {quoted}"
    return REFUSED, None, f"Wavix could not deliver the message. {quoted}"


# HTTP status: what follows where the sentence is not known, and what the operator can do.
_STATUSES: dict[int, tuple[Kind, str]] = {
    401: (
        CONFIG,
        "Check WAVIX_API_KEY. In Wavix open Administration, API keys.",
    ),
    403: (
        CONFIG,
        "In Wavix open Administration, API keys: the key needs the scopes messages:read and "
        "messages:write, and its list of IP addresses, if it has one, must hold this server's.",
    ),
    404: (CONFIG, "Check WAVIX_BASE_URL."),
    408: (RETRY, ""),
    429: (RETRY, "More is sent at once than the Wavix account may."),
}
_REDIRECTED = (CONFIG, "Check WAVIX_BASE_URL.")
PAUSE_SECONDS = 5.0  # after a 429, for which Wavix documents no Retry-After


def refusal(answer: Answer, lost: Kind) -> SendError:
    """The error for an answer other than 2xx, or for one that says ``"success": false``.

    Wavix does not document what a 5xx leaves behind: ``lost`` follows, unless it gives a reason of
    its own that is known.
    """
    said = _said(answer)
    kind, code, sentence = explained(said)
    if code is None:
        default = (lost, "") if answer.status >= 500 else (REFUSED, "")
        kind, remedy = _STATUSES.get(answer.status, default)
        if 300 <= answer.status < 400:
            kind, remedy = _REDIRECTED
        said = f"“{said}”." if said else "no reason given."
        sentence = f"Wavix answered {answer.status}: {said} {remedy}".rstrip()
    everything = code == TOO_FAST or (code is None and answer.status == 429)
    return SendError(
        sentence,
        kind,
        code=code or str(answer.status),
        retry_after=answer.retry_after or PAUSE_SECONDS if everything else None,
    )


def _said(answer: Answer) -> str:
    """Wavix's own sentence, or an empty text where it gives none in its usual form."""
    try:
        told: Any = answer.json()
    except ValueError:
        return ""
    words = told.get("message") if isinstance(told, dict) else None
    return clean(words).strip()[:300].rstrip(". ") if isinstance(words, str) else ""
