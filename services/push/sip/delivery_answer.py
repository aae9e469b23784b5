"""What follows from the answer to a MESSAGE: delivered, passed on, too long, later, or never.

What is tried later keeps its place in its conversation (``offline``): texts do not overtake it.
"""

from services.core.errors import Kind, PushError
from services.push.base import PassedOn
from services.push.sip.sip_message import Response

PASSED_ON = "The PBX has taken it and passes it on. It does not say whether the phone has it."
TOO_LONG = {413, 513}
# 405, 415, 488 …: what the phone cannot do today it cannot do tomorrow. 603: its user has declined.
NOT_SUPPORTED = {405, 406, 415, 416, 420, 488, 489, 493, 501, 505, 603, 606, 607, 608}
# 404 is what some registrars say of an extension that exists and is not registered.
OFFLINE = {404, 408, 410, 430, 480, 486, 600, 604}
LONGEST_PAUSE = 900.0  # seconds that the PBX may ask for


class TooLong(Exception):
    """The phone or the PBX refuses a text of this length."""


def result_of(extension: str, answer: Response) -> PassedOn | None:
    """The result of an accepted MESSAGE. Raises ``PushError`` and ``TooLong`` for others."""
    status = answer.status
    if status == 202:
        return PassedOn("202", PASSED_ON)
    if 200 <= status < 300:
        return None
    if status in TOO_LONG:
        raise TooLong
    code = str(status)
    if status in NOT_SUPPORTED:
        reason = f"The phone of {extension} takes no texts (SIP {status})."
        raise PushError(reason, Kind.REFUSED, code=code)
    if status in OFFLINE:
        reason = f"No phone of {extension} can be reached (SIP {status}). It gets the text later."
        raise PushError(reason, Kind.RETRY, code=code, offline=True)
    if 300 <= status < 400:
        reason = f"The PBX redirects texts for {extension} (SIP {status}), which is not followed."
        raise PushError(reason, Kind.RETRY, code=code, offline=True)
    if status == 403:
        reason = (
            f"The PBX does not let this account text {extension} (SIP 403). It must allow the "
            "account to write in the name of outside numbers."
        )
        raise PushError(reason, Kind.RETRY, code=code, offline=True)
    reason = f"The PBX answered SIP {status} to a text for {extension}."
    pause = _pause(answer)
    raise PushError(reason, Kind.RETRY, code=code, retry_after=pause, offline=pause is None)


def _pause(answer: Response) -> float | None:
    """For how many seconds a PBX that is too busy wants to be left alone, if it says so."""
    if answer.status != 503:
        return None
    return min(answer.retry_after or 0.0, LONGEST_PAUSE) or None
