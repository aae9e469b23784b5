"""Contacts of the API: names of numbers, one list for all extensions."""

from dataclasses import asdict
from functools import partial
from typing import Any

from blueprints.api.auth import Auth
from blueprints.api.declare import Resource, call
from blueprints.api.schemas.contacts import ContactListSchema, ContactSchema, NameSchema
from services.core.errors import RequestRefused
from services.core.phone_numbers import peer, requested
from services.store import contacts
from services.store.contacts import Contact
from services.store.database.store import Store


class Contacts(Resource):
    """Names of outside numbers, shared by all extensions."""

    name = "contacts"
    description = "Names of numbers, shared by the whole installation"

    def __init__(self, store: Store, country: str) -> None:
        self._store = store
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
        contact = Contact(self._address(number), asked["name"])
        self._store.write(partial(contacts.put, contact=contact))
        return asdict(contact)

    @call("DELETE", "/contacts/<number>", Auth.DEVICE, answers={204: None}, refuses=[404, 422])
    def remove_contact(self, number: str) -> tuple[str, int]:
        """Forget the name of a number."""
        if not self._store.write(partial(contacts.remove, number=self._address(number))):
            raise RequestRefused("not_found", "This number has no name.", status=404)
        return "", 204

    def _address(self, written: str) -> str:
        return requested(peer, written, self._country, "number")
