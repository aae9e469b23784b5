"""Simulated Bandwidth: receipts as the webhook posts them, answers as the API gives them."""

import json
import time
from collections.abc import Mapping, Sequence
from typing import ClassVar

from services.core.messages import Attachment, Message, Status, WebhookCall, rfc3339
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

WORDS = {
    Status.SENT: ("message-sending", "Message is sending to carrier"),
    Status.DELIVERED: ("message-delivered", "Message delivered to handset."),
    Status.FAILED: ("message-failed", "message-failed"),
}


class SimulatedBandwidth(SimulatedCarrier):
    """``media`` is the folder of the account's files, ``application`` its application's id."""

    env: ClassVar[Mapping[str, str]] = {
        "BANDWIDTH_ACCOUNT_ID": "9900001",
        "BANDWIDTH_API_TOKEN": "simulated-client",
        "BANDWIDTH_API_SECRET": "simulated-secret",
        "BANDWIDTH_APPLICATION_ID": "0b1c2d3e-4f50-4a6b-8c7d-9e0f1a2b3c4d",
        "BANDWIDTH_MESSAGE_BASE_URL": "{api}",
        "BANDWIDTH_TOKEN_URL": "{api}/oauth2/token",
    }
    refusal = "'to' must be replaced with a valid E164 formatted telephone number"
    failure = "4406"

    def __init__(self, media: str, application: str) -> None:
        self._media = media
        self._application = application

    def receipts(self, message: Message, outcome: Outcome) -> Sequence[WebhookCall]:
        """One call for each recipient, each a list of one event."""
        kind, description = WORDS[outcome.status]
        now = rfc3339(time.time())
        calls = []
        for recipient in message.recipients:
            event = {
                "type": kind,
                "time": now,
                "description": description,
                "to": recipient,
                "message": {
                    "id": carrier_id(message),
                    "owner": message.number,
                    "applicationId": self._application,
                    "time": rfc3339(message.created_at),
                    "segmentCount": message.segments,
                    "direction": "out",
                    "to": list(message.recipients),
                    "from": message.number,
                    "text": "",
                    "tag": message.id,
                },
            }
            if outcome.status is Status.FAILED:
                event["errorCode"] = outcome.code or self.failure
            headers = {"content-type": "application/json; charset=utf-8"}
            calls.append(WebhookCall("POST", headers, "", json.dumps([event]).encode()))
        return calls

    def picture(self, content: bytes) -> Attachment:
        """A file in the account's media folder."""
        return linked_picture(f"{self._media}/simulated/0")

    def answer(self, request: ApiRequest, refuse: str = "") -> ApiAnswer | None:
        """The sign-in, the media store, and messages."""
        if request.path.endswith("/oauth2/token"):
            token = {"access_token": "simulated", "token_type": "Bearer", "expires_in": 3600}
            return ApiAnswer(200, token)
        if request.method == "PUT" and "/media/" in request.path:
            return ApiAnswer(204, b"")
        if request.method != "POST" or not request.path.endswith("/messages"):
            return None
        if refuse:
            fault = [{"fieldName": "to", "description": refuse}]
            kind = {"type": "request-validation", "description": "Your request is not accepted"}
            return ApiAnswer(400, {**kind, "fieldErrors": fault})
        asked, accepted = request.json(), new_id()
        return ApiAnswer(202, {**asked, "id": accepted, "direction": "out"}, accepted)

    def check_answer(self, request: ApiRequest, account: Account) -> ApiAnswer | None:
        """The list of messages, which is empty."""
        if request.method != "GET" or not request.path.endswith("/messages"):
            return None
        return ApiAnswer(200, {"messages": []})
