"""Contacts pages: listed, added, changed, removed, imported with a preview, exported."""

from contextlib import closing
from typing import Any

from flask import Blueprint, Response, request, url_for

from blueprints.admin.formats import counted
from blueprints.admin.packed_file import packed, unpacked
from blueprints.admin.page import Pages, redirect_to
from blueprints.admin.row_ids import page_number
from services.core.errors import RequestRefused
from services.core.messages import clean
from services.operations.contact_book import ContactBook
from services.operations.contact_files import (
    COLUMNS,
    MOST_BYTES,
    write_csv,
    write_vcards,
)

ROWS = 50
SHOWN = 200  # lines of a preview
HERE = "admin.contacts"
LOST = "The upload was incomplete. Choose the file again."


class ContactPages:
    """Shows and changes the contacts that all apps share."""

    def __init__(self, pages: Pages, book: ContactBook) -> None:
        self._pages = pages
        self._book = book

    def add_to(self, routes: Blueprint) -> None:
        """Add ``/admin/contacts`` and what is below it."""
        routes.get("/contacts", endpoint="contacts")(self.contacts)
        routes.post("/contacts", endpoint="contacts_change")(self.change)
        routes.get("/contacts.<any(csv, vcf):form>", endpoint="contacts_export")(self.export)
        routes.get("/contacts/import", endpoint="contacts_import")(self.ask)
        routes.post("/contacts/import", endpoint="contacts_preview")(self.preview)
        routes.post("/contacts/import/apply", endpoint="contacts_apply")(self.apply)

    def contacts(self) -> Response:
        """The table of contacts, page by page, with the form of a new one or of one of them."""
        edited = request.args.get("edit", "")
        known = self._book.by_number(edited) if edited else None
        values = {"known": "", "number": edited, "name": "", "note": ""}
        if known is not None:
            values = {"known": known.number, "number": known.number, "name": known.name}
            values["note"] = known.note
        return self._list(values)

    def change(self) -> Response:
        """Save or remove a contact."""
        values = {
            name: clean(request.form.get(name, ""))[:2_000]
            for name in ("known", "number", "name", "note")
        }
        if request.form.get("do") == "remove":
            self._book.remove(values["known"])
            self._pages.set_notice("The contact is removed.")
            return redirect_to(HERE)
        try:
            contact = self._book.contact(
                values["known"] or values["number"], values["name"], values["note"]
            )
        except RequestRefused as error:
            return self._list(values, 422, wrong={error.field: error.reason})
        if not values["known"] and (there := self._book.by_number(contact.number)) is not None:
            reason = f"{contact.number} is “{there.name}” already. Edit that contact."
            return self._list(values, 422, wrong={"number": reason})
        self._book.put(contact)
        self._pages.set_notice(f"{contact.name} is saved.")
        return redirect_to(HERE)

    def export(self, form: str) -> Response:
        """All contacts as a file."""
        found = self._book.find()
        content = write_csv(found) if form == "csv" else write_vcards(found)
        kind = "text/csv" if form == "csv" else "text/vcard"
        answer = Response(content, content_type=f"{kind}; charset=utf-8")
        answer.headers["Content-Disposition"] = f'attachment; filename="contacts.{form}"'
        return answer

    def ask(self) -> Response:
        """The form for a file."""
        return self._ask()

    def preview(self) -> Response:
        """What a file would change."""
        file = request.files.get("file")
        if file is None or not file.filename:
            return self._ask("Choose a file first.")
        with closing(file):
            content = file.stream.read(MOST_BYTES + 1)
        replace = bool(request.form.get("replace"))
        try:
            plan = self._book.preview(content, replace=replace)
        except RequestRefused as error:
            return self._ask(error.reason)
        # Only what changes comes back, without the photographs of a vCard.
        sheet = packed(write_csv(plan.changes))
        if sheet is None:
            return self._ask("The file is too large to look at it first. Import it in parts.")
        lines = [line for line in plan.lines if line.outcome != "unchanged"]
        lines.sort(key=lambda line: not line.reason)
        return self._pages.render(
            "contacts_preview.html",
            counts=plan.counts,
            changes=len(plan.changes),
            lines=lines[:SHOWN],
            left=len(lines) - SHOWN,
            sheet=sheet,
            replace=replace,
        )

    def apply(self) -> Response:
        """Import what the preview has shown."""
        content = unpacked(request.form.get("sheet", ""), MOST_BYTES)
        if content is None:
            return self._ask(LOST)
        try:
            plan = self._book.import_file(content, replace=bool(request.form.get("replace")))
        except RequestRefused as error:
            return self._ask(error.reason)
        counts = plan.counts
        self._pages.set_notice(
            f"Imported: {counted(counts['added'], 'contact')} added, {counts['changed']:,} changed."
        )
        return redirect_to(HERE)

    def _list(
        self, values: dict[str, str], status: int = 200, wrong: dict[str, str] | None = None
    ) -> Response:
        query = request.args.get("q", "")[:100]
        found = self._book.find(query)
        start = page_number(request.args.get("page")) * ROWS
        return self._pages.render(
            "contacts.html",
            status,
            contacts=found[start : start + ROWS],
            count=len(found),
            first=start + 1,
            q=query,
            back=_page(query, start // ROWS - 1) if start else None,
            on=_page(query, start // ROWS + 1) if found[start + ROWS :] else None,
            values=values,
            wrong=wrong or {},
        )

    def _ask(self, wrong: str = "") -> Response:
        told: dict[str, Any] = {"wrong": wrong, "columns": COLUMNS}
        return self._pages.render("contacts_import.html", 422 if wrong else 200, **told)


def _page(query: str, number: int) -> str:
    return url_for(HERE, q=query or None, page=number or None)
