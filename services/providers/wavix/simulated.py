"""Simulated Wavix: delivery reports as it posts them, answers as its API gives them."""

import time
from collections.abc import Mapping, Sequence
from typing import ClassVar

from services.core.messages import Attachment, Message, Status, WebhookCall, rfc3339
from services.providers.base import json_call
from services.providers.simulation import (
    Account,
    ApiAnswer,
    ApiRequest,
    Outcome,
    SimulatedCarrier,
    carrier_id,
    linked_picture,
    new_id,
)

WORDS = {Status.SENT: "sent", Status.DELIVERED: "delivered", Status.FAILED: "undelivered"}


class SimulatedWavix(SimulatedCarrier):
    """``api`` is the address of the API."""

    env: ClassVar[Mapping[str, str]] = {"WAVIX_API_KEY": "simulated", "WAVIX_BASE_URL": "{api}"}
    refusal = "The Sender ID is not provisioned for the country"
    failure = "44"

    def __init__(self, api: str) -> None:
        self._api = api

    def receipts(self, message: Message, outcome: Outcome) -> Sequence[WebhookCall]:
        """One report; the error may be a sentence of Wavix or the number of its page."""
        now = rfc3339(time.time()).removesuffix("Z")
        report = {
            "message_id": carrier_id(message),
            "message_type": "mms" if message.media else "sms",
            "from": message.number.removeprefix("+"),
            "to": message.peer.removeprefix("+"),
            "status": WORDS[outcome.status],
            "segments_count": message.segments,
            "sent": now,
            "delivered": now if outcome.status is Status.DELIVERED else None,
            "error": (outcome.code or self.failure) if outcome.status is Status.FAILED else None,
            "tag": message.id,
        }
        return [json_call(report)]

    def picture(self, content: bytes) -> Attachment:
        """A file at the API's address."""
        return linked_picture(f"{self._api}/media")

    def answer(self, request: ApiRequest, refuse: str = "") -> ApiAnswer | None:
        """A message."""
        if request.method != "POST" or not request.path.endswith("/v3/messages"):
            return None
        if refuse:
            return ApiAnswer(400, {"success": False, "message": refuse})
        accepted = new_id()
        return ApiAnswer(201, {**request.json(), "message_id": accepted}, accepted)

    def check_answer(self, request: ApiRequest, account: Account) -> ApiAnswer | None:
        """Sender IDs, numbers, and where their texts go by default."""
        if request.method != "GET":
            return None
        digits = [number.removeprefix("+") for number in account.numbers]
        if request.path.endswith("/v3/messages/sender-ids"):
            return ApiAnswer(200, {"items": [{"sender_id": one} for one in digits]})
        if request.path.endswith("/v1/numbers"):
            rows = [{"number": one, "status": "active", "sms_enabled": True} for one in digits]
            return ApiAnswer(200, {"items": rows, "pagination": {"total_pages": 1}})
        if request.path.endswith("/v1/profile"):
            return ApiAnswer(200, {"default_destinations": [{"value": account.webhook_url}]})
        return None
