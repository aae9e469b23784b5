"""What VoIP.ms refuses, in words (https://voip.ms/m/apidocs.php).

Its API answers 200 whatever happened, with a ``status`` that is a word; any other answer comes from
Cloudflare, which stands before it, or from its SOAP interface.
"""

import re

from services.core.errors import Kind, SendError
from services.http.client import Answer

REFUSED, RETRY, CONFIG = Kind.REFUSED, Kind.RETRY, Kind.CONFIG

TOO_LONG = "sms_toolong"
IP_NOT_ENABLED = "ip_not_enabled"

_CREDENTIALS = (
    "The credentials are not right. Check VOIPMS_API_USERNAME (the e-mail address of the account) "
    "and VOIPMS_API_PASSWORD. It is the API password of Main Menu, SOAP and REST/JSON API, not "
    "that of the portal."
)
_ADDRESS = "Check VOIPMS_BASE_URL: it is https://voip.ms/api/v1/rest.php, without www."
_DID = (
    "Your number cannot text at VoIP.ms. In the portal under DID Numbers, Manage DIDs, edit it: it "
    "must belong to this account and have SMS/MMS enabled under Message Service."
)
_RECIPIENT = "The recipient's number is not one that VoIP.ms can text."
_EMPTY = "VoIP.ms found no text in the message."
_MEDIA_GONE = (
    "VoIP.ms could not fetch or use the file. It takes JPG, PNG, GIF, MP3, WAV, MP4 and 3GP, "
    "and APP_URL must be an address that it can reach from outside."
)
_UNWELL = "VoIP.ms is out of order or under maintenance for the moment."
_FAULT = "Textbridge asked in a way that VoIP.ms does not understand. Please report this."

# The word, what follows from it, and the sentence for people.
STATUSES: dict[str, tuple[Kind, str]] = {
    "invalid_credentials": (CONFIG, _CREDENTIALS),
    "missing_credentials": (CONFIG, _CREDENTIALS),
    "api_not_enabled": (
        CONFIG,
        "The API is not enabled. In the VoIP.ms portal under Main Menu, SOAP and REST/JSON API, "
        "click Enable API.",
    ),
    IP_NOT_ENABLED: (
        CONFIG,
        "VoIP.ms does not allow this server's public address. In the portal under Main Menu, SOAP "
        "and REST/JSON API, add it to the allowed IP addresses.",
    ),
    "missing_method": (CONFIG, f"The request did not arrive whole. {_ADDRESS}"),
    "invalid_method": (CONFIG, f"VoIP.ms does not know what it was asked. {_ADDRESS}"),
    "missing_params": (REFUSED, _FAULT),
    "non_sufficient_funds": (CONFIG, "The VoIP.ms account has no funds left. Add some."),
    "missing_did": (REFUSED, _DID),
    "invalid_did": (REFUSED, _DID),
    "no_did": (REFUSED, _DID),
    "sms_apply_regulations": (
        REFUSED,
        "VoIP.ms blocks this text because of the rules for business texting. Register your number "
        "(10DLC) with VoIP.ms or ask its support.",
    ),
    "invalid_dst": (REFUSED, _RECIPIENT),
    "invalid_to_number": (REFUSED, _RECIPIENT),
    "invalid_contact": (REFUSED, _RECIPIENT),
    "missing_sms": (REFUSED, _EMPTY),
    "invalid_sms": (REFUSED, _EMPTY),
    "message_empty": (REFUSED, _EMPTY),
    TOO_LONG: (
        REFUSED,
        "The text is too long for one SMS at VoIP.ms: 160 plain characters, fewer with emoji. "
        "Shorten it, or set VOIPMS_LONG_TEXT to mms or split.",
    ),
    "invalid_media": (REFUSED, _MEDIA_GONE),
    "invalid_file": (REFUSED, _MEDIA_GONE),
    "missing_file": (REFUSED, _MEDIA_GONE),
    "no_base64file": (REFUSED, _MEDIA_GONE),
    "exceeds_file_size": (
        REFUSED,
        "The file is too large for VoIP.ms. Send one of less than 1.2 MB.",
    ),
    "sms_failed": (RETRY, "VoIP.ms could not send the text."),
    "limit_reached": (
        RETRY,
        "The account has used up its texts by API for today; VoIP.ms allows 100 a day until its "
        "support raises that. What waits is tried again every hour, for up to a day.",
    ),
    "api_limit_exceeded": (RETRY, "VoIP.ms was asked more often than it allows in a minute."),
    "method_maintenance": (RETRY, _UNWELL),
    "provider_outofservice": (RETRY, _UNWELL),
    "tls_error": (RETRY, _UNWELL),
    "unavailable_info": (RETRY, _UNWELL),
    "sms_wait_message": (RETRY, "VoIP.ms wants a minute between two such requests."),
    "invalid_daterange": (REFUSED, _FAULT),
    "invalid_date": (REFUSED, _FAULT),
    "invalid_date_from": (REFUSED, _FAULT),
    "missing_from_date": (REFUSED, _FAULT),
    "missing_to_date": (REFUSED, _FAULT),
    "invalid_timezone": (REFUSED, _FAULT),
}

# Seconds to wait. When a day ends for the daily limit is not documented, so it is tried every hour.
PAUSES = {
    "limit_reached": 3600.0,
    "api_limit_exceeded": 60.0,
    "sms_wait_message": 60.0,
    "method_maintenance": 300.0,
    "provider_outofservice": 300.0,
    "tls_error": 300.0,
    "unavailable_info": 300.0,
}

# Answers that are not the API's own. 521, 523, 525, 526 and 530: Cloudflare had no way to VoIP.ms.
_CLOSED = (RETRY, "VoIP.ms is not reachable behind Cloudflare.")
_HTTP: dict[int, tuple[Kind, str]] = {
    401: (CONFIG, _CREDENTIALS),
    403: (
        CONFIG,
        "Cloudflare, which guards VoIP.ms, keeps this server out. Ask VoIP.ms's support to let its "
        "address in.",
    ),
    404: (CONFIG, _ADDRESS),
    405: (CONFIG, _ADDRESS),
    408: (RETRY, "The request took too long."),
    429: (RETRY, "More is asked at once than VoIP.ms allows."),
    **dict.fromkeys((521, 523, 525, 526, 530), _CLOSED),
}

_WORD = re.compile(r"[a-z0-9_]{1,60}", re.ASCII)


def refusal(status: str, said: str) -> SendError:
    """The error for a ``status`` other than success; ``said`` are VoIP.ms's own words, if any."""
    known = STATUSES.get(status)
    if known is not None:
        kind, sentence = known
        return SendError(sentence, kind, code=status, retry_after=PAUSES.get(status))
    words = said[:200].rstrip(". ") or "no reason given"
    code = status if _WORD.fullmatch(status) else None
    return SendError(f"VoIP.ms refused it ({code or 'an odd word'}): {words}.", REFUSED, code=code)


def unusable(answer: Answer, lost: Kind) -> SendError:
    """The error for an answer that is not the API's; ``lost`` where nobody knows what became."""
    code = str(answer.status)
    if answer.ok:
        return SendError("VoIP.ms answered in a way that cannot be read.", lost)
    kind, remedy = _HTTP.get(answer.status, (REFUSED, ""))
    if answer.status < 400:
        kind, remedy = CONFIG, _ADDRESS
    elif answer.status >= 500 and answer.status not in _HTTP:
        kind = lost
    wait = answer.retry_after or (60.0 if answer.status == 429 else None)
    sentence = f"VoIP.ms answered {code}. {remedy}".rstrip()
    return SendError(sentence, kind, code=code, retry_after=wait)
