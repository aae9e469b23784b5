"""Twilio's API: authorised requests for one account."""

import base64
from collections.abc import Iterator, Sequence
from typing import Any

from services.core.errors import Kind, SendError
from services.http.client import Answer, Http, NoAnswer, NotSent, TooLarge
from services.providers import reading
from services.providers.twilio_errors import refusal

PAGE_SIZE = 500
PAGE_BYTES = 8_000_000
MOST_PAGES = 200


class Api:
    """Requests below ``/2010-04-01/Accounts/{sid}``; every method raises ``SendError``."""

    def __init__(self, http: Http, base_url: str, account: str, auth_token: str) -> None:
        credentials = base64.b64encode(f"{account}:{auth_token}".encode()).decode()
        self.headers = {"Authorization": f"Basic {credentials}"}
        self._http = http
        self._base_url = base_url
        self._account = f"/2010-04-01/Accounts/{account}"

    def post_message(self, form: Sequence[tuple[str, str]]) -> str:
        """Hand over one message; returns Twilio's id for it."""
        url = f"{self._base_url}{self._account}/Messages.json"
        answer = self._call("POST", url, Kind.UNKNOWN, data=list(form))
        try:
            return reading.word(reading.fields(answer.json(), "answer"), "sid", needed=True)
        except ValueError:
            raise SendError(
                "Twilio took the message, but its answer cannot be read.", Kind.UNKNOWN
            ) from None

    def account(self) -> dict[str, Any]:
        """What Twilio says of the account."""
        return self._get(f"{self._account}.json", {})

    def rows(self, name: str, kind: str, query: dict[str, str]) -> Iterator[Any]:
        """The rows of a list such as ``Messages``, which is ``messages`` in the answer.

        Twilio gives the newest first. Later pages are only asked for when they are needed.
        """
        path = f"{self._account}/{name}.json"
        following: Any = path
        asked = {**query, "PageSize": str(PAGE_SIZE)}
        for _ in range(MOST_PAGES):
            told = self._get(following, asked)
            rows, following, asked = told.get(kind), told.get("next_page_uri"), {}
            yield from rows if isinstance(rows, list) else ()
            if not following:
                return
            if not isinstance(following, str) or not following.startswith(f"{path}?"):
                raise SendError("Twilio's list leads to a foreign address.", Kind.RETRY)
        raise SendError("Twilio's list is longer than can be read at once.", Kind.RETRY)

    def media(self, message: str) -> list[str]:
        """The addresses of a message's files, as a webhook tells them."""
        listed = self.rows(f"Messages/{message}/Media", "media_list", {})
        folder = f"{self._base_url}{self._account}/Messages/{message}/Media/"
        try:
            return [
                folder + reading.word(reading.fields(row, "media"), "sid", needed=True)
                for row in listed
            ]
        except ValueError as error:
            raise SendError(f"Twilio's list of files is odd: {error}", Kind.RETRY) from None

    def _get(self, path: str, query: dict[str, str]) -> dict[str, Any]:
        answer = self._call("GET", self._base_url + path, Kind.RETRY, params=query, most=PAGE_BYTES)
        try:
            return reading.fields(answer.json(), "answer")
        except ValueError:
            raise SendError("Twilio's answer cannot be read.", Kind.RETRY) from None

    def _call(self, method: str, url: str, lost: Kind, **content: Any) -> Answer:
        """One request; ``lost`` is what follows when nobody knows what became of it."""
        try:
            answer = self._http.request(method, url, headers=self.headers, **content)
        except NotSent as error:
            raise SendError(f"Twilio could not be reached. {error}", Kind.RETRY) from None
        except (NoAnswer, TooLarge) as error:
            raise SendError(f"Twilio gave no usable answer. {error}", lost) from None
        if not answer.ok:
            raise refusal(answer, lost)
        return answer
