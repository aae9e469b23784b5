"""Twilio's API: authorised requests for one account."""

from collections.abc import Iterator, Sequence
from typing import Any

from services.core.errors import Kind, SendError
from services.http.client import Answer, Http
from services.providers import parsing
from services.providers.api_client import JsonApi
from services.providers.proofs import basic
from services.providers.twilio.errors import refusal

PAGE_SIZE = 500
MOST_PAGES = 200


class Api(JsonApi):
    """Requests below ``/2010-04-01/Accounts/{sid}``; every method raises ``SendError``."""

    title = "Twilio"

    def __init__(self, http: Http, base_url: str, account: str, auth_token: str) -> None:
        super().__init__(http, base_url, basic(account, auth_token))
        self._account = f"/2010-04-01/Accounts/{account}"

    def refusal(self, answer: Answer, lost: Kind) -> SendError:
        """The error by the code of the answer, see ``errors.refusal``."""
        return refusal(answer, lost)

    def post_message(self, form: Sequence[tuple[str, str]]) -> str:
        """Hand over one message; returns Twilio's id for it."""
        path = f"{self._account}/Messages.json"
        return self.post(path, lambda data: parsing.word(data, "sid", needed=True), data=list(form))

    def account(self) -> dict[str, Any]:
        """The record of the account."""
        return self.get(f"{self._account}.json", {})

    def rows(self, name: str, kind: str, query: dict[str, str]) -> Iterator[Any]:
        """The rows of a list such as ``Messages``, which is ``messages`` in the answer.

        Twilio gives the newest first. Later pages are only asked for when they are needed.
        """
        path = f"{self._account}/{name}.json"
        following: Any = path
        asked = {**query, "PageSize": str(PAGE_SIZE)}
        for _ in range(MOST_PAGES):
            data = self.get(following, asked)
            rows, following, asked = data.get(kind), data.get("next_page_uri"), {}
            yield from rows if isinstance(rows, list) else ()
            if not following:
                return
            if not isinstance(following, str) or not following.startswith(f"{path}?"):
                raise SendError("Twilio's list leads to a foreign address.", Kind.RETRY)
        raise SendError("Twilio's list is longer than can be read at once.", Kind.RETRY)

    def media(self, message: str) -> list[str]:
        """The addresses of a message's files, as in a webhook."""
        listed = self.rows(f"Messages/{message}/Media", "media_list", {})
        folder = f"{self.root}{self._account}/Messages/{message}/Media/"
        try:
            return [
                folder + parsing.word(parsing.fields(row, "media"), "sid", needed=True)
                for row in listed
            ]
        except ValueError as error:
            raise SendError(f"Twilio's list of files is odd: {error}", Kind.RETRY) from None
