"""Contacts of the installation: found, changed, imported from files with a preview."""

import dataclasses
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from typing import Literal, get_args

import structlog
from sqlalchemy import Connection

from services.core.errors import NumberError, RequestRefused
from services.core.messages import clean
from services.core.phone_numbers import clean_name, peer, requested, search_words
from services.message_settings.search import Query
from services.message_settings.slices import in_slices
from services.messaging import device_limits
from services.operations.contact_files import MOST_NAME, MOST_NOTE, Entry, read_contacts
from services.store import contacts
from services.store.contacts import Contact
from services.store.database.store import Store

log = structlog.get_logger()
LineOutcome = Literal["added", "changed", "unchanged", "skipped", "refused"]


@dataclass(frozen=True, slots=True)
class ContactLine:
    """What a number of a file would become; ``reason`` says why it is skipped or refused.

    ``line`` is the one of the file on which its row or card begins; ``before`` is the contact that
    the number has.
    """

    line: int
    number: str
    outcome: LineOutcome
    contact: Contact | None = None
    before: Contact | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class ContactPlan:
    """What a file would change, line by line."""

    lines: tuple[ContactLine, ...]

    @property
    def counts(self) -> dict[str, int]:
        """The number of lines by outcome."""
        counted = Counter(line.outcome for line in self.lines)
        return {outcome: counted[outcome] for outcome in get_args(LineOutcome)}

    @property
    def changes(self) -> list[Contact]:
        """The contacts that are added or changed."""
        wanted = ("added", "changed")
        return [line.contact for line in self.lines if line.contact and line.outcome in wanted]


class ContactBook:
    """The contacts that all apps share; ``country`` is that of numbers without a country code."""

    def __init__(self, store: Store, country: str) -> None:
        self._store = store
        self._country = country

    def find(self, typed: str = "") -> list[Contact]:
        """The contacts with all words of a query, with its digits or its number, sorted by name."""
        query = Query.of(typed)
        wanted = search_words(typed, self._country)
        found = self._store.read(contacts.all_contacts)
        if query.words:
            found = [
                one for one in in_slices(found) if one.number in wanted or _matches(one, query)
            ]
        return sorted(found, key=lambda one: (one.name.casefold(), one.number))

    def by_number(self, number: str) -> Contact | None:
        """The contact of an address as it is kept."""
        return self._store.read(partial(contacts.of, numbers=[number])).get(number)

    def contact(self, number: str, name: str, note: str = "") -> Contact:
        """A checked contact. Raises ``RequestRefused`` that names the field."""
        kept = clean_name(clean(name))
        if not 1 <= len(kept) <= MOST_NAME:
            raise RequestRefused(
                "invalid", f"A name has 1 to {MOST_NAME} characters that can be seen.", field="name"
            )
        about = clean(note).replace("\r\n", "\n").strip()
        if len(about) > MOST_NOTE:
            raise RequestRefused(
                "invalid", f"A note has up to {MOST_NOTE:,} characters.", field="note"
            )
        return Contact(self.address(number), kept, about)

    def address(self, written: str) -> str:
        """An address as it is kept. Raises ``RequestRefused``."""
        return requested(peer, written, self._country, "number")

    def put(self, contact: Contact) -> None:
        """Add a contact, or replace the one of its number."""
        self._store.write(partial(contacts.put, contact=contact))

    def remove(self, number: str) -> bool:
        """Remove the contact of an address as it is kept; false if it has none."""
        return self._store.write(partial(contacts.remove, number=number))

    def preview(self, content: bytes, *, replace: bool) -> ContactPlan:
        """What a file (vCard or CSV) would change. Raises ``RequestRefused`` if it is neither.

        With ``replace`` contacts that are there get name and note of the file, else they stay.
        """
        return self.preview_entries(read_contacts(content), replace=replace)

    def preview_entries(self, entries: Iterable[Entry], *, replace: bool) -> ContactPlan:
        """What the entries of a file, or of another system, would change."""
        checked = self._checked(entries)
        return self._store.read(lambda tx: _plan(tx, checked, replace))

    def import_file(
        self, content: bytes, *, replace: bool, stops_if_refused: bool = False
    ) -> ContactPlan:
        """Make the changes of a file; what is refused or skipped is left out.

        With ``stops_if_refused`` nothing is changed if a line is refused. Returns what was done, by
        the contacts as they were at that moment. Raises as ``preview``.
        """
        entries = read_contacts(content)
        return self.import_entries(entries, replace=replace, stops_if_refused=stops_if_refused)

    def import_entries(
        self, entries: Iterable[Entry], *, replace: bool, stops_if_refused: bool = False
    ) -> ContactPlan:
        """Make the changes of entries; as ``import_file``."""
        checked = self._checked(entries)

        def work(tx: Connection) -> ContactPlan:
            plan = _plan(tx, checked, replace)
            if not (stops_if_refused and plan.counts["refused"]):
                contacts.put_all(tx, plan.changes)
            return plan

        plan = self._store.write(work)
        counts = plan.counts
        if stops_if_refused and counts["refused"]:
            return plan
        log.info(
            "contacts imported",
            added=counts["added"],
            changed=counts["changed"],
            refused=counts["refused"],
        )
        return plan

    def _checked(self, entries: Iterable[Entry]) -> list[ContactLine]:
        """The lines of a file as contacts, or refused; a repeated number is skipped."""
        seen: dict[str, int] = {}
        return [self._line(entry, seen) for entry in in_slices(entries)]

    def _line(self, entry: Entry, seen: dict[str, int]) -> ContactLine:
        if entry.problem:
            return ContactLine(entry.line, entry.number, "refused", reason=entry.problem)
        if not entry.number:
            return ContactLine(entry.line, entry.name, "skipped", reason="It has no phone number.")
        try:
            number = peer(entry.number, self._country)
        except NumberError as error:
            return ContactLine(entry.line, entry.number, "refused", reason=str(error))
        name = clean_name(" ".join(entry.name.split()))
        if not 1 <= len(name) <= MOST_NAME:
            reason = f"A name has 1 to {MOST_NAME} characters that can be seen."
            return ContactLine(entry.line, number, "refused", reason=reason)
        note = entry.note if len(entry.note) <= MOST_NOTE else f"{entry.note[: MOST_NOTE - 1]}…"
        contact = Contact(number, name, note.strip())
        if number in seen:
            reason = f"{number} stands in line {seen[number]} already."
            return ContactLine(entry.line, number, "skipped", contact, reason=reason)
        seen[number] = entry.line
        return ContactLine(entry.line, number, "added", contact)


def _plan(tx: Connection, lines: Iterable[ContactLine], replace: bool) -> ContactPlan:
    """The outcome of each line, by the contacts that are kept."""
    known = {one.number: one for one in contacts.all_contacts(tx)}
    free = device_limits.MOST_CONTACTS - len(known)
    planned = []
    for line in lines:
        if line.outcome != "added" or line.contact is None:
            planned.append(line)
            continue
        before, new = known.get(line.number), line.contact
        if before is not None and not new.note:
            new = dataclasses.replace(new, note=before.note)
        outcome: LineOutcome = "added"
        reason = ""
        if before is None:
            free -= 1
            if free < 0:
                outcome = "refused"
                reason = f"Textbridge keeps {device_limits.MOST_CONTACTS:,} contacts at most."
        elif before == new:
            outcome = "unchanged"
        elif replace:
            outcome = "changed"
        else:
            outcome, reason = "skipped", f"It is “{before.name}” already, which stays."
        planned.append(ContactLine(line.line, line.number, outcome, new, before, reason))
    return ContactPlan(tuple(planned))


def _matches(one: Contact, query: Query) -> bool:
    return query.has_digits_of(one.number) or query.is_within(one.name, one.number, one.note)
