"""Client for the Ringotel Messaging API: one URL, with the method in the JSON body.

Success is ``{"result": …}``. A failure is ``{"error": {"message": …}}`` or ``{"result": {"error":
…}}``, often with status 200. A proxy in front of the API may answer with an HTML page.
"""

import re
from typing import Any

from services.core.errors import Kind, PushError
from services.http.client import Answer, Http, NoAnswer, NotSent, TooLarge

PAUSE_SECONDS = 60.0  # after a 429 without Retry-After
MAX_ANSWER_BYTES = 4_000_000  # enough for a long list of users

# The decision for an error that has no code, by its text. Any other error refuses this message.
ERROR_PATTERNS = tuple(
    (re.compile(pattern, re.IGNORECASE), kind)
    for pattern, kind in (
        (r"too many|rate.?limit|try again|temporar|timed? ?out|unavailable", Kind.RETRY),
        (r"unauthori[sz]ed|forbidden|denied|permission|api.?key|token", Kind.CONFIG),
        (r"\b(user|extension|contact|phone|number)\b", Kind.REFUSED),  # “… not in the organization”
        (r"\b(org(ani[sz]ation|id)?|domain)\b", Kind.CONFIG),
    )
)


class Api:
    """API calls; every method raises ``PushError``, whose text never contains the API key."""

    seconds = 10.0  # the total deadline of one call

    def __init__(self, http: Http, url: str, token: str, org_id: str) -> None:
        self._http = http
        self._url = url
        self._token = token
        self._org_id = org_id

    def message(self, extension: str, peer: str, content: str, kind: int) -> str | None:
        """Show a message from ``peer`` in an extension's chat; returns the id of the chat session.

        ``kind`` is 1 for a text and 7 for the URL of a file.
        """
        result = self._call(
            "message", {"from": peer, "to": extension, "content": content, "type": kind}
        )
        answer = result if isinstance(result, dict) else {}
        if not (answer.get("messageid") or answer.get("sessionid")):
            raise PushError("Ringotel gave no id for the message.", Kind.REFUSED)
        session = answer.get("sessionid")
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
                most=MAX_ANSWER_BYTES,
            )
        except (NotSent, NoAnswer, TooLarge) as error:
            raise PushError(f"Ringotel did not take the call. {error}", Kind.RETRY) from None
        content = _json_or_none(answer)
        error_text = _error_text(content)
        if not answer.ok or error_text:
            raise self._refusal(answer, error_text)
        if not isinstance(content, dict) or "result" not in content:
            raise _unreadable("it is not the JSON of its API")
        return content["result"]

    def _refusal(self, answer: Answer, error_text: str) -> PushError:
        code = str(answer.status)
        said = f": {error_text.replace(self._token, '…')[:200]}" if error_text else ""
        reason = f"Ringotel answered {code}{said}."
        if answer.status in (401, 403):
            return PushError(f"{reason} Check RINGOTEL_TOKEN.", Kind.CONFIG, code=code)
        if answer.status == 429:
            wait = answer.retry_after or PAUSE_SECONDS
            return PushError(reason, Kind.RETRY, code=code, retry_after=wait)
        if answer.status >= 500:
            return PushError(reason, Kind.RETRY, code=code, retry_after=answer.retry_after)
        if not error_text:
            return PushError(f"{reason} Check RINGOTEL_API_URL.", Kind.CONFIG, code=code)
        kind = next(
            (kind for pattern, kind in ERROR_PATTERNS if pattern.search(error_text)), Kind.REFUSED
        )
        if kind is Kind.CONFIG:
            reason += " Check RINGOTEL_TOKEN and RINGOTEL_ORG_ID."
        return PushError(reason, kind, code=code)


def _json_or_none(answer: Answer) -> Any:
    try:
        return answer.json()
    except ValueError:
        return None


def _error_text(content: Any) -> str:
    """The error in an answer, from either of its two positions; empty if there is none."""
    if not isinstance(content, dict):
        return ""
    result = content.get("result")
    error = content.get("error") or (result.get("error") if isinstance(result, dict) else None)
    if isinstance(error, dict):
        error = error.get("message") or error.get("code") or "no reason given"
    return " ".join(str(error).split()) if error else ""


def _unreadable(why: str) -> PushError:
    return PushError(f"Ringotel's answer cannot be read: {why}.", Kind.RETRY)
