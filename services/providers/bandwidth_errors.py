"""What Bandwidth refuses, in words (https://dev.bandwidth.com/docs/messaging/errors).

Of the codes of a failed message the first digit says whose fault it is (4 the message's, 5 a
server's, 9 nobody knows), the second who says so (7 and 56xx: the recipient's carrier; the others:
Bandwidth).
"""

from typing import Any

from services.core.errors import Kind, SendError
from services.core.messages import clean
from services.http.client import Answer

REFUSED, RETRY, UNKNOWN, CONFIG = Kind.REFUSED, Kind.RETRY, Kind.UNKNOWN, Kind.CONFIG

_TOO_MANY = "A group can have 10 recipients at most. Send to fewer people."
_MEDIA_GONE = "The attachment could not be fetched. Send it again."
_MEDIA_LARGE = "The attachment is too large. Send a smaller one (best below 500 KB)."
_MEDIA_TYPE = "The recipient's side does not take this type of file."
_SHORT_CODE = "This short code may not send to the recipient."
_OPTED_OUT = "The recipient has opted out by answering STOP. They must text START to hear from you."
_UNREGISTERED = (
    "Your number is not registered for texting. Register a 10DLC campaign for it at Bandwidth."
)

# Code of a failed message: what follows, and the sentence for people.
ERRORS: dict[str, tuple[Kind, str]] = {
    "4001": (CONFIG, "Texting is not enabled for this Bandwidth account. Ask Bandwidth for it."),
    "4301": (REFUSED, "The text has characters in a broken encoding."),
    "4302": (REFUSED, "The sending number is not written correctly."),
    "4303": (REFUSED, "The recipient's number is not a valid phone number."),
    "4350": (REFUSED, "The message does not have the form that the recipient's side demands."),
    "4360": (REFUSED, "The message was too old when its turn came, and was not sent."),
    "4401": (REFUSED, "There is no way from this number to that one. Are they the same?"),
    "4403": (CONFIG, "Your number may not send texts. Enable messaging on its Bandwidth location."),
    "4404": (REFUSED, "Texts to this number are not allowed."),
    "4405": (CONFIG, "Your number is not in service at Bandwidth."),
    "4406": (REFUSED, "The recipient's number is not in service."),
    "4407": (CONFIG, "Your number does not belong to this Bandwidth account."),
    "4408": (REFUSED, "The recipient's number is not set up for texts."),
    "4409": (REFUSED, "The recipient cannot take picture messages. Send plain text instead."),
    "4410": (REFUSED, _MEDIA_GONE),
    "4411": (REFUSED, _MEDIA_LARGE),
    "4412": (REFUSED, _MEDIA_TYPE),
    "4420": (REFUSED, "Bandwidth has no way to the recipient's network."),
    "4421": (REFUSED, "Bandwidth does not allow texts to this destination."),
    "4431": (REFUSED, _SHORT_CODE),
    "4432": (REFUSED, "Texts to this country are not allowed for your Bandwidth account."),
    "4433": (CONFIG, "Your toll-free number may not send texts yet. Have it verified first."),
    "4434": (REFUSED, "Texts to this toll-free number are not allowed."),
    "4435": (REFUSED, _TOO_MANY),
    "4451": (CONFIG, "Bandwidth does not know this account. Check BANDWIDTH_ACCOUNT_ID."),
    "4452": (CONFIG, "Bandwidth does not know the application. Check BANDWIDTH_APPLICATION_ID."),
    "4470": (REFUSED, "Bandwidth took the text for spam. Write it differently."),
    "4475": (REFUSED, _OPTED_OUT),
    "4476": (CONFIG, _UNREGISTERED),
    "4481": (CONFIG, "Your number is blocked at Bandwidth. Ask Bandwidth's support why."),
    "4482": (REFUSED, "The recipient's number is blocked at Bandwidth."),
    "4492": (REFUSED, "Emergency numbers cannot be texted this way."),
    "4493": (CONFIG, "Your Bandwidth account may not send this message. Ask Bandwidth's support."),
    "4700": (REFUSED, "The recipient's carrier does not offer this kind of message."),
    "4701": (REFUSED, "The recipient's carrier could not be reached. The text may arrive later."),
    "4702": (REFUSED, "The phone is off or out of reach. The text may still arrive later."),
    "4710": (REFUSED, _MEDIA_GONE),
    "4711": (REFUSED, _MEDIA_LARGE),
    "4712": (REFUSED, _MEDIA_TYPE),
    "4720": (REFUSED, "The number cannot receive texts; it may be a landline."),
    "4721": (REFUSED, "The recipient's number is no longer in use."),
    "4730": (REFUSED, "The recipient's carrier has no way to this number."),
    "4735": (REFUSED, "The recipient's carrier does not take a group of this size."),
    "4740": (REFUSED, "The recipient's carrier does not accept your number as a sender."),
    "4750": (REFUSED, "The recipient's carrier rejected the message and does not say why."),
    "4751": (REFUSED, "The text is too long for the recipient's carrier."),
    "4752": (REFUSED, "The recipient's carrier found the message malformed."),
    "4753": (REFUSED, "The recipient's phone rejected the message."),
    "4754": (REFUSED, "The recipient cannot receive this kind of message."),
    "4770": (REFUSED, "The recipient's carrier took the text for spam. Write it differently."),
    "4771": (REFUSED, "The carrier forbids shortened links. Write the whole address instead."),
    "4772": (CONFIG, "The recipient's carrier blocks your number. Ask Bandwidth's support."),
    "4773": (CONFIG, "The 10DLC campaign of your number is not active. Renew it at Bandwidth."),
    "4774": (CONFIG, "Your number is not yet set up at the carrier. Ask Bandwidth's support."),
    "4775": (REFUSED, _OPTED_OUT),
    "4780": (RETRY, "Your 10DLC campaign has used up T-Mobile's limit for today."),
    "4781": (RETRY, "Your 10DLC campaign sends faster than AT&T allows."),
    "4785": (RETRY, "You send more than the recipient's carrier allows at this time."),
    "4790": (REFUSED, _SHORT_CODE),
    "4791": (REFUSED, _SHORT_CODE),
    "4792": (REFUSED, _SHORT_CODE),
    "4793": (REFUSED, _SHORT_CODE),
    "4794": (REFUSED, _SHORT_CODE),
    "4795": (CONFIG, "Your toll-free number is not verified. Have it verified at Bandwidth."),
    "5106": (RETRY, "Bandwidth found no way to the recipient."),
    "5201": (RETRY, "Bandwidth tried several times and gave up."),
    "5229": (CONFIG, "Your number is not linked to its 10DLC campaign. Ask Bandwidth's support."),
    "5231": (RETRY, "Parts of the long text were lost at Bandwidth."),
    "5600": (RETRY, "The recipient's carrier is overloaded."),
    "5620": (
        RETRY,
        "The recipient's carrier failed. It may want your number's 10DLC registration.",
    ),
    "9902": (
        UNKNOWN,
        "The recipient's carrier has not confirmed the delivery. The text may well have arrived.",
    ),
}

# Codes that are not in the table go by their first digits.
_RANGES: tuple[tuple[str, tuple[Kind, str]], ...] = (
    ("47", (REFUSED, "The recipient's carrier rejected the message.")),
    ("4", (REFUSED, "Bandwidth rejected the message.")),
    ("56", (RETRY, "The recipient's carrier had a failure.")),
    ("5", (RETRY, "Bandwidth had a failure.")),
    ("9", (UNKNOWN, "The recipient's carrier reports an error and does not say whether it came.")),
    ("", (REFUSED, "Bandwidth could not deliver the message.")),
)


def explained(code: str, description: str) -> tuple[Kind, str]:
    """What a failed message's code means: what follows, and a sentence.

    ``retry`` means that the same message may pass later: it is not sent again by itself, because
    carriers bill and may have shown what they report as failed. ``description`` is Bandwidth's own
    wording, quoted where the code is not known.

    >>> explained("4499", "rejected-odd")[1]
    'Bandwidth rejected the message (“rejected-odd”).'
    """
    if code in ERRORS:
        kind, sentence = ERRORS[code]
    else:
        kind, sentence = next(known for start, known in _RANGES if code.startswith(start))
        if description:
            sentence = f"{sentence.removesuffix('.')} (“{description[:120]}”)."
    return kind, f"{sentence} Sending it again later may work." if kind is RETRY else sentence


# HTTP status: what follows, and what the operator can do.
_REFUSALS: dict[int, tuple[Kind, str]] = {
    401: (CONFIG, "Check BANDWIDTH_API_TOKEN and BANDWIDTH_API_SECRET."),
    403: (
        CONFIG,
        "Check BANDWIDTH_ACCOUNT_ID, and that the API credentials have the Messaging role.",
    ),
    404: (CONFIG, "Check BANDWIDTH_ACCOUNT_ID and BANDWIDTH_MESSAGE_BASE_URL."),
    408: (RETRY, ""),
    429: (RETRY, "More is sent at once than the account may."),
}
_REDIRECTED = (CONFIG, "Check BANDWIDTH_MESSAGE_BASE_URL.")
PAUSE_SECONDS = 30.0  # after a 429, for which Bandwidth documents no Retry-After


def refusal(answer: Answer, lost: Kind) -> SendError:
    """The error for an answer other than 2xx.

    Bandwidth documents that what it answers with an error of its own form was not carried out; of a
    5xx in any other form (a proxy's page) nobody knows, and ``lost`` follows.
    """
    told = _told(answer)
    said = _said(told)
    kind, remedy = _REFUSALS.get(answer.status, (REFUSED, ""))
    if answer.status < 400:
        kind, remedy = _REDIRECTED
    elif answer.status >= 500:
        kind, remedy = (RETRY, "") if said else (lost, "")
    elif any(field == "applicationId" for field, _ in _field_errors(told)):
        kind, remedy = CONFIG, "Check BANDWIDTH_APPLICATION_ID."
    sentence = f"Bandwidth answered {answer.status}: {said or 'no reason given.'} {remedy}"
    return SendError(
        sentence.rstrip(),
        kind,
        code=_text(told.get("type")) or str(answer.status),
        retry_after=_pause(answer),
    )


def not_signed_in(answer: Answer) -> SendError:
    """The error for a refused OAuth2 sign-in."""
    if answer.status in (408, 429) or answer.status >= 500:
        reason = f"Bandwidth's sign-in answered {answer.status}."
        return SendError(reason, RETRY, code=str(answer.status), retry_after=_pause(answer))
    return SendError(
        f"Bandwidth's sign-in refused the credentials ({answer.status}). Check "
        "BANDWIDTH_API_TOKEN and BANDWIDTH_API_SECRET. If they are of the older kind, set "
        "BANDWIDTH_AUTH=basic (until 2 December 2026), or create API credentials with the "
        "Messaging role.",
        CONFIG,
        code=str(answer.status),
    )


def _pause(answer: Answer) -> float | None:
    if answer.status == 429:
        return answer.retry_after or PAUSE_SECONDS
    return answer.retry_after


def _told(answer: Answer) -> dict[str, Any]:
    try:
        told = answer.json()
    except ValueError:
        return {}
    return told if isinstance(told, dict) else {}


def _said(told: dict[str, Any]) -> str:
    """Bandwidth's own words: of the faulty fields, of the request, or of its web framework."""
    fields = "; ".join(f"{field}: {words}" for field, words in _field_errors(told))
    words = fields or _text(told.get("description")) or _text(told.get("message"))
    words = words or _text(told.get("error")) or _text(told.get("type"))
    return f"{words[:300].rstrip('. ')}." if words else ""


def _field_errors(told: dict[str, Any]) -> list[tuple[str, str]]:
    errors = told.get("fieldErrors")
    return [
        (_text(error.get("fieldName")), _text(error.get("description")))
        for error in (errors if isinstance(errors, list) else [])
        if isinstance(error, dict)
    ]


def _text(value: Any) -> str:
    return clean(value).strip() if isinstance(value, str) else ""
