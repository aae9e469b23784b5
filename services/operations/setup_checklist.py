"""Setup checklist: the steps from an empty installation to the first text, and their state."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import Connection

from services.core.messages import Device
from services.core.phone_numbers import international
from services.message_settings import MessageSettings
from services.operations.carrier_status import Carrier, CarrierStatus
from services.providers.base import Provider
from services.providers.sandbox import Sandbox
from services.push.base import Channel
from services.store import devices, messages
from services.store.carrier_events import CarrierEventKind
from services.store.database.store import Store

# The name and the platform of the devices of the sandbox's page.
SANDBOX_DEVICE, SANDBOX_PLATFORMS = "Sandbox", ("sandbox", "web")


class Stage(StrEnum):
    """The steps in their order."""

    CARRIER = "carrier"
    CREDENTIALS = "credentials"
    WEBHOOK = "webhook"
    NUMBER = "number"
    DEVICE = "device"
    TEXT = "text"


@dataclass(frozen=True, slots=True)
class Step:
    """One step: whether it is done, its title, and its result or what to do (``words``)."""

    stage: Stage
    done: bool
    title: str
    words: str


@dataclass(eq=False)
class SetupChecklist:
    """Finds which steps are done, from the configuration and the database."""

    store: Store
    settings: MessageSettings
    providers: Mapping[str, Provider]
    channels: Mapping[str, Channel]
    carrier_status: CarrierStatus

    def steps(self) -> list[Step]:
        """All steps in their order. Raises ``StorageUnwell``."""
        on = [one for one in self.carrier_status.all() if one.is_on]
        return [
            _carrier(on),
            _credentials(on),
            _webhook(on),
            self._number(),
            *self.store.read(lambda tx: (self._device(tx), self._text(tx))),
        ]

    def _number(self) -> Step:
        served = [
            entry.number
            for entry in self.settings.all()
            if self.settings.reaches_somebody(entry.number) and entry.carrier in self.providers
        ]
        detail = "Say in Message Settings which extension gets the texts of your number."
        if served:
            more = f" and {len(served) - 1} more" if len(served) > 1 else ""
            detail = f"{international(served[0])}{more}."
        return Step(Stage.NUMBER, bool(served), "A number is assigned", detail)

    def _device(self, tx: Connection) -> Step:
        paired = sum(not _is_of_sandbox(device) for device in devices.of(tx))
        others = [c.title for c in self.channels.values() if not c.per_device]
        mailed = any(entry.emails for entry in self.settings.all())
        detail = "Pair the phone app of an extension: it shows the texts and answers them."
        if paired:
            detail = "1 app is paired." if paired == 1 else f"{paired} apps are paired."
        elif others:
            detail = f"Texts go to {_listed(others)}."
        elif mailed:
            detail = "Texts go to e-mail addresses."
        done = bool(paired or others or mailed)
        return Step(Stage.DEVICE, done, "A phone is paired", detail)

    def _text(self, tx: Connection) -> Step:
        come = messages.has_received(tx)
        detail = "Text one of your numbers from your own phone."
        if Sandbox.name in self.providers:
            detail = "Send one from the page /sandbox, which simulates a mobile phone."
        return Step(Stage.TEXT, come, "The first text", "First text received." if come else detail)


def _is_of_sandbox(device: Device) -> bool:
    """Whether the sandbox's page has made this device; it is no phone of an extension."""
    return device.name == SANDBOX_DEVICE and device.platform in SANDBOX_PLATFORMS


def _carrier(on: list[Carrier]) -> Step:
    detail = "Copy the credentials of your carrier into .env, then apply it."
    if on:
        detail = f"{_listed([one.title for one in on])} in .env."
    if [one.name for one in on] == [Sandbox.name]:
        detail = "Only the sandbox, from which no text leaves this machine. To text for real, copy "
        detail += "the credentials of your carrier into .env."
    return Step(Stage.CARRIER, bool(on), "A carrier is configured", detail)


def _credentials(on: list[Carrier]) -> Step:
    asked = [one for one in on if one.name != Sandbox.name]
    open_ones = [one.title for one in asked if CarrierEventKind.CHECK not in one.seen]
    refused = [
        one.title for one in asked if CarrierEventKind.CHECK in one.seen and not one.is_checked
    ]
    detail = "The carrier has taken them."
    if not on:
        detail = (
            "Textbridge asks the carrier whether it takes them, and whether your numbers can text."
        )
    elif not asked:
        detail = "The sandbox needs none."
    elif refused:
        detail = f"{_listed(refused)}: something must be fixed. Check again: the check says what."
    elif open_ones:
        detail = f"Ask {_listed(open_ones)} whether the credentials work."
    done = bool(on) and not open_ones and not refused
    return Step(Stage.CREDENTIALS, done, "The credentials are checked", detail)


def _webhook(on: list[Carrier]) -> Step:
    silent = [one for one in on if CarrierEventKind.WEBHOOK not in one.seen]
    detail = f"Calls of {_listed([one.title for one in on])} have come; simulated ones count, too."
    refused = [one for one in silent if one.refusal]
    if not on:
        detail = "The carrier calls this server when a text comes in."
    elif refused and (refusal := refused[0].refusal):
        detail = f"A call was refused. {refusal.detail}"
    elif [one.name for one in silent] == [Sandbox.name]:
        detail = "Send a text from the page /sandbox, which simulates a mobile phone."
    elif silent:
        detail = (
            f"Paste the webhook's address at {_listed([one.title for one in silent])}, then text "
            "one of your numbers."
        )
    return Step(Stage.WEBHOOK, bool(on) and not silent, "The carrier's webhook was seen", detail)


def _listed(names: list[str]) -> str:
    return ", ".join(names[:-1]) + (" and " if len(names) > 1 else "") + (names or [""])[-1]
