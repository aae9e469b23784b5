"""Simulated VoIP.ms: answers as its API gives them. It posts no receipts."""

import re
import time
from collections.abc import Mapping
from typing import ClassVar

from services.core.messages import Attachment
from services.providers.simulation import (
    Account,
    ApiAnswer,
    ApiRequest,
    SimulatedCarrier,
    linked_picture,
)
from services.providers.voipms.numbers import ten_digits

_METHOD = re.compile(rb'name="method"\r\n\r\nsend([SM]MS)\r\n')


class SimulatedVoipMs(SimulatedCarrier):
    """``folder`` is the address of its files."""

    env: ClassVar[Mapping[str, str]] = {
        "VOIPMS_API_USERNAME": "texts@example.com",
        "VOIPMS_API_PASSWORD": "simulated",
        "VOIPMS_BASE_URL": "{api}/rest.php",
    }
    refusal = "invalid_dst"

    def __init__(self, folder: str) -> None:
        self._folder = folder

    def picture(self, content: bytes) -> Attachment:
        """A file beside the API."""
        return linked_picture(f"{self._folder}/media")

    def answer(self, request: ApiRequest, refuse: str = "") -> ApiAnswer | None:
        """SMS and MMS, which are numbered apart; the method is a field of the multipart body."""
        found = _METHOD.search(request.body)
        if request.method != "POST" or found is None:
            return None
        if refuse:
            return ApiAnswer(200, {"status": refuse})
        kind, number = found[1].decode().lower(), str(time.time_ns() // 1000)
        return ApiAnswer(200, {"status": "success", kind: int(number)}, f"{kind}:{number}")

    def check_answer(self, request: ApiRequest, account: Account) -> ApiAnswer | None:
        """The balance, and the numbers."""
        if b"\r\n\r\ngetBalance\r\n" in request.body:
            return ApiAnswer(200, {"status": "success", "balance": {"current_balance": "25.00"}})
        if b"\r\n\r\ngetDIDsInfo\r\n" not in request.body:
            return None
        rows = [
            {
                "did": ten_digits(number) or number,
                "sms_available": "1",
                "sms_enabled": "1",
                "webhook": account.webhook_url,
                "webhook_enabled": "1",
            }
            for number in account.numbers
        ]
        return ApiAnswer(200, {"status": "success", "dids": rows})
