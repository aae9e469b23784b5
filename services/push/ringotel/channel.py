"""Ringotel: the extension's Ringotel app shows texts as chats (its Messaging API).

https://help.ringotel.co/en/articles/11273008 and the vendor's collection “Ringotel Messaging API”.
"""

import re
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import structlog

from services.config.parsers import url
from services.config.variables import variable
from services.core.errors import Kind, PushError
from services.core.messages import Device, Finding, Notice, Status
from services.push.base import Channel, ChannelContext
from services.push.ringotel.api import Api
from services.push.ringotel.chat_text import wording

log = structlog.get_logger()

API_URL = "https://shell.ringotel.co/api"
TEXT, FILE = 1, 7
USERS_SECONDS = 300.0  # how long the list of users is believed …
UNKNOWN_SECONDS = 60.0  # … of an extension that is not in it
LISTED = 5  # extensions that are named before “and 12 more”


def _key(value: str) -> str:
    """An API key or an id: printable characters without spaces."""
    if not re.fullmatch(r"[!-~]+", value, re.ASCII):
        raise ValueError("it must be copied as Ringotel shows it, without spaces.")
    return value


@dataclass(frozen=True)
class RingotelSettings:
    """The variables ``RINGOTEL_…``."""

    token: str = variable(
        "API key (Integrations, API in the Ringotel admin portal).", parse=_key, secret=True
    )
    api_url: str = variable("Address of the API.", parse=url, default=API_URL, example=API_URL)
    org_id: str = variable("Id of the organization that the API key belongs to.", parse=_key)


class Ringotel(Channel):
    """Shows every text in the Ringotel app of its extensions, and there what became of replies."""

    name = "ringotel"
    title = "Ringotel"
    prefix = "RINGOTEL_"
    Settings = RingotelSettings
    per_device = False
    updates = True
    waits_for_files = True
    webhook_hint: ClassVar[str] = (
        "In the Ringotel admin portal under Integrations, API: paste it as the webhook of the API "
        "key in RINGOTEL_TOKEN."
    )

    def __init__(self, settings: RingotelSettings, around: ChannelContext) -> None:
        self.settings = settings
        self.public_http = around.public_http
        self._api = Api(around.http, settings.api_url, settings.token, settings.org_id)
        self._users: dict[str, str] = {}
        self._asked_at = float("-inf")

    def notify(self, device: Device, notice: Notice) -> str | None:
        """Show a text and its files; of a reply, tell that it arrived or why it did not.

        An extension that Ringotel does not know has nothing to be told there.
        """
        if notice.message["direction"] == "out":
            self._tell_outcome(device.extension, notice.message)
        elif notice.type == "message.received":
            if self._knows(device.extension):
                return self._show(device.extension, notice)
            log.info("not at Ringotel", extension=device.extension)
        return None

    def tell(self, extension: str, peer: str, sentence: str) -> None:
        """Show a sentence of ours in an extension's chat with ``peer``. Raises ``PushError``."""
        self._api.message(extension, peer, sentence, TEXT)

    def check(self, extensions: Sequence[str]) -> Iterable[Finding]:
        """Ask for the users: that takes a good key, a good organization, and says who is there."""
        self._users, self._asked_at = self._api.users(), time.monotonic()
        yield Finding(True, f"The API key works; {len(self._users)} users have Ringotel.")
        absent = [extension for extension in extensions if extension not in self._users]
        if absent:
            more = f" and {len(absent) - LISTED} more" if len(absent) > LISTED else ""
            yield Finding(
                False,
                f"Not at Ringotel: {', '.join(absent[:LISTED])}{more}. Texts do not reach these "
                "extensions there; add them as users if they should.",
            )

    def _show(self, extension: str, notice: Notice) -> str | None:
        message = notice.message
        session = None
        for file in message["media"]:
            if file["state"] == "kept":
                session = self._api.message(extension, message["from"], file["url"], FILE)
        text = wording(message, notice.numbers)
        if text or session is None:
            session = self._api.message(extension, message["from"], text or "(empty)", TEXT)
        return session

    def _tell_outcome(self, extension: str, message: dict[str, Any]) -> None:
        """Only of what was written in Ringotel: its id is there."""
        message_id = own_id(message["client_id"])
        if message_id is None or message["sent_by"] != extension:
            return
        if message["status"] == Status.DELIVERED:
            self._mark_delivered(message_id)
        elif message["status"] in (Status.FAILED, Status.UNKNOWN):
            told = "Not sent" if message["status"] == Status.FAILED else "Perhaps not sent"
            reason = (message["error"] or {}).get("reason") or "The carrier gave no reason."
            for peer in message["to"]:
                self.tell(extension, peer, f"{told}: “{message['text'][:60]}” {reason}")

    def _mark_delivered(self, message_id: str) -> None:
        """Set the mark; a message that Ringotel has no more needs none."""
        try:
            self._api.delivered(message_id)
        except PushError as error:
            if error.kind is not Kind.REFUSED:
                raise
            log.info("not marked as delivered", reason=error.reason)

    def _knows(self, extension: str) -> bool:
        age = time.monotonic() - self._asked_at
        if age > (USERS_SECONDS if extension in self._users else UNKNOWN_SECONDS):
            self._users, self._asked_at = self._api.users(), time.monotonic()
        return extension in self._users


def client_id(message_id: str) -> str:
    """The ``client_id`` of a reply that was written in Ringotel under an id."""
    return f"ringotel:{message_id}"


def own_id(of: str | None) -> str | None:
    """Ringotel's id of a message with this ``client_id``, if it was written there."""
    known = of is not None and of.startswith("ringotel:")
    return of.removeprefix("ringotel:") if known and of is not None else None
