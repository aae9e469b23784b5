"""Telnyx's API (https://developers.telnyx.com/api-reference/messages/send-a-message)."""

from collections.abc import Callable
from typing import Any, TypeVar

from services.core.errors import Kind, SendError
from services.http.client import Answer
from services.providers import parsing
from services.providers.api_client import JsonApi, json_object
from services.providers.telnyx.errors import TABLE

T = TypeVar("T")
ABSENT = {"404", "10005", "40303"}  # status or code of an answer for what is not there


class Api(JsonApi):
    """Requests with the API key; what is asked for is the ``data`` of the answer."""

    title = "Telnyx"

    def refusal(self, answer: Answer, lost: Kind) -> SendError:
        """The error by the first of ``errors``; ``lost`` follows a 5xx."""
        try:
            error = next(iter(parsing.objects(json_object(answer), "errors")), {})
            code = parsing.word(error, "code", most=20)
        except ValueError:
            error, code = {}, ""
        detail = parsing.sentence(error.get("detail") or error.get("title"))
        return TABLE.refusal(self.title, answer, lost, code, detail, address="TELNYX_BASE_URL")

    def record(self, path: str, read: Callable[[dict[str, Any]], T]) -> T | None:
        """What ``read`` makes of the object at a path; ``None`` where Telnyx has none.

        ``read`` raises ``ValueError`` for what cannot be read; raises ``SendError``.
        """
        try:
            return read(parsing.fields(self.get(path, {}).get("data"), "data"))
        except ValueError as error:
            raise SendError(f"Telnyx's record cannot be read: {error}", Kind.RETRY) from None
        except SendError as error:
            if error.code in ABSENT:
                return None
            raise

    def rows(self, path: str, query: dict[str, str]) -> list[dict[str, Any]]:
        """The first page of a list. Raises ``SendError``."""
        try:
            return parsing.objects(self.get(path, query), "data", most=1000)
        except ValueError as error:
            raise SendError(f"Telnyx's list cannot be read: {error}", Kind.RETRY) from None
