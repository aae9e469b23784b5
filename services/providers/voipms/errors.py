"""VoIP.ms's errors (https://voip.ms/m/apidocs.php); the table is in errors.toml.

Its API answers 200 in any case, with a ``status`` that is a word; any other answer comes from
Cloudflare, which stands before it, or from its SOAP interface.
"""

import re

from services.core.errors import Kind, SendError
from services.http.client import Answer
from services.providers import error_table
from services.providers.error_table import with_consequence

TABLE = error_table.load(__file__)
TOO_LONG = "sms_toolong"
IP_NOT_ENABLED = "ip_not_enabled"

_ADDRESS = "Check VOIPMS_BASE_URL: it is https://voip.ms/api/v1/rest.php, without www."
_WORD = re.compile(r"[a-z0-9_]{1,60}", re.ASCII)


def refusal(status: str, text: str, lost: Kind) -> SendError:
    """The error for a ``status`` other than success; ``text`` is VoIP.ms's own, if any.

    ``lost`` as for ``error_table.with_consequence``.
    """
    known = TABLE.codes.get(status)
    if known is not None:
        return SendError(known.reason, known.kind, code=status, retry_after=known.pause)
    detail = text[:200].rstrip(". ") or "no reason given"
    code = status if _WORD.fullmatch(status) else None
    sentence = f"VoIP.ms refused it ({code or 'an odd word'}): {detail}."
    return SendError(with_consequence(sentence, Kind.REFUSED, lost), Kind.REFUSED, code=code)


def unusable(answer: Answer, lost: Kind) -> SendError:
    """The error for an answer that is not the API's; an unknown outcome has the kind ``lost``."""
    code = str(answer.status)
    if answer.ok:
        return SendError("VoIP.ms answered in a way that cannot be read.", lost)
    kind, remedy = TABLE.for_status(answer.status)
    if answer.status < 400:
        kind, remedy = Kind.CONFIG, _ADDRESS
    elif answer.status >= 500 and answer.status not in TABLE.http:
        kind = lost
    wait = answer.retry_after or (60.0 if answer.status == 429 else None)
    sentence = f"VoIP.ms answered {code}."
    sentence = f"{sentence} {remedy}" if remedy else with_consequence(sentence, kind, lost)
    return SendError(sentence, kind, code=code, retry_after=wait)
