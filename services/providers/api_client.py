"""Requests to the carriers' APIs: error handling, JSON answers, links to our files."""

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from services.core.errors import Kind, SendError
from services.core.messages import Attachment
from services.http.client import Answer, Http, NoAnswer, NotSent, TooLarge
from services.providers import parsing

ANSWER_BYTES = 8_000_000


def exchange(http: Http, title: str, lost: Kind, method: str, url: str, **content: Any) -> Answer:
    """One request to a carrier; ``title`` is as the carrier writes itself, ``content`` as for Http.

    ``lost`` is the kind of error where it is not known whether the request was carried out. Raises
    ``SendError`` where there is no answer; an answer may still be a refusal.
    """
    try:
        return http.request(method, url, **content)
    except NotSent as error:
        raise SendError(f"{title} could not be reached. {error}", Kind.RETRY) from None
    except (NoAnswer, TooLarge) as error:
        raise SendError(f"{title} gave no usable answer. {error}", lost) from None


class JsonApi(ABC):
    """Requests to a carrier whose answers are JSON objects; every method raises ``SendError``.

    ``root`` is put before every path; ``authorization`` is the header of that name.
    """

    title: ClassVar[str]  # as the carrier writes itself

    def __init__(self, http: Http, root: str, authorization: str) -> None:
        self.headers = {"Authorization": authorization}
        self.root = root
        self._http = http

    @abstractmethod
    def refusal(self, answer: Answer, lost: Kind) -> SendError:
        """The error for an answer other than 2xx; ``lost`` as for ``exchange``."""

    def post(self, path: str, read_id: Callable[[dict[str, Any]], str], **content: Any) -> str:
        """Hand over one message; returns the carrier's id for it.

        ``read_id`` finds it in the answer and raises ``ValueError`` where it is not there.
        """
        answer = self._call("POST", path, Kind.UNKNOWN, **content)
        try:
            return read_id(parsing.fields(answer.json(), "answer"))
        except ValueError:
            reason = f"{self.title} took the message, but its answer cannot be read."
            raise SendError(reason, Kind.UNKNOWN) from None

    def get(self, path: str, query: Mapping[str, str]) -> dict[str, Any]:
        """The object that is answered."""
        answer = self._call("GET", path, Kind.RETRY, params=query, most=ANSWER_BYTES)
        try:
            return parsing.fields(answer.json(), "answer")
        except ValueError:
            raise self.unreadable() from None

    def unreadable(self) -> SendError:
        """The error for an answer in another form than documented."""
        return SendError(f"{self.title}'s answer cannot be read.", Kind.RETRY)

    def is_accepted(self, answer: Answer) -> bool:
        """Whether an answer means success."""
        return answer.ok

    def _call(self, method: str, path: str, lost: Kind, **content: Any) -> Answer:
        url, headers = self.root + path, self.headers
        answer = exchange(self._http, self.title, lost, method, url, headers=headers, **content)
        if not self.is_accepted(answer):
            raise self.refusal(answer, lost)
        return answer


def json_object(answer: Answer) -> dict[str, Any]:
    """The JSON object of an answer; an empty one where it has none."""
    try:
        data = answer.json()
    except ValueError:
        return {}
    return data if isinstance(data, dict) else {}


def public_link(file: Attachment) -> str:
    """The signed link by which a carrier can fetch a file from us. Raises ``SendError``."""
    if not file.source_url:
        raise SendError("An attachment is not there yet.", Kind.RETRY)
    return file.source_url


def header_key(value: str) -> str:
    """Parser of an API key that goes into a header: printable characters without spaces."""
    if not re.fullmatch(r"[!-~]+", value, re.ASCII):
        raise ValueError("it must be the key as the carrier shows it, without spaces.")
    return value
