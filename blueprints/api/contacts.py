"""Contacts: the names of those who write to us, one list that everybody here shares."""

from dataclasses import asdict
from functools import partial
from typing import Any

from blueprints.api.auth import Auth, house
from blueprints.api.declare import Door
from blueprints.api.schemas.contacts import ContactListSchema, ContactSchema, NameSchema
from services.core.errors import NumberError, RequestRefused
from services.core.phone_numbers import peer
from services.store import contacts
from services.store.contacts import Contact

door = Door("contacts", "Names of numbers, shared by the whole installation")


@door.call("GET", "/contacts", Auth.DEVICE, answers={200: ContactListSchema})
def list_contacts() -> dict[str, Any]:
    """All contacts. Every device of the installation sees and changes the same ones."""
    return {"items": [asdict(contact) for contact in house().store.read(contacts.all_contacts)]}


@door.call(
    "PUT",
    "/contacts/<number>",
    Auth.DEVICE,
    json=NameSchema,
    answers={200: ContactSchema},
    refuses=[404],
)
def put_contact(asked: dict[str, Any], number: str) -> dict[str, Any]:
    """Give a number a name, or another one. The number may be written any usual way."""
    contact = Contact(_address(number), asked["name"])
    house().store.write(partial(contacts.put, contact=contact))
    return asdict(contact)


@door.call("DELETE", "/contacts/<number>", Auth.DEVICE, answers={204: None}, refuses=[404, 422])
def remove_contact(number: str) -> tuple[str, int]:
    """Forget the name of a number."""
    if not house().store.write(partial(contacts.remove, number=_address(number))):
        raise RequestRefused("not_found", "This number has no name.", status=404)
    return "", 204


def _address(written: str) -> str:
    try:
        return peer(written, house().country)
    except NumberError as error:
        raise RequestRefused("invalid_number", str(error), field="number") from None
