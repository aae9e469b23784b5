"""Contacts of the API: names of numbers, one list for all extensions."""

from dataclasses import asdict
from typing import Any

from sqlalchemy import Connection

from blueprints.api.auth import Auth, caller
from blueprints.api.declare import Resource, call
from blueprints.api.schemas.contacts import ContactListSchema, ContactSchema, NameSchema
from services.core.errors import RequestRefused
from services.core.phone_numbers import peer, requested
from services.messaging.device_limits import DeviceLimits
from services.store import contacts
from services.store.contacts import Contact
from services.store.database.store import Store


class Contacts(Resource):
    """Names of outside numbers, shared by all extensions."""

    name = "contacts"
    description = "Names of numbers, shared by the whole installation"

    def __init__(self, store: Store, limits: DeviceLimits, country: str) -> None:
        self._store = store
        self._limits = limits
        self._country = country

    @call("GET", "/contacts", Auth.DEVICE, answers={200: ContactListSchema})
    def list_contacts(self) -> dict[str, Any]:
        """All contacts. Every device of the installation sees and changes the same ones."""
        return {"items": [asdict(contact) for contact in self._store.read(contacts.all_contacts)]}

    @call(
        "PUT",
        "/contacts/<number>",
        Auth.DEVICE,
        json=NameSchema,
        answers={200: ContactSchema},
        refuses=[404],
    )
    def put_contact(self, asked: dict[str, Any], number: str) -> dict[str, Any]:
        """Give a number a name, or another one. The number may be written any usual way."""
        contact, device = Contact(self._address(number), asked["name"]), caller()

        def work(tx: Connection) -> None:
            known = contacts.names(tx, [contact.number]).get(contact.number)
            if known != contact.name:  # apps send what is as it was
                self._limits.count_contact(tx, device, new=known is None)
                contacts.put(tx, contact)

        self._store.write(work)
        return asdict(contact)

    @call("DELETE", "/contacts/<number>", Auth.DEVICE, answers={204: None}, refuses=[404, 422])
    def delete_contact(self, number: str) -> tuple[str, int]:
        """Forget the name of a number."""
        address, device = self._address(number), caller()

        def work(tx: Connection) -> None:
            if not contacts.remove(tx, address):
                raise RequestRefused("not_found", "This number has no name.", status=404)
            self._limits.count_contact(tx, device, new=False)

        self._store.write(work)
        return "", 204

    def _address(self, written: str) -> str:
        return requested(peer, written, self._country, "number")
