"""Message templates of the API: those of the device's extension, filled in by the server."""

from typing import Any

from flask import request
from sqlalchemy import Connection

from blueprints.api.auth import Auth, caller, numbers, own_conversation, own_number
from blueprints.api.declare import Resource, call
from blueprints.api.schemas.templates import TemplateListSchema, TemplatesQuery
from services.core.errors import RequestRefused
from services.core.phone_numbers import (
    is_dialable,
    national,
    peer,
    requested,
    without_channel,
)
from services.message_settings import MessageSettings
from services.message_settings.templates import offered_to
from services.messaging.access import ConversationAccess
from services.store import contacts
from services.store.database.store import Store


class Templates(Resource):
    """Message templates."""

    name = "templates"
    description = "Texts that apps offer to write"

    def __init__(
        self, store: Store, settings: MessageSettings, access: ConversationAccess, country: str
    ) -> None:
        self._store = store
        self._settings = settings
        self._access = access
        self._country = country

    @call(
        "GET",
        "/templates",
        Auth.DEVICE,
        query=TemplatesQuery,
        answers={200: TemplateListSchema},
        refuses=[403, 404],
    )
    def list_templates(self, asked: dict[str, Any]) -> dict[str, Any]:
        """The templates of the extension, filled in for a conversation or for `from` and `to`.

        Without them, and in a group, the contact's name is left out.
        """
        number, contact = self._store.read(lambda tx: self._between(tx, asked))
        extension = caller().extension
        values = {
            "contact": contact,
            "extension": self._settings.rules.names.get(extension) or extension,
            "number": national(number),
        }
        offered = offered_to(self._settings.templates, extension)
        return {
            "items": [
                {"name": one.name, "text": one.text, "filled": one.filled(values)}
                for one in offered
            ]
        }

    def _between(self, tx: Connection, asked: dict[str, Any]) -> tuple[str, str]:
        """Our number and the contact's name; each is empty if there is none."""
        own = numbers(self._access)
        if "conversation_id" in asked:
            found = own_conversation(tx, own, asked["conversation_id"])
            return found.number, "" if found.participants else _name(tx, found.peer)
        number = next(iter(own), "")
        if "from_" in asked:
            number = own_number(own, asked["from_"], self._country, "from")
        if "to" not in asked:
            return number, ""
        them = requested(peer, asked["to"], self._country, "to")
        if not is_dialable(them):
            raise RequestRefused("not_dialable", "Send a phone number.", field="to")
        if len(request.args.getlist("to")) > 1:
            raise RequestRefused(
                "one_only", "Send one number; for a group, its conversation_id.", field="to"
            )
        return number, _name(tx, them)


def _name(tx: Connection, address: str) -> str:
    """The contact's name of an address, or of the number behind ``whatsapp:`` and ``rcs:``."""
    number = without_channel(address)
    names = contacts.names(tx, {address, number})
    return names.get(address) or names.get(number, "")
