"""The messages: every one either way, found by whatever is known of it, and as a file."""

from collections.abc import Iterator
from datetime import date
from functools import partial
from time import strftime
from typing import Any

from flask import Blueprint, Response, request, stream_with_context, url_for

from blueprints.admin import states
from blueprints.admin.numbers import number_in
from blueprints.admin.page import render
from blueprints.admin.session import house
from services.core.errors import RequestRefused
from services.core.messages import Message
from services.gateway import Gateway
from services.operations.export import as_csv, as_json
from services.operations.message_query import FIELDS, UNROUTED, Field
from services.providers import PROVIDERS
from services.store import contacts
from services.store.search.message_filter import Found, MessageFilter

ROWS = 50
WORDS = 140  # characters of a text that a row shows at most


def open_pages(door: Blueprint, gateway: Gateway) -> None:
    """Open ``/admin/messages`` and what can be downloaded there."""
    states.teach(door)
    door.app_template_filter("beginning")(beginning)

    @door.get("/messages")
    def messages() -> Response:
        words = _words()
        before = number_in(request.args.get("before"))
        found, problem = Found([]), None
        try:
            wanted = gateway.message_query.parse(words)
            found = gateway.message_query.page(wanted, ROWS, before)
        except RequestRefused as error:
            problem = error
        rest: dict[str, Any] = {name: word for name, word in words.items() if word}
        return render(
            "messages.html",
            422 if problem else 200,
            found=found,
            problem=problem,
            words=words,
            names=_names(found.messages),
            extensions=_extensions,
            choices=_choices(),
            zone=strftime("%Z"),
            is_newest=before is None,
            is_filtered=bool(rest),
            newest=url_for("admin.messages", **rest),
            older=url_for("admin.messages", **rest, before=found.before),
            exports=[
                (name, url_for("admin.messages_export", form=form, **rest))
                for name, form in (("CSV", "csv"), ("JSON", "json"))
            ],
        )

    @door.get("/messages/export.<any(csv, json):form>")
    def messages_export(form: str) -> Response:
        wanted = gateway.message_query.parse(_words())
        kind = "text/csv" if form == "csv" else "application/json"
        answer = Response(
            stream_with_context(_pieces(wanted, form)), content_type=f"{kind}; charset=utf-8"
        )
        name = f"messages-{date.today().isoformat()}.{form}"
        answer.headers["Content-Disposition"] = f'attachment; filename="{name}"'
        return answer


def beginning(text: str) -> str:
    """The first words of a text."""
    return text if len(text) <= WORDS else f"{text[:WORDS]}…"


def _pieces(wanted: MessageFilter, form: str) -> Iterator[str]:
    found = house().message_query.everything(wanted)
    return as_csv(found) if form == "csv" else as_json(found, house().media.link)


def _words() -> dict[Field, str]:
    """What was typed into the form, or stands in the address."""
    return {name: request.args.get(name, "")[:200] for name in FIELDS}


def _names(found: list[Message]) -> dict[str, str]:
    peers = {peer for message in found for peer in message.recipients}
    return house().store.read(partial(contacts.names, numbers=peers))


def _extensions(message: Message) -> str:
    """The extension that has sent a message, or those that get it by now."""
    if message.direction == "out":
        return message.extension or ""
    setting = house().settings.for_number(message.number)
    return ", ".join(setting.extensions) if setting is not None and setting.enabled else ""


def _choices() -> dict[str, list[tuple[str, str]]]:
    """What each choice of the form offers."""
    known = [(one.name, one.title) for one in PROVIDERS if one.name in house().providers]
    chosen = request.args.get("carrier", "")
    gone = [(one.name, one.title) for one in PROVIDERS if one.name == chosen]
    return {
        "state": [
            ("", "Any"),
            *((str(status), words) for status, (words, _) in states.STATES.items()),
            (UNROUTED, states.NOBODY[0]),
        ],
        "direction": [("", "Both ways"), ("in", "Came in"), ("out", "Went out")],
        "carrier": [("", "Any"), *dict.fromkeys([*known, *gone])],
    }
