"""The operator's register of opt-outs and blocked senders: listed, changed, imported, scanned."""

import csv
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from io import StringIO
from typing import Any

import structlog
from sqlalchemy import Connection, Row, select

from services.core.csv_cells import escape_formula, unescape_formula
from services.core.errors import NumberError, RequestRefused
from services.core.keywords import Keyword, keyword
from services.core.local_time import LocalTime
from services.core.messages import clean, rfc3339
from services.core.phone_numbers import EVERY, e164, known_as, peer
from services.message_settings.csv_format import decode_csv
from services.messaging.opt_out import OptOuts
from services.store import blocked_senders, messages, opt_outs
from services.store.database import clock
from services.store.database.schema import messages as message_table
from services.store.database.store import Store
from services.store.opt_outs import HASHED, OptOut, Source

log = structlog.get_logger()

Parse = Callable[[str, str], str]
BATCH = 500
MOST_REASON = 300
COLUMNS = (
    *("peer", "number", "at", "source", "detail", "message_id"),
    *("lifted_at", "lifted_by", "lift_reason"),
)
LIFT_NOTE = (
    "This lifts Textbridge's own list only. A block at the carrier or in the toll-free network "
    "stays until the person texts START."
)


@dataclass(frozen=True, slots=True)
class Entry:
    """An opt-out to be recorded; ``at`` is in seconds since 1970, ``None``: now."""

    peer: str
    number: str
    detail: str
    at: float | None = None


class OptOutRegister:
    """What the operator does with opt-outs and blocked senders.

    ``country`` is that of numbers which are written without a country code.
    """

    def __init__(
        self, store: Store, opt_outs: OptOuts, country: str, local_time: LocalTime
    ) -> None:
        self._local_time = local_time
        self._store = store
        self._opt_outs = opt_outs
        self._country = country

    def peer(self, written: str) -> str:
        """A person's address as it is kept. Raises ``RequestRefused``."""
        return self._address(known_as, written, "peer")

    def _dialled(self, written: str) -> str:
        """A person's number, typed to be recorded: it must be complete."""
        return self._address(peer, written, "peer")

    def number(self, written: str) -> str:
        """A number of ours in E.164; ``EVERY`` for ``*`` and for an empty text."""
        return EVERY if written.strip() in ("", EVERY) else self._address(e164, written, "number")

    def page(
        self, *, limit: int, before: int | None = None, peer: str = "", with_lifted: bool = False
    ) -> list[OptOut]:
        """Opt-outs, newest first. Raises ``RequestRefused`` for a ``peer`` that is no number."""
        who = self.peer(peer) if peer.strip() else None
        return self._store.read(
            partial(opt_outs.page, limit=limit, before=before, peer=who, with_lifted=with_lifted)
        )

    def add(self, person: str, number: str, reason: str) -> bool:
        """Record that a person wants no more texts; false if that is known already."""
        who, ours, why = self._dialled(person), self.number(number), _reason(reason)
        return self._store.write(
            lambda tx: self._opt_outs.record(tx, ours, who, Source.OPERATOR, why)
        )

    def remove(self, person: str, number: str, reason: str) -> int:
        """Lift the opt-outs of a person, with a reason that is kept; returns how many there were.

        From one number of ours, or with ``EVERY`` all of them. Raises ``RequestRefused``.
        """
        who, ours, why = self.peer(person), self.number(number), _reason(reason)

        def work(tx: Connection) -> int:
            open_ones = [one for one in opt_outs.of(tx, who) if one.lifted_at is None]
            chosen = [one for one in open_ones if ours in (EVERY, one.number)]
            return sum(self._lift(tx, one.id, why) for one in chosen)

        lifted = self._store.write(work)
        if not lifted:
            raise RequestRefused("not_found", f"{who} has not opted out there.", status=404)
        log.info("opt-out lifted by the operator", peer=who, number=ours)
        return lifted

    def lift(self, row_id: int, reason: str) -> None:
        """Lift one opt-out. Raises ``RequestRefused``."""
        why = _reason(reason)
        if not self._store.write(lambda tx: self._lift(tx, row_id, why)):
            raise RequestRefused("not_found", "There is no such opt-out in force.", status=404)
        log.info("opt-out lifted by the operator", opt_out=row_id)

    def export(self) -> Iterator[list[str]]:
        """All opt-outs with their proofs, lifted ones too, as rows of a CSV file, titles first."""
        yield list(COLUMNS)
        before: int | None = None
        while found := self._store.read(
            partial(opt_outs.page, limit=BATCH, before=before, with_lifted=True)
        ):
            yield from map(row_of, found)
            before = found[-1].id

    def import_csv(self, content: bytes) -> tuple[int, int]:
        """Record the opt-outs of a CSV file, all of them or, if a line is wrong, none.

        The first line names the columns: ``peer``, and if wanted ``number``, ``at`` and ``detail``.
        A line with ``lifted_at`` is left out. Returns how many were new and how many were known.
        Raises ``RequestRefused`` with the line that is wrong.
        """
        entries = list(self._entries(content))

        def work(tx: Connection) -> int:
            return sum(
                self._opt_outs.record(
                    tx, one.number, one.peer, Source.IMPORT, one.detail, at=one.at
                )
                for one in entries
            )

        new = self._store.write(work)
        log.info("opt-outs imported", new=new, known=len(entries) - new)
        return new, len(entries) - new

    def scan(self, *, dry_run: bool) -> list[OptOut]:
        """Find STOP in stored texts that no later START takes back, and record it.

        Returns what is (or would be) recorded, oldest first.
        """
        last: dict[tuple[str, str], tuple[Keyword, str, str, float]] = {}
        after = 0
        while rows := self._store.read(partial(_inbound_after, after=after)):
            for row in rows:
                meant = keyword(row.text)
                key = (row.number, row.peer)
                is_yes = meant is Keyword.YES and key in last and last[key][0] is Keyword.STOP
                if meant in (Keyword.STOP, Keyword.START) or is_yes:
                    means = Keyword.STOP if meant is Keyword.STOP else Keyword.START
                    last[key] = (means, row.id, " ".join(row.text.split())[:40], row.created_at)
            after = rows[-1].seq
        found = []
        for (number, person), (meant, message_id, text, at) in last.items():
            if meant is Keyword.STOP:
                found.append(OptOut(number, person, at, Source.SCAN, text, "", message_id))
        return [one for one in found if self._store.write(partial(self._scanned, one, dry_run))]

    def _scanned(self, found: OptOut, dry_run: bool, tx: Connection) -> bool:
        """Record what a scan has found; false if it is known, or was lifted since."""
        if any(one.at >= found.at for one in opt_outs.of(tx, found.peer)):
            return False
        if opt_outs.active(tx, found.number, [found.peer]):
            return False
        message = messages.by_id(tx, found.message_id or "")
        if message is None or dry_run:
            return message is not None
        return self._opt_outs.record(
            tx, found.number, found.peer, Source.SCAN, found.detail, message
        )

    def block(self, person: str, number: str) -> bool:
        """Keep a sender's texts apart; false if they are already."""
        who, ours = self.peer(person), self.number(number)
        return self._store.write(lambda tx: blocked_senders.add(tx, who, ours, "administrator"))

    def unblock(self, person: str, number: str) -> None:
        """End a block. Raises ``RequestRefused`` if there is none."""
        who, ours = self.peer(person), self.number(number)

        def work(tx: Connection) -> bool:
            return blocked_senders.remove(tx, who, ours, messages.next_seq(tx))

        if not self._store.write(work):
            raise RequestRefused("not_found", f"{who} is not blocked there.", status=404)

    def _lift(self, tx: Connection, row_id: int, reason: str) -> bool:
        return opt_outs.lift_one(tx, row_id, at=clock.now(tx), by="administrator", reason=reason)

    def _address(self, parse: Parse, written: str, field: str) -> str:
        try:
            return parse(written, self._country)
        except NumberError as error:
            raise RequestRefused("invalid", str(error), field=field) from None

    def _entries(self, content: bytes) -> Iterator[Entry]:
        rows = csv.DictReader(StringIO(decode_csv(content), newline=""))
        try:
            rows.fieldnames = [title.strip().lower() for title in rows.fieldnames or ()]
            if "peer" not in rows.fieldnames:
                raise RequestRefused(
                    "invalid", "The first line must name the columns, with “peer” among them."
                )
            for row in rows:
                try:
                    if not (row.get("lifted_at") or "").strip():
                        yield self._entry(row)
                except RequestRefused as error:
                    raise RequestRefused("invalid", f"Line {rows.line_num}: {error}") from None
        except csv.Error as error:
            raise RequestRefused("invalid", f"Line {rows.line_num}: {error}.") from None

    def _entered(self, written: str) -> str:
        """The person of a line; of one who was forgotten the HMAC, as it was exported."""
        return written if written.startswith(HASHED) else self._dialled(written)

    def _entry(self, row: dict[str, str]) -> Entry:
        detail = clean(unescape_formula(row.get("detail") or "")).strip()[:MOST_REASON]
        return Entry(
            self._entered(unescape_formula(row["peer"] or "")),
            self.number(unescape_formula(row.get("number") or "")),
            detail or "from a file",
            self._moment(row.get("at") or ""),
        )

    def _moment(self, written: str) -> float | None:
        if not written.strip():
            return None
        try:
            return self._local_time.read(written).timestamp()
        except ValueError:
            reason = "Write the time like 2026-11-20 or 2026-11-20T08:30:00Z, from 1970 on."
            raise RequestRefused("invalid", reason, field="at") from None


def row_of(one: OptOut) -> list[str]:
    """An opt-out as a row of a CSV file; a program of tables evaluates nothing in it."""
    times = rfc3339(one.at), rfc3339(one.lifted_at) if one.lifted_at is not None else ""
    row: Sequence[str | None] = (
        *(one.peer, one.number, times[0], str(one.source), one.detail, one.message_id),
        *(times[1], one.lifted_by, one.lift_reason),
    )
    return [escape_formula(text or "") for text in row]


def _reason(written: str) -> str:
    reason = clean(written).strip()
    if not 1 <= len(reason) <= MOST_REASON:
        raise RequestRefused(
            "invalid", f"Give the reason, in 1 to {MOST_REASON} characters.", field="reason"
        )
    return reason


def _inbound_after(tx: Connection, after: int) -> Sequence[Row[Any]]:
    columns = ("seq", "id", "number", "peer", "text", "created_at")
    statement = select(*(message_table.c[name] for name in columns))
    inbound = statement.where(message_table.c.seq > after, message_table.c.direction == "in")
    return tx.execute(inbound.order_by(message_table.c.seq).limit(BATCH)).all()
