"""Ringotel push channel: shows texts as chats in the Ringotel app of an extension.

Source: https://help.ringotel.co/en/articles/11273008 and the vendor's API collection “Ringotel
Messaging API”.
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
from services.push.chat_text import chat_text
from services.push.ringotel.api import Api

log = structlog.get_logger()

API_URL = "https://shell.ringotel.co/api"
TEXT, FILE = 1, 7
USERS_SECONDS = 300.0  # how long the list of users is cached …
UNKNOWN_SECONDS = 60.0  # … for an extension that is not in it
MAX_LISTED = 5  # extensions that are named before “and 12 more”


def _key(value: str) -> str:
    """Validate an API key or id: printable ASCII without spaces. Raises ``ValueError``."""
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
    """Shows texts in the Ringotel app of their extensions, and the delivery status of replies."""

    name = "ringotel"
    title = "Ringotel"
    prefix = "RINGOTEL_"
    Settings = RingotelSettings
    per_device = False
    wants_status_updates = True
    waits_for_media = True
    webhook_hint: ClassVar[str] = (
        "In the Ringotel admin portal under Integrations, API: paste it as the webhook of the API "
        "key in RINGOTEL_TOKEN."
    )

    def __init__(self, settings: RingotelSettings, context: ChannelContext) -> None:
        self.settings = settings
        self.public_http = context.public_http
        self._api = Api(context.http, settings.api_url, settings.token, settings.org_id)
        self._users: dict[str, str] = {}
        self._asked_at = float("-inf")

    def notify(self, device: Device, notice: Notice) -> str | None:
        """Show a text and its files, or the delivery status of a reply that was written there.

        Nothing is shown for an extension that has no user at Ringotel.
        """
        if notice.message["direction"] == "out":
            self._show_outcome(device.extension, notice.message)
        elif notice.type == "message.received":
            if self._has_user(device.extension):
                return self._show(device.extension, notice)
            log.info("not at Ringotel", extension=device.extension)
        return None

    def show_sentence(self, extension: str, peer: str, sentence: str) -> None:
        """Show a sentence in an extension's chat with ``peer``. Raises ``PushError``."""
        self._api.message(extension, peer, sentence, TEXT)

    def check(self, extensions: Sequence[str]) -> Iterable[Finding]:
        """List the users: this checks the API key, the organization and the extensions."""
        self._users, self._asked_at = self._api.users(), time.monotonic()
        yield Finding(True, f"The API key works; {len(self._users)} users have Ringotel.")
        absent = [extension for extension in extensions if extension not in self._users]
        if absent:
            more = f" and {len(absent) - MAX_LISTED} more" if len(absent) > MAX_LISTED else ""
            yield Finding(
                False,
                f"Not at Ringotel: {', '.join(absent[:MAX_LISTED])}{more}. Texts do not reach "
                "these extensions there; add them as users if they should.",
            )

    def _show(self, extension: str, notice: Notice) -> str | None:
        message = notice.message
        session = None
        for file in message["media"]:
            if file["state"] == "kept":
                session = self._api.message(extension, message["from"], file["url"], FILE)
        text = chat_text(message, notice.numbers)
        if text or session is None:
            session = self._api.message(extension, message["from"], text or "(empty)", TEXT)
        return session

    def _show_outcome(self, extension: str, message: dict[str, Any]) -> None:
        """Show the outcome of a reply, if it was written in the Ringotel app."""
        message_id = ringotel_id(message["client_id"])
        if message_id is None or message["sent_by"] != extension:
            return
        if message["status"] == Status.DELIVERED:
            self._mark_delivered(message_id)
        elif message["status"] in (Status.FAILED, Status.UNKNOWN):
            outcome = "Not sent" if message["status"] == Status.FAILED else "May not have been sent"
            reason = (message["error"] or {}).get("reason") or "The carrier gave no reason."
            for peer in message["to"]:
                self.show_sentence(extension, peer, f"{outcome}: “{message['text'][:60]}” {reason}")

    def _mark_delivered(self, message_id: str) -> None:
        """Mark a message as delivered; ignores a message that Ringotel has deleted."""
        try:
            self._api.delivered(message_id)
        except PushError as error:
            if error.kind is not Kind.REFUSED:
                raise
            log.info("not marked as delivered", reason=error.reason)

    def _has_user(self, extension: str) -> bool:
        age = time.monotonic() - self._asked_at
        if age > (USERS_SECONDS if extension in self._users else UNKNOWN_SECONDS):
            self._users, self._asked_at = self._api.users(), time.monotonic()
        return extension in self._users


def client_id(message_id: str) -> str:
    """The ``client_id`` of a reply that has this id in Ringotel."""
    return f"ringotel:{message_id}"


def ringotel_id(client_id: str | None) -> str | None:
    """The Ringotel id in a ``client_id``, or ``None`` for a message from another app."""
    if client_id is None or not client_id.startswith("ringotel:"):
        return None
    return client_id.removeprefix("ringotel:")
