"""Message pages: the table of all messages, filtered, and its export."""

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from flask import Blueprint, Response, request, stream_with_context, url_for

from blueprints.admin import message_states
from blueprints.admin.page import Pages
from blueprints.admin.row_ids import row_id
from services.core.authors import with_name
from services.core.errors import RequestRefused
from services.core.local_time import LocalTime
from services.core.messages import Message
from services.media.media_store import MediaStore
from services.message_settings import MessageSettings
from services.operations.export import as_csv, as_json
from services.operations.message_query import FIELDS, UNROUTED, Field, MessageQuery
from services.providers import PROVIDERS
from services.providers.base import Provider
from services.store import contacts
from services.store.database.store import Store
from services.store.search.message_filter import Found, MessageFilter

ROWS = 50
MOST_CHARACTERS = 140  # characters of a text that a row shows at most


@dataclass(eq=False)
class MessagePages:
    """Lists and exports messages."""

    pages: Pages
    store: Store
    settings: MessageSettings
    providers: Mapping[str, Provider]
    media: MediaStore
    query: MessageQuery
    local_time: LocalTime

    def add_to(self, routes: Blueprint) -> None:
        """Add ``/admin/messages`` and its exports."""
        message_states.add_filters(routes)
        routes.app_template_filter("beginning")(beginning)
        routes.get("/messages")(self.messages)
        routes.get("/messages/export.<any(csv, json):form>")(self.messages_export)

    def messages(self) -> Response:
        """The table of messages that the form asks for, page by page."""
        fields = _filter_fields()
        before = row_id(request.args.get("before"))
        found, problem = Found([]), None
        try:
            wanted = self.query.parse(fields)
            found = self.query.page(wanted, ROWS, before)
        except RequestRefused as error:
            problem = error
        rest: dict[str, Any] = {name: word for name, word in fields.items() if word}
        return self.pages.render(
            "messages.html",
            422 if problem else 200,
            found=found,
            problem=problem,
            fields=fields,
            names=self._names(found.messages),
            extensions=self._extensions,
            choices=self._choices(),
            zone=self.local_time.name,
            is_newest=before is None,
            is_filtered=bool(rest),
            newest=url_for("admin.messages", **rest),
            older=url_for("admin.messages", **rest, before=found.before),
            exports=[
                (name, url_for("admin.messages_export", form=form, **rest))
                for name, form in (("CSV", "csv"), ("JSON", "json"))
            ],
        )

    def messages_export(self, form: str) -> Response:
        """All messages that the form asks for, as a file."""
        wanted = self.query.parse(_filter_fields())
        kind = "text/csv" if form == "csv" else "application/json"
        answer = Response(
            stream_with_context(self._pieces(wanted, form)), content_type=f"{kind}; charset=utf-8"
        )
        name = f"messages-{self.local_time.of(time.time()):%Y-%m-%d}.{form}"
        answer.headers["Content-Disposition"] = f'attachment; filename="{name}"'
        return answer

    def _pieces(self, wanted: MessageFilter, form: str) -> Iterator[str]:
        found = self.query.everything(wanted)
        names = self.settings.names
        return as_csv(found, names) if form == "csv" else as_json(found, self.media.link, names)

    def _names(self, found: list[Message]) -> dict[str, str]:
        peers = {peer for message in found for peer in message.recipients}
        return self.store.read(partial(contacts.names, numbers=peers))

    def _extensions(self, message: Message) -> str:
        """The extension that has sent a message, or those that get it by now."""
        if message.direction == "out":
            return with_name(message.extension or "", self.settings.names)
        setting = self.settings.for_number(message.number)
        found = setting.extensions if setting is not None and setting.enabled else ()
        return ", ".join(with_name(extension, self.settings.names) for extension in found)

    def _choices(self) -> dict[str, list[tuple[str, str]]]:
        """What each choice of the form offers."""
        known = [(one.name, one.title) for one in PROVIDERS if one.name in self.providers]
        chosen = request.args.get("carrier", "")
        gone = [(one.name, one.title) for one in PROVIDERS if one.name == chosen]
        return {
            "state": [
                ("", "Any"),
                *((str(status), label) for status, (label, _) in message_states.STATES.items()),
                (UNROUTED, message_states.NOBODY[0]),
            ],
            "direction": [("", "Both ways"), ("in", "Came in"), ("out", "Went out")],
            "carrier": [("", "Any"), *dict.fromkeys([*known, *gone])],
        }


def beginning(text: str) -> str:
    """The beginning of a text."""
    return text if len(text) <= MOST_CHARACTERS else f"{text[:MOST_CHARACTERS]}…"


def _filter_fields() -> dict[Field, str]:
    """What was typed into the form, or stands in the address."""
    return {name: request.args.get(name, "")[:200] for name in FIELDS}
