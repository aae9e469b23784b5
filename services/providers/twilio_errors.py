"""What Twilio refuses, in words (https://www.twilio.com/docs/api/errors).

The API and the status callbacks share one space of codes.
"""

from typing import Any

from services.core.errors import Kind, SendError
from services.core.messages import clean
from services.http.client import Answer

REFUSED, RETRY, CONFIG = Kind.REFUSED, Kind.RETRY, Kind.CONFIG

_KEYS = "Check TWILIO_ACCOUNT_SID and TWILIO_AUTH_TOKEN."
_CLOSED = "The Twilio account is not active. Sign in to the Twilio Console; it says why."
_INVALID_TO = "The recipient's number is not a valid phone number."
_NO_TEXTS = "The recipient's number cannot receive texts; it may be a landline."
_NOT_OURS = "Your number is not one of this Twilio account's, or cannot send texts."
_NO_MMS = "Your number cannot send pictures to this destination. Send plain text instead."
_SERVICE = "Check TWILIO_MESSAGING_SERVICE_SID, and that your number is in its Sender Pool."
_SENDER = "The sender's name is not allowed in this country. Register it at Twilio or remove it."
_SPAM = "The text was taken for spam. Write it differently."
_10DLC = "Your number is not registered for texting. Register it for A2P 10DLC at Twilio."
_FAILED = "Twilio had a failure."
_BUSY = "More is sent at once than is allowed."
_MEDIA = "Twilio could not fetch an attachment. Check that APP_URL is reachable from outside."
_TRIAL = "A trial account reaches verified numbers only. Verify the recipient's or upgrade."
_ROUTE = "Twilio has no way to the recipient from your number."

# Code: what follows where the API answers it, and the sentence for people. What concerns one
# number or one country is refused with its remedy: it must not hold up everybody else's texts.
ERRORS: dict[str, tuple[Kind, str]] = {
    "11751": (REFUSED, "The attachments are too large. Send smaller ones (5 MB in all)."),
    "14107": (RETRY, "More than 30 answers went between two numbers within 30 seconds."),
    "20003": (CONFIG, f"Twilio did not accept the credentials. {_KEYS}"),
    "20005": (CONFIG, _CLOSED),
    "20006": (CONFIG, f"Twilio denies access. {_KEYS}"),
    "20403": (CONFIG, f"Twilio denies access. {_KEYS}"),
    "20404": (CONFIG, "Twilio does not know the account. Check TWILIO_ACCOUNT_SID."),
    "20429": (RETRY, _BUSY),
    "20500": (RETRY, _FAILED),
    "20503": (RETRY, _FAILED),
    "21211": (REFUSED, _INVALID_TO),
    "21212": (REFUSED, "The sending number or name is not valid at Twilio."),
    "21214": (REFUSED, "The recipient's number cannot be reached."),
    "21217": (REFUSED, _INVALID_TO),
    "21401": (REFUSED, _INVALID_TO),
    "21408": (
        REFUSED,
        "Texts to this country are not enabled. Enable it in the Twilio Console under Messaging, "
        "Settings, Geo permissions.",
    ),
    "21601": (REFUSED, _NOT_OURS),
    "21602": (REFUSED, "A text or an attachment is needed."),
    "21603": (CONFIG, f"Twilio found no sender. {_SERVICE}"),
    "21604": (REFUSED, _INVALID_TO),
    "21605": (REFUSED, "The text is too long."),
    "21606": (REFUSED, _NOT_OURS),
    "21607": (REFUSED, "A trial account cannot send from this number. Upgrade the account."),
    "21608": (REFUSED, _TRIAL),
    "21609": (CONFIG, "Twilio cannot use our address for receipts. Check APP_URL (no underscore)."),
    "21610": (
        REFUSED,
        "The recipient has opted out by answering STOP. They must text START to hear from you.",
    ),
    "21611": (RETRY, "Too many texts wait for this number at Twilio."),
    "21612": (REFUSED, _ROUTE),
    "21614": (REFUSED, "The recipient's number is not a mobile number."),
    "21616": (REFUSED, "The sending number fits several numbers. Write it in full."),
    "21617": (REFUSED, "The text is longer than 1600 characters."),
    "21618": (REFUSED, "The text cannot be sent as it is written."),
    "21619": (RETRY, _FAILED),
    "21620": (REFUSED, _MEDIA),
    "21621": (REFUSED, _NO_MMS),
    "21622": (REFUSED, "Pictures are not enabled for this Twilio account. Send plain text."),
    "21623": (REFUSED, "A message can have 10 attachments at most."),
    "21624": (REFUSED, "Twilio found the validity period wrong."),
    "21635": (REFUSED, _NO_TEXTS),
    "21654": (REFUSED, "Twilio demands an approved template for this message."),
    "21655": (REFUSED, "Twilio demands an approved template for this message."),
    "21656": (REFUSED, "Twilio demands an approved template for this message."),
    "21657": (REFUSED, _SENDER),
    "21659": (REFUSED, _NOT_OURS),
    "21660": (REFUSED, _NOT_OURS),
    "21701": (CONFIG, f"Twilio does not know the Messaging Service. {_SERVICE}"),
    "21702": (CONFIG, f"The Messaging Service cannot be used. {_SERVICE}"),
    "21703": (CONFIG, f"The Messaging Service has no number. {_SERVICE}"),
    "21704": (REFUSED, f"No number of the Messaging Service fits this recipient. {_SERVICE}"),
    "21705": (CONFIG, f"The Messaging Service is not valid. {_SERVICE}"),
    "21709": (REFUSED, f"The Messaging Service cannot use this sender. {_SERVICE}"),
    "21910": (REFUSED, "Sender and recipient must be of the same kind."),
    "30001": (RETRY, "Too many texts waited for this number at Twilio."),
    "30002": (CONFIG, _CLOSED),
    "30003": (RETRY, "The phone is off or out of reach."),
    "30004": (REFUSED, "The recipient or their carrier blocks texts from you."),
    "30005": (REFUSED, "The recipient's number is not known or no longer in use."),
    "30006": (REFUSED, _NO_TEXTS),
    "30007": (REFUSED, _SPAM),
    "30008": (RETRY, "The recipient's carrier did not deliver the text and does not say why."),
    "30010": (REFUSED, "The text costs more than the highest price allowed."),
    "30011": (REFUSED, "The recipient's country takes no pictures. Send plain text instead."),
    "30012": (REFUSED, "Twilio found the validity period wrong."),
    "30013": (REFUSED, "Twilio found the validity period wrong."),
    "30014": (REFUSED, _INVALID_TO),
    "30015": (REFUSED, _INVALID_TO),
    "30016": (REFUSED, "Sender and recipient must be of the same kind."),
    "30017": (RETRY, "The recipient's carrier is overloaded."),
    "30018": (REFUSED, _SENDER),
    "30019": (REFUSED, "The message is larger than the recipient's carrier allows."),
    "30020": (RETRY, _FAILED),
    "30021": (RETRY, _FAILED),
    "30022": (RETRY, "Your 10DLC campaign sends faster than the carrier allows."),
    "30023": (RETRY, "Your 10DLC brand has used up its limit for today."),
    "30024": (REFUSED, "Your number is not yet set up at the recipient's carrier. Wait a day."),
    "30027": (RETRY, "Your 10DLC brand has used up T-Mobile's limit for today."),
    "30032": (REFUSED, "Your toll-free number is not verified. Have it verified at Twilio."),
    "30033": (REFUSED, "The 10DLC campaign of your number is suspended. Ask Twilio's support."),
    "30034": (REFUSED, _10DLC),
    "30035": (REFUSED, "The 10DLC registration of your number is not finished yet."),
    "30036": (RETRY, "The text waited too long at Twilio and was not sent."),
    "30037": (CONFIG, "Sending is switched off for this Twilio account. Ask Twilio's support."),
    "30038": (REFUSED, _SPAM),
    "30040": (REFUSED, _SENDER),
    "30041": (REFUSED, _SENDER),
    "30042": (REFUSED, "The sender's name is too general or forbidden. Register another one."),
    "30044": (REFUSED, "The text is too long for a trial account. Shorten it or upgrade."),
    "30045": (REFUSED, "Twilio found the validity period wrong."),
    "30400": (RETRY, _FAILED),
    "30410": (RETRY, "The recipient's carrier did not answer Twilio in time."),
    "30450": (REFUSED, "Twilio's protection against SMS pumping blocked the text."),
    "30500": (RETRY, _FAILED),
    "63018": (RETRY, _BUSY),
    "90007": (REFUSED, "Twilio found the validity period wrong."),
}

# A name was used as the sender where only a number can be; nothing has been sent.
NAME_REFUSED = {"21212", "21601", "21606", "21612", "21657", "21659", "21660", "30018", "30042"}

# HTTP status, where the code is not known: what follows, and what the operator can do.
_STATUSES: dict[int, tuple[Kind, str]] = {
    401: (CONFIG, _KEYS),
    403: (CONFIG, _KEYS),
    404: (CONFIG, "Check TWILIO_ACCOUNT_SID and TWILIO_BASE_URL."),
    408: (RETRY, ""),
    429: (RETRY, _BUSY),
}
PAUSE_SECONDS = 5.0  # after a 429 without Retry-After: the limit is of requests at once


def explained(code: str, words: str) -> str:
    """What a failed message's code means, in a sentence; ``words`` are Twilio's own, quoted where
    the code is not known.

    A failed message is not sent again by itself: it would be billed again and might arrive twice.

    >>> explained("39999", "Odd")
    'Twilio could not deliver the message (39999: “Odd”).'
    """
    if code in ERRORS:
        kind, sentence = ERRORS[code]
        return f"{sentence} Sending it again later may work." if kind is RETRY else sentence
    known = ": ".join(part for part in (code, f"“{words[:120]}”" if words else "") if part)
    return f"Twilio could not deliver the message{f' ({known})' if known else ''}."


def refusal(answer: Answer, lost: Kind) -> SendError:
    """The error for an answer other than 2xx.

    Nobody documents that what was answered with 5xx was not carried out: ``lost`` follows.
    """
    told = _told(answer)
    code, said = _code(told.get("code")), _words(told.get("message"))
    quoted = f"Twilio answered {answer.status}: {said or 'no reason given.'}"
    if answer.status >= 500:
        kind, sentence = lost, quoted
    elif answer.status < 400:
        kind, sentence = CONFIG, f"{quoted} Check TWILIO_BASE_URL."
    elif code in ERRORS:
        kind, sentence = ERRORS[code]
    else:
        kind, remedy = _STATUSES.get(answer.status, (REFUSED, ""))
        sentence = f"{quoted} {remedy}".rstrip()
    wait = answer.retry_after or PAUSE_SECONDS if answer.status == 429 else answer.retry_after
    return SendError(sentence, kind, code=code or str(answer.status), retry_after=wait)


def _told(answer: Answer) -> dict[str, Any]:
    try:
        told = answer.json()
    except ValueError:
        return {}
    return told if isinstance(told, dict) else {}


def _code(value: Any) -> str:
    return str(value) if type(value) is int and 0 < value < 10**6 else ""


def _words(value: Any) -> str:
    said = clean(value).strip()[:300].rstrip(". ") if isinstance(value, str) else ""
    return f"{said}." if said else ""
