"""Wavix's API: authorised requests (https://docs.wavix.com/api-reference)."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import count
from typing import Any

from services.core.errors import Kind, SendError
from services.http.client import Answer, Http
from services.providers import parsing
from services.providers.api_client import exchange, json_object
from services.providers.wavix.errors import refusal

LIST_BYTES = 8_000_000
PER_PAGE = "100"


class Api:
    """Requests with the API key; every method raises ``SendError``.

    ``hidden`` are secrets that Wavix might quote in an error and that must not be shown.
    """

    def __init__(self, http: Http, base_url: str, key: str, hidden: tuple[str, ...]) -> None:
        self._http = http
        self._base_url = base_url
        self._hidden = (key, *hidden)
        self.authorization = f"Bearer {key}"

    def post_message(self, content: Mapping[str, Any]) -> str:
        """Hand over one message; returns Wavix's id for it."""
        answer = self._call("POST", "/v3/messages", Kind.UNKNOWN, json=content)
        try:
            data = parsing.fields(answer.json(), "answer")
            # Wavix's guide shows the message inside of {"message": …}, its specification does not.
            nested = data.get("message")
            data = nested if isinstance(nested, dict) else data
            return parsing.word(data, "message_id", needed=True)
        except ValueError:
            reason = "Wavix took the message, but its answer cannot be read."
            raise SendError(reason, Kind.UNKNOWN) from None

    def messages(self, **filters: str) -> Iterator[Any]:
        """The messages that Wavix keeps, as it lists them; ``type`` and dates are filters."""
        return self._pages("/v3/messages", filters)

    def numbers(self) -> Iterator[Any]:
        """The numbers of the account, as Wavix lists them."""
        return self._pages("/v1/numbers", {})

    def sender_ids(self) -> list[Any]:
        """The registered Sender IDs, as Wavix lists them."""
        return _items(self._get("/v3/messages/sender-ids", {}))

    def profile(self) -> dict[str, Any]:
        """The account's profile, with its default destinations."""
        return self._get("/v1/profile", {})

    def _pages(self, path: str, filters: Mapping[str, str]) -> Iterator[Any]:
        for page in count(1):
            data = self._get(path, {**filters, "page": str(page), "per_page": PER_PAGE})
            items = _items(data)
            yield from items
            paging = data.get("pagination")
            last = paging.get("total_pages") if isinstance(paging, dict) else None
            if not items or (isinstance(last, int) and page >= last):
                return

    def _get(self, path: str, filters: Mapping[str, str]) -> dict[str, Any]:
        answer = self._call("GET", path, Kind.RETRY, params=filters, most=LIST_BYTES)
        try:
            return parsing.fields(answer.json(), "answer")
        except ValueError:
            raise _unreadable() from None

    def _call(self, method: str, path: str, lost: Kind, **content: Any) -> Answer:
        """One request; ``lost``: the kind of error where it may have been carried out."""
        headers = {"Authorization": self.authorization}
        url = self._base_url + path
        answer = exchange(self._http, "Wavix", lost, method, url, headers=headers, **content)
        if not answer.ok or json_object(answer).get("success") is False:
            raise refusal(self._without_secrets(answer), lost)
        return answer

    def _without_secrets(self, answer: Answer) -> Answer:
        body = answer.body
        for secret in self._hidden:
            body = body.replace(secret.encode(), b"***")
        return replace(answer, body=body)


def _items(data: Mapping[str, Any]) -> list[Any]:
    items = data.get("items")
    if not isinstance(items, list):
        raise _unreadable()
    return items


def _unreadable() -> SendError:
    return SendError("Wavix's answer cannot be read. Check WAVIX_BASE_URL.", Kind.RETRY)
