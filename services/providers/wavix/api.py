"""Wavix's API: authorised requests (https://docs.wavix.com/api-reference)."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import count
from typing import Any

from services.core.errors import Kind, SendError
from services.http.client import Answer, Http
from services.providers import parsing
from services.providers.api_client import JsonApi, json_object
from services.providers.wavix.errors import refusal

PER_PAGE = "100"


class Api(JsonApi):
    """Requests with the API key; every method raises ``SendError``.

    ``hidden`` are secrets that Wavix might quote in an error and that must not be shown.
    """

    title = "Wavix"

    def __init__(self, http: Http, base_url: str, key: str, hidden: tuple[str, ...]) -> None:
        super().__init__(http, base_url, f"Bearer {key}")
        self._hidden = (key, *hidden)

    def is_accepted(self, answer: Answer) -> bool:
        """Whether an answer means success: Wavix also refuses with 200 and ``success: false``."""
        return answer.ok and json_object(answer).get("success") is not False

    def refusal(self, answer: Answer, lost: Kind) -> SendError:
        """The error for a refusal, without secrets."""
        body = answer.body
        for secret in self._hidden:
            body = body.replace(secret.encode(), b"***")
        return refusal(replace(answer, body=body), lost)

    def unreadable(self) -> SendError:
        """The error for an answer in another form than documented."""
        return SendError("Wavix's answer cannot be read. Check WAVIX_BASE_URL.", Kind.RETRY)

    def post_message(self, content: Mapping[str, Any]) -> str:
        """Hand over one message; returns Wavix's id for it."""

        def read_id(data: dict[str, Any]) -> str:
            # Wavix's guide shows the message inside of {"message": …}, its specification does not.
            nested = data.get("message")
            data = nested if isinstance(nested, dict) else data
            return parsing.word(data, "message_id", needed=True)

        return self.post("/v3/messages", read_id, json=content)

    def messages(self, **filters: str) -> Iterator[Any]:
        """The messages that Wavix keeps, as it lists them; ``type`` and dates are filters."""
        return self._pages("/v3/messages", filters)

    def numbers(self) -> Iterator[Any]:
        """The numbers of the account, as Wavix lists them."""
        return self._pages("/v1/numbers", {})

    def sender_ids(self) -> list[Any]:
        """The registered Sender IDs, as Wavix lists them."""
        return self._items(self.get("/v3/messages/sender-ids", {}))

    def profile(self) -> dict[str, Any]:
        """The account's profile, with its default destinations."""
        return self.get("/v1/profile", {})

    def _pages(self, path: str, filters: Mapping[str, str]) -> Iterator[Any]:
        for page in count(1):
            data = self.get(path, {**filters, "page": str(page), "per_page": PER_PAGE})
            items = self._items(data)
            yield from items
            paging = data.get("pagination")
            last = paging.get("total_pages") if isinstance(paging, dict) else None
            if not items or (isinstance(last, int) and page >= last):
                return

    def _items(self, data: Mapping[str, Any]) -> list[Any]:
        items = data.get("items")
        if not isinstance(items, list):
            raise self.unreadable()
        return items
