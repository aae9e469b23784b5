"""Ringotel's Messaging API: one address, the method stands in the body.

Success is ``{"result": …}``. A failure is ``{"error": {"message": …}}`` or ``{"result": {"error":
…}}``, often with a 200, and from a proxy in front it may be a page of HTML.
"""

import re
from typing import Any

from services.core.errors import Kind, PushError
from services.http import Answer, Http, NoAnswer, NotSent, TooLarge

PAUSE_SECONDS = 60.0  # after a 429 that names no time
ANSWER_BYTES = 4_000_000  # a list of many users

# What follows from an error that only its words tell; any other is for this message alone.
WORDS = tuple(
    (re.compile(pattern, re.IGNORECASE), kind)
    for pattern, kind in (
        (r"too many|rate.?limit|try again|temporar|timed? ?out|unavailable", Kind.RETRY),
        (r"unauthori[sz]ed|forbidden|denied|permission|api.?key|token", Kind.CONFIG),
        (r"\b(user|extension|contact|phone|number)\b", Kind.REFUSED),  # “… not in the organization”
        (r"\b(org(ani[sz]ation|id)?|domain)\b", Kind.CONFIG),
    )
)


class Api:
    """Calls with the API key; every method raises ``PushError``, which never quotes the key."""

    seconds = 10.0  # the total deadline of one call

    def __init__(self, http: Http, url: str, token: str, org_id: str) -> None:
        self._http = http
        self._url = url
        self._token = token
        self._org_id = org_id

    def message(self, extension: str, peer: str, content: str, kind: int) -> str | None:
        """Show a message of ``peer`` in an extension's chat; returns the id of the chat's session.

        ``kind`` 1 is a text, 7 the address of a file.
        """
        result = self._call(
            "message", {"from": peer, "to": extension, "content": content, "type": kind}
        )
        told = result if isinstance(result, dict) else {}
        if not (told.get("messageid") or told.get("sessionid")):
            raise PushError("Ringotel gave no id for the message.", Kind.REFUSED)
        session = told.get("sessionid")
        return session if isinstance(session, str) else None

    def delivered(self, message_id: str) -> None:
        """Mark a message that the app sent as delivered."""
        self._call("delivered", {"messageid": message_id})

    def users(self) -> dict[str, str]:
        """The names of the organization's users by their extension."""
        found = self._call("getChatUsers", {})
        if not isinstance(found, list):
            raise _unreadable("its list of users is none")
        users = [user for user in found if isinstance(user, dict) and user.get("phone")]
        return {str(user["phone"]): str(user.get("name") or "") for user in users}

    def _call(self, method: str, params: dict[str, Any]) -> Any:
        try:
            answer = self._http.request(
                "POST",
                self._url,
                headers={"Authorization": f"Bearer {self._token}"},
                json={"method": method, "params": {"orgid": self._org_id, **params}},
                seconds=self.seconds,
                most=ANSWER_BYTES,
            )
        except (NotSent, NoAnswer, TooLarge) as error:
            raise PushError(f"Ringotel did not take the call. {error}", Kind.RETRY) from None
        told = _told(answer)
        complaint = _complaint(told)
        if not answer.ok or complaint:
            raise self._refusal(answer, complaint)
        if not isinstance(told, dict) or "result" not in told:
            raise _unreadable("it is not the JSON of its API")
        return told["result"]

    def _refusal(self, answer: Answer, complaint: str) -> PushError:
        code = str(answer.status)
        said = f": {complaint.replace(self._token, '…')[:200]}" if complaint else ""
        reason = f"Ringotel answered {code}{said}."
        if answer.status in (401, 403):
            return PushError(f"{reason} Check RINGOTEL_TOKEN.", Kind.CONFIG, code=code)
        if answer.status == 429:
            wait = answer.retry_after or PAUSE_SECONDS
            return PushError(reason, Kind.RETRY, code=code, retry_after=wait)
        if answer.status >= 500:
            return PushError(reason, Kind.RETRY, code=code, retry_after=answer.retry_after)
        if not complaint:
            return PushError(f"{reason} Check RINGOTEL_API_URL.", Kind.CONFIG, code=code)
        kind = next((kind for words, kind in WORDS if words.search(complaint)), Kind.REFUSED)
        if kind is Kind.CONFIG:
            reason += " Check RINGOTEL_TOKEN and RINGOTEL_ORG_ID."
        return PushError(reason, kind, code=code)


def _told(answer: Answer) -> Any:
    try:
        return answer.json()
    except ValueError:
        return None


def _complaint(told: Any) -> str:
    """What an answer complains of, wherever it says so; empty for none."""
    if not isinstance(told, dict):
        return ""
    inner = told.get("result")
    error = told.get("error") or (inner.get("error") if isinstance(inner, dict) else None)
    if isinstance(error, dict):
        error = error.get("message") or error.get("code") or "no reason given"
    return " ".join(str(error).split()) if error else ""


def _unreadable(why: str) -> PushError:
    return PushError(f"Ringotel's answer cannot be read: {why}.", Kind.RETRY)
