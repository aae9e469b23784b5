"""The sandbox: a carrier that exists on this machine only, and the smallest example of one.

Its webhook takes ``{"id", "from", "to", "text", "media": [urls]}`` for a message (of a group with
``"group": [the other members]``, with ``"keyword": "STOP"`` where the carrier has answered it) and
``{"receipt": <our message id>, "status": "delivered" | "failed" | "out-of-service"}`` for the
status of one.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from services.config.sections import CarrierSettings
from services.core.errors import Kind, MediaError
from services.core.messages import (
    Attachment,
    DeliveryStatus,
    Finding,
    Message,
    Parsed,
    Status,
    Unreadable,
    WebhookCall,
    clean,
)
from services.providers import parsing
from services.providers.base import Limits, Provider, json_call
from services.providers.error_table import Cause
from services.providers.sandbox.simulated import SimulatedSandbox

OUT_OF_SERVICE = "out-of-service"
STATUSES = {
    "delivered": Status.DELIVERED,
    "failed": Status.FAILED,
    OUT_OF_SERVICE: Status.FAILED,
}
REASONS = {
    "failed": "The phone in the sandbox was told to refuse it.",
    OUT_OF_SERVICE: "The recipient's number is not in service.",
}


def _status(written: object) -> Status:
    word = str(written)
    if word not in STATUSES:
        raise ValueError(f"“status” is none of {', '.join(STATUSES)}.")
    return STATUSES[word]


class Sandbox(Provider):
    """Plays the carrier: what is sent waits in the database for the sandbox's page."""

    name = "sandbox"
    title = "Sandbox"
    Simulated = SimulatedSandbox
    limits = Limits(recipients=10)
    causes: ClassVar[Mapping[str, Cause]] = {OUT_OF_SERVICE: Cause.NUMBER_NOT_IN_USE}
    webhook_hint = "Nothing to do: the page /sandbox uses it by itself."

    @dataclass(frozen=True)
    class Settings(CarrierSettings):
        """Nothing but the webhook's token, which is derived."""

    def parse(self, call: WebhookCall) -> Iterable[Parsed]:
        """One message or one delivery status."""
        try:
            event = parsing.fields(call.json(), "event")
            if "receipt" in event:
                yield DeliveryStatus(
                    status=_status(event["status"]),
                    event=event["status"],
                    message_id=str(event["receipt"]),
                    code=event["status"] if event["status"] in self.causes else None,
                    reason=REASONS.get(event["status"]),
                )
            else:
                sender, others = str(event["from"]), map(str, event.get("group", ()))
                members = tuple(dict.fromkeys((sender, *others)))
                yield Message(
                    direction="in",
                    number=str(event["to"]),
                    peer=sender,
                    participants=members if len(members) > 1 else (),
                    opt_out=parsing.answered_keyword(event.get("keyword")),
                    text=clean(str(event.get("text", ""))),
                    media=tuple(Attachment(source_url=str(url)) for url in event.get("media", ())),
                    provider_id=str(event["id"]),
                )
        except KeyError as error:
            yield Unreadable(f"This is no event of the sandbox: {error} is missing.", call.body)
        except (ValueError, TypeError, AttributeError) as error:
            yield Unreadable(f"This is no event of the sandbox: {error}", call.body)

    def send(self, message: Message) -> str:
        """Accept the message; the page shows it from the database."""
        return f"sandbox-{message.id}"

    def media_headers(self, url: str, *, renew: bool = False) -> Mapping[str, str]:
        """The page's own pictures need no credentials; nothing else is fetched."""
        if not url.startswith(f"{self.app_url}/sandbox/static/"):
            raise MediaError("The sandbox fetches only its own pictures.", Kind.REFUSED)
        return {}

    def check(self, numbers: Sequence[str]) -> Iterable[Finding]:
        """There is nothing to ask for."""
        yield Finding(True, "The sandbox needs no credentials.")

    def simulated(self) -> SimulatedSandbox:
        """Receipts and the picture."""
        return SimulatedSandbox(f"{self.app_url}/sandbox/static/bridge.jpg")

    def inbound_call(self, message: Message) -> WebhookCall:
        """The JSON call for an inbound message."""
        event = {
            "id": message.id,
            "from": message.peer,
            "to": message.number,
            "text": message.text,
            "media": [file.source_url for file in message.media],
            "group": [member for member in message.participants if member != message.peer],
            **({"keyword": message.opt_out.upper()} if message.opt_out else {}),
        }
        return json_call(event)
