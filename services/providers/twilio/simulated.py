"""Simulated Twilio: status callbacks as Twilio posts them, answers as its API gives them."""

from collections.abc import Mapping, Sequence
from typing import ClassVar
from urllib.parse import urlencode

from services.core.messages import Attachment, Message, Status, WebhookCall
from services.providers.simulation import (
    Account,
    ApiAnswer,
    ApiRequest,
    Outcome,
    SimulatedCarrier,
    linked_picture,
    new_id,
)
from services.providers.twilio.sids import message_sid

WORDS = {Status.SENT: "sent", Status.DELIVERED: "delivered", Status.FAILED: "undelivered"}
REFUSALS = {"21610": "Attempt to send to unsubscribed recipient"}


class SimulatedTwilio(SimulatedCarrier):
    """``messages`` is the address of the account's messages, ``account`` its SID."""

    env: ClassVar[Mapping[str, str]] = {
        "TWILIO_ACCOUNT_SID": "AC00112233445566778899aabbccddeeff",
        "TWILIO_AUTH_TOKEN": "00112233445566778899aabbccddeeff",
        "TWILIO_BASE_URL": "{api}",
    }
    refusal = "21211"
    failure = "30005"

    def __init__(self, messages: str, account: str) -> None:
        self._messages = messages
        self._account = account

    def receipts(self, message: Message, outcome: Outcome) -> Sequence[WebhookCall]:
        """One form, to the address that was given with the message, which has our id."""
        sid, word = message_sid(message), WORDS[outcome.status]
        form = {
            "SmsSid": sid,
            "SmsStatus": word,
            "MessageStatus": word,
            "To": message.peer,
            "From": message.number,
            "MessageSid": sid,
            "AccountSid": self._account,
            "ApiVersion": "2010-04-01",
        }
        if outcome.status is Status.FAILED:
            form["ErrorCode"] = outcome.code or self.failure
        headers = {"content-type": "application/x-www-form-urlencoded; charset=UTF-8"}
        query = urlencode({"m": message.id})
        return [WebhookCall("POST", headers, query, urlencode(form).encode())]

    def picture(self, content: bytes) -> Attachment:
        """A file of one of the account's messages."""
        return linked_picture(f"{self._messages}/MM{'0' * 32}/Media")

    def answer(self, request: ApiRequest, refuse: str = "") -> ApiAnswer | None:
        """A message, which is queued."""
        if request.method != "POST" or not request.path.endswith("/Messages.json"):
            return None
        if refuse:
            code = int(refuse) if refuse.isdecimal() else None
            words = REFUSALS.get(refuse, "The request was refused." if code else refuse)
            return ApiAnswer(400, {"code": code, "message": words, "status": 400})
        sid = "SM" + new_id().replace("-", "")
        return ApiAnswer(201, {"sid": sid, "status": "queued", "error_code": None}, sid)

    def check_answer(self, request: ApiRequest, account: Account) -> ApiAnswer | None:
        """The account, and its numbers."""
        if request.method != "GET":
            return None
        if request.path.endswith("/IncomingPhoneNumbers.json"):
            rows = [
                {
                    "phone_number": number,
                    "capabilities": {"sms": True, "mms": True},
                    "sms_url": account.webhook_url,
                }
                for number in account.numbers
            ]
            return ApiAnswer(200, {"incoming_phone_numbers": rows, "next_page_uri": None})
        if request.path.rpartition("/")[0].endswith("/Accounts"):
            return ApiAnswer(200, {"sid": self._account, "status": "active", "type": "Full"})
        return None
