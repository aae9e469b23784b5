"""Simulated Telnyx: status webhooks as Telnyx posts them, answers as its API gives them."""

import time
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

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

PROFILE = "4001f2a6-simulated"  # of the simulated account
WORDS = {Status.SENT: "sent", Status.DELIVERED: "delivered", Status.FAILED: "delivery_failed"}


class SimulatedTelnyx(SimulatedCarrier):
    """``api`` is the address of the API, ``webhook`` that of the webhook."""

    env: ClassVar[Mapping[str, str]] = {
        "TELNYX_API_KEY": "KEY-simulated",
        "TELNYX_BASE_URL": "{api}",
    }
    refusal = "40310"
    failure = "40012"

    def __init__(self, api: str, webhook: str) -> None:
        self._api = api
        self._webhook = webhook

    def receipts(self, message: Message, outcome: Outcome) -> Sequence[WebhookCall]:
        """One event with the status of every recipient."""
        word, now = WORDS[outcome.status], rfc3339(time.time())
        has_failed = outcome.status is Status.FAILED
        payload: dict[str, Any] = {
            "id": carrier_id(message),
            "record_type": "message",
            "direction": "outbound",
            "type": "MMS" if message.media or message.participants else "SMS",
            "from": {"phone_number": message.number},
            "to": [{"phone_number": one, "status": word} for one in message.recipients],
            "text": message.text,
            "errors": [{"code": outcome.code or self.failure}] if has_failed else [],
            "sent_at": now,
            "completed_at": None if outcome.status is Status.SENT else now,
            "webhook_url": f"{self._webhook}?m={message.id}",
        }
        kind = "message.sent" if outcome.status is Status.SENT else "message.finalized"
        return [json_call({"data": {"event_type": kind, "id": new_id(), "payload": payload}})]

    def picture(self, content: bytes) -> Attachment:
        """A file at the API's address."""
        return linked_picture(f"{self._api}/media")

    def answer(self, request: ApiRequest, refuse: str = "") -> ApiAnswer | None:
        """A message, to one or to a group."""
        if request.method != "POST" or not request.path.endswith(("/messages", "/group_mms")):
            return None
        if refuse:
            error = {"code": refuse, "title": "The message was refused"}
            return ApiAnswer(400, {"errors": [error]})
        accepted = new_id()
        return ApiAnswer(200, {"data": {**request.json(), "id": accepted}}, accepted)

    def check_answer(self, request: ApiRequest, account: Account) -> ApiAnswer | None:
        """Messaging profiles, of which there is one, and the number that is asked for."""
        if request.method != "GET":
            return None
        profile = {
            "id": PROFILE,
            "enabled": True,
            "webhook_api_version": "2",
            "webhook_url": account.webhook_url,
        }
        if request.path.endswith(f"/messaging_profiles/{PROFILE}"):
            return ApiAnswer(200, {"data": profile})
        if request.path.endswith("/messaging_profiles"):
            return ApiAnswer(200, {"data": [profile]})
        if request.path.endswith("/phone_numbers/messaging"):
            asked = request.query().get("filter[phone_number]", "")
            known = [one for one in account.numbers if one == asked]
            rows = [{"phone_number": one, "messaging_profile_id": PROFILE} for one in known]
            return ApiAnswer(200, {"data": rows})
        return None
