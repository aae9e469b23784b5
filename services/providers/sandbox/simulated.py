"""The sandbox's receipts. It has no API: what is sent waits in the database for its page."""

from collections.abc import Sequence

from services.core.messages import Attachment, Message, Status, WebhookCall
from services.providers.base import json_call
from services.providers.simulation import Account, ApiAnswer, ApiRequest, Outcome, SimulatedCarrier


class SimulatedSandbox(SimulatedCarrier):
    """``picture_url`` is the address of the page's picture."""

    def __init__(self, picture_url: str) -> None:
        self._picture_url = picture_url

    def receipts(self, message: Message, outcome: Outcome) -> Sequence[WebhookCall]:
        """One status; the sandbox takes every message at once, so none is only sent."""
        if outcome.status is Status.SENT:
            return ()
        return [json_call({"receipt": message.id, "status": str(outcome.status)})]

    def picture(self, content: bytes) -> Attachment:
        """The page's own picture."""
        return Attachment(source_url=self._picture_url)

    def answer(self, request: ApiRequest, refuse: str = "") -> ApiAnswer | None:
        """Nothing: there is no API."""
        return None

    def check_answer(self, request: ApiRequest, account: Account) -> ApiAnswer | None:
        """Nothing: there is no API."""
        return None
