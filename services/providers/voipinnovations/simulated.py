"""Simulated VoIP Innovations: receipts as its webhook posts them, answers as its API gives them."""

from collections.abc import Mapping, Sequence
from typing import ClassVar
from urllib.parse import urlencode

from services.core.messages import Attachment, Message, WebhookCall
from services.providers.simulation import (
    PICTURE,
    Account,
    ApiAnswer,
    ApiRequest,
    Outcome,
    SimulatedCarrier,
    carrier_id,
    new_id,
)


class SimulatedVoipInnovations(SimulatedCarrier):
    """Its receipts have no codes."""

    env: ClassVar[Mapping[str, str]] = {
        "APIDAZE_API_KEY": "simulated",
        "APIDAZE_API_SECRET": "simulated",
        "APIDAZE_BASE_URL": "{api}",
    }
    refusal = "Number not enabled for SMS"

    def receipts(self, message: Message, outcome: Outcome) -> Sequence[WebhookCall]:
        """One form."""
        form = {
            "status": str(outcome.status),
            "to": message.peer.removeprefix("+"),
            "msgid": carrier_id(message),
        }
        headers = {"content-type": "application/x-www-form-urlencoded"}
        return [WebhookCall("POST", headers, "", urlencode(form).encode())]

    def picture(self, content: bytes) -> Attachment:
        """The bytes themselves: files come inside of the call."""
        return Attachment(name=PICTURE, content=content)

    def answer(self, request: ApiRequest, refuse: str = "") -> ApiAnswer | None:
        """A message."""
        if request.method != "POST" or not request.path.endswith("/sms/send"):
            return None
        if refuse:
            return ApiAnswer(200, {"ok": False, "message": refuse})
        accepted = new_id()
        taken = {"ok": True, "message": "Message sent", "details": {"uuid": accepted}}
        return ApiAnswer(200, taken, accepted)

    def check_answer(self, request: ApiRequest, account: Account) -> ApiAnswer | None:
        """The credentials, which are taken."""
        is_check = request.method == "GET" and request.path.endswith("/validates")
        return ApiAnswer(200, {"ok": True}) if is_check else None
