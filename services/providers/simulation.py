"""Simulated carriers: receipts and answers of the API in a carrier's wire format, without account.

Inbound messages are ``Provider.inbound_call``. What a carrier does not have, its simulation has not
either: the commands say so.
"""

import json
import uuid
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar
from urllib.parse import parse_qsl, urlsplit

from services.core.messages import Attachment, Message, Status, WebhookCall

PICTURE = "picture.jpg"  # the name of the file that simulated messages contain


@dataclass(frozen=True, slots=True)
class Outcome:
    """What becomes of a message at the carrier: sent, delivered or failed, with a carrier's code.

    Without ``code`` a failed one has the usual code of a number that is not in use.
    """

    status: Status
    code: str = ""


@dataclass(frozen=True, slots=True)
class ApiRequest:
    """A request to the simulated API; ``target`` is the path with its query."""

    method: str
    target: str
    body: bytes = b""

    @property
    def path(self) -> str:
        """The path without its query."""
        return urlsplit(self.target).path

    def query(self) -> dict[str, str]:
        """The parameters of the query."""
        return dict(parse_qsl(urlsplit(self.target).query, keep_blank_values=True))

    def json(self) -> dict[str, Any]:
        """The JSON object of the body; an empty one where it has none."""
        try:
            content = json.loads(self.body)
        except ValueError:
            return {}
        return content if isinstance(content, dict) else {}

    def form(self) -> dict[str, str]:
        """The fields of a form."""
        return dict(parse_qsl(self.body.decode("utf-8", "replace"), keep_blank_values=True))


@dataclass(frozen=True, slots=True)
class Account:
    """What the simulated carrier knows of the account: its numbers, and where their texts go."""

    numbers: tuple[str, ...] = ()
    webhook_url: str = ""


@dataclass(frozen=True, slots=True)
class ApiAnswer:
    """An answer of the simulated API.

    ``accepted`` is the carrier's id of a message that it has taken, as Textbridge keeps it.
    """

    status: int = 200
    content: Mapping[str, Any] | bytes = field(default_factory=dict)
    accepted: str = ""


class SimulatedCarrier(ABC):
    """The simulated side of one carrier.

    ``env`` are made-up settings with which Textbridge uses it; ``{api}`` stands for its address.
    """

    env: ClassVar[Mapping[str, str]] = {}
    refusal: ClassVar[str] = ""  # the code or sentence with which the API refuses a message
    failure: ClassVar[str] = ""  # the code of a message that failed; empty: it has no codes

    def receipts(self, message: Message, outcome: Outcome) -> Sequence[WebhookCall]:
        """The webhook calls, without proof, that report what became of a message.

        Empty for a carrier that posts no receipts.
        """
        return ()

    @abstractmethod
    def picture(self, content: bytes) -> Attachment:
        """A JPEG picture of an inbound message, as this carrier hands it over."""

    @abstractmethod
    def answer(self, request: ApiRequest, refuse: str = "") -> ApiAnswer | None:
        """The answer to a request that sends a message, or signs in; ``None`` for any other.

        ``refuse`` is a code or sentence with which messages are refused.
        """

    @abstractmethod
    def check_answer(self, request: ApiRequest, account: Account) -> ApiAnswer | None:
        """The answer to a request of ``Provider.check``; ``None`` for any other."""


def linked_picture(folder: str) -> Attachment:
    """A picture below an address of the carrier."""
    return Attachment(source_url=f"{folder}/{PICTURE}", name=PICTURE)


def new_id() -> str:
    """An id of a message at a carrier that uses UUIDs."""
    return str(uuid.uuid4())


def carrier_id(message: Message) -> str:
    """The carrier's id of a message of ours; one made of our own id before it is known."""
    return message.provider_id or message.id
