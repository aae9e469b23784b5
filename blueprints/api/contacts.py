"""Contacts of the API: names of numbers, one list for all extensions."""

from dataclasses import asdict
from typing import Any

from flask import Response
from sqlalchemy import Connection

from blueprints.api.auth import Auth, caller
from blueprints.api.declare import Resource, call
from blueprints.api.fields import MOST_ITEMS, MOST_TYPED
from blueprints.api.schemas.contacts import (
    ContactListSchema,
    ContactSchema,
    ExportQuery,
    ImportedSchema,
    ImportQuery,
    NameSchema,
)
from blueprints.api.schemas.messages import UploadSchema
from services.core.errors import RequestRefused
from services.messaging.device_limits import CONTACT_IMPORTS, DeviceLimits
from services.operations.contact_book import ContactBook, ContactLine
from services.operations.contact_files import MOST_BYTES, write_csv, write_vcards
from services.store import contacts
from services.store.contacts import Contact
from services.store.database.store import Store


class Contacts(Resource):
    """Names of outside numbers, shared by all extensions."""

    name = "contacts"
    description = "Names of numbers, shared by the whole installation"

    def __init__(self, store: Store, book: ContactBook, limits: DeviceLimits) -> None:
        self._store = store
        self._book = book
        self._limits = limits

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
        address, device = self._book.address(number), caller()

        def work(tx: Connection) -> Contact:
            known = contacts.of(tx, [address]).get(address)
            kept = known.note if known is not None else ""
            contact = Contact(address, asked["name"], asked.get("note", kept))
            if known != contact:  # apps send what is as it was
                self._limits.count_contact(tx, device, new=known is None)
                contacts.put(tx, contact)
            return contact

        return asdict(self._store.write(work))

    @call("DELETE", "/contacts/<number>", Auth.DEVICE, answers={204: None}, refuses=[404, 422])
    def delete_contact(self, number: str) -> tuple[str, int]:
        """Forget the name of a number."""
        address, device = self._book.address(number), caller()

        def work(tx: Connection) -> None:
            if not contacts.remove(tx, address):
                raise RequestRefused("not_found", "This number has no name.", status=404)
            self._limits.count_contact(tx, device, new=False)

        self._store.write(work)
        return "", 204

    @call(
        "GET",
        "/contacts/export",
        Auth.DEVICE,
        query=ExportQuery,
        answers={200: {"type": "string", "format": "binary"}},
        content_type="*/*",
    )
    def export_contacts(self, asked: dict[str, Any]) -> Response:
        """All contacts as a file: vCards, or CSV with the columns `number`, `name` and `note`."""
        as_csv = asked["format"] == "csv"
        found = self._book.find()
        answer = Response(
            write_csv(found) if as_csv else write_vcards(found),
            content_type=f"text/{'csv' if as_csv else 'vcard'}; charset=utf-8",
        )
        name = f"contacts.{'csv' if as_csv else 'vcf'}"
        answer.headers["Content-Disposition"] = f'attachment; filename="{name}"'
        return answer

    @call(
        "POST",
        "/contacts/import",
        Auth.DEVICE,
        query=ImportQuery,
        files=UploadSchema,
        answers={200: ImportedSchema},
    )
    def import_contacts(self, asked: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
        """Add the contacts of a vCard or CSV file; lines that cannot be used are left out.

        Without `replace` a contact that is there stays as it is.
        """
        self._limits.spend(caller(), CONTACT_IMPORTS)
        content = given["file"].stream.read(MOST_BYTES + 1)
        work = self._book.preview if asked["dry_run"] else self._book.import_file
        plan = work(content, replace=asked["replace"])
        lines = [line for line in plan.lines if line.outcome != "unchanged"]
        lines.sort(key=lambda line: not line.reason)
        return {**plan.counts, "lines": [_line(line) for line in lines[:MOST_ITEMS]]}


def _line(line: ContactLine) -> dict[str, Any]:
    return {
        "line": line.line,
        "number": line.number[:MOST_TYPED],
        "name": line.contact.name if line.contact is not None else "",
        "outcome": line.outcome,
        "reason": line.reason,
    }
