"""FreePBX: the MariaDB tables of SMS Connector and of the modules SMS, User and Contact Manager.

Tables and columns by ``module.xml`` of https://github.com/simontelephonics/smsconnector (16.0.18),
``install.php`` and ``AdaptorBase.class.php`` of FreePBX's module SMS (13.0.9, and of release 15,
which adds ``sms_dids``, ``didid``, ``threadid`` and ``timestamp``), ``module.xml`` of
https://github.com/FreePBX/userman (16.0.44) and of
https://github.com/FreePBX/contactmanager (16.0.25).
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from sqlalchemy.engine import URL

from services.operations.contact_files import Entry
from services.operations.migration.connections import (
    decoded,
    driver,
    open_mariadb,
    parse_address,
    told,
)
from services.operations.migration.source import (
    FileRow,
    NumberRow,
    SourceError,
    TextRow,
)

EXAMPLE = "mysql://textbridge_reader:password@pbx.example.com/asterisk"
PAGE = 200
MADE_UP_ID = "sms-"  # begins the ids that the module SMS has made itself


class FreePbx:
    """The database of a FreePBX with SMS Connector."""

    name = "freepbx"
    title = "FreePBX"

    def __init__(self, address: str) -> None:
        """Connect. Raises ``SourceError``."""
        kinds = ("mysql", "mariadb", "mysql+pymysql", "mariadb+pymysql")
        self._url: URL = parse_address(address, kinds, EXAMPLE)
        self._connection = open_mariadb(self._url)
        self._error: type[Exception] = driver("pymysql", "pymysql").Error
        self._columns: dict[str, set[str]] = {}
        for table, column in self._rows(
            "SELECT table_name, column_name FROM information_schema.columns "
            "WHERE table_schema = database()"
        ):
            self._columns.setdefault(decoded(table), set()).add(decoded(column))
        missing = {"smsconnector_relations", "sms_dids", "sms_routing"} - self._columns.keys()
        if missing:
            self.close()
            raise SourceError(
                f"The database {self._url.database} has no table {', '.join(sorted(missing))}, or "
                "this user may not read it (see docs/migrate.md)."
            )

    def pause(self) -> None:
        """End the transaction; the next query begins another."""
        with told(self._error, self._url):
            self._connection.rollback()

    def close(self) -> None:
        """End the connection."""
        self._connection.close()

    def numbers(self) -> Sequence[NumberRow]:
        """The numbers of SMS Connector; their users are the extensions by which they log in."""
        extension, who, join = "NULL", "NULL", ""
        if "userman_users" in self._columns:
            extension, who = "u.default_extension", "u.username"
            join = "LEFT JOIN userman_users u ON u.id = t.uid "
        rows = self._rows(
            f"SELECT d.id, d.did, r.providerid, {extension}, {who}, t.uid FROM sms_dids d "
            "LEFT JOIN smsconnector_relations r ON r.didid = d.id "
            f"LEFT JOIN sms_routing t ON t.didid = d.id {join}"
            "WHERE r.id IS NOT NULL OR t.id IS NOT NULL "
            "ORDER BY d.id, t.id"
        )
        users: dict[int, tuple[str, str, list[str], list[str]]] = {}
        for row_id, *cells, user in rows:
            did, carrier, phone, name = map(decoded, cells)
            _, _, extensions, nobody = users.setdefault(row_id, (did, carrier, [], []))
            if phone not in ("", "none"):
                extensions.append(phone)
            elif user is not None:
                nobody.append(name or f"number {user}")
        return [
            NumberRow(
                f"DID {row_id}",
                {
                    "number": did,
                    "carrier": carrier,
                    "extensions": ", ".join(dict.fromkeys(extensions)),
                },
                f"The user {', '.join(dict.fromkeys(nobody))} has no extension." if nobody else "",
            )
            for row_id, (did, carrier, extensions, nobody) in users.items()
        ]

    def extension_names(self) -> Mapping[str, str]:
        """The names of extensions: those of their users, else those of the extensions."""
        found: dict[str, str] = {}
        if "users" in self._columns:
            found |= self._named("SELECT extension, name FROM users")
        if "userman_users" in self._columns:
            found |= self._named(
                "SELECT default_extension, coalesce(nullif(displayname, ''), "
                "concat_ws(' ', fname, lname)) FROM userman_users"
            )
        return found

    def contacts(self) -> Sequence[Entry]:
        """The contacts of the external groups of Contact Manager."""
        if not self._has_contacts:
            return []
        rows = self._rows(
            "SELECT n.id, coalesce(nullif(n.E164, ''), n.number), coalesce(nullif(e.displayname, "
            "''), nullif(concat_ws(' ', e.fname, e.lname), ' '), e.company) "
            "FROM contactmanager_entry_numbers n "
            "JOIN contactmanager_group_entries e ON e.id = n.entryid "
            "JOIN contactmanager_groups g ON g.id = e.groupid "
            "WHERE g.type = 'external' ORDER BY n.id"
        )
        return [Entry(int(row_id), decoded(number), decoded(name)) for row_id, number, name in rows]

    def count_texts(self) -> int:
        """How many messages there are."""
        if "sms_messages" not in self._columns:
            return 0
        return int(self._rows("SELECT count(*) FROM sms_messages")[0][0])

    def texts(self) -> Iterator[TextRow]:
        """The messages in the order of their ids, which is that in which they were stored."""
        if "sms_messages" not in self._columns:
            return
        stamp = "`timestamp`" if "timestamp" in self._columns["sms_messages"] else "NULL"
        after = -1
        while page := self._rows(
            f"SELECT id, direction, `from`, `to`, body, nullif({stamp}, 0), "
            "nullif(unix_timestamp(tx_rx_datetime), 0), delivered, emid "
            "FROM sms_messages WHERE id > %s ORDER BY id LIMIT %s",
            after,
            PAGE,
        ):
            after = page[-1][0]
            files = self._files([row[0] for row in page])
            for row in page:
                yield _read(row, files.get(row[0], ()))

    def remarks(self) -> Sequence[str]:
        """E-mail addresses and contacts that mean something else in FreePBX."""
        found = [
            "E-mail addresses of users are not taken: FreePBX does not mail every text to them. "
            "Add those that want mails in Message Settings."
        ]
        if self._has_contacts:
            [(count,)] = self._rows(
                "SELECT count(*) FROM contactmanager_entry_numbers n "
                "JOIN contactmanager_group_entries e ON e.id = n.entryid "
                "JOIN contactmanager_groups g ON g.id = e.groupid WHERE g.type <> 'external'"
            )
            if count:
                found.append(
                    f"{count} numbers of private and internal contacts are not taken: the contacts "
                    "of Textbridge are seen by everybody."
                )
        return found

    @property
    def _has_contacts(self) -> bool:
        tables = ("groups", "group_entries", "entry_numbers")
        return {f"contactmanager_{table}" for table in tables} <= self._columns.keys()

    def _named(self, query: str) -> dict[str, str]:
        pairs = ((decoded(extension), decoded(name)) for extension, name in self._rows(query))
        return {extension: name for extension, name in pairs if name.strip()}

    def _files(self, ids: Sequence[int]) -> dict[int, tuple[FileRow, ...]]:
        if "sms_media" not in self._columns:
            return {}
        rows = self._rows(
            "SELECT mid, id, name, length(raw) FROM sms_media WHERE mid IN %s ORDER BY id",
            list(ids),
        )
        found: dict[int, tuple[FileRow, ...]] = {}
        for message_id, row_id, name, size in rows:
            file = FileRow(
                decoded(name)[:200],
                read=partial(self._content, row_id) if size else None,
                missing="" if size else "FreePBX has no content of this file.",
            )
            found[message_id] = (*found.get(message_id, ()), file)
        return found

    def _content(self, row_id: int) -> bytes:
        rows = self._rows("SELECT raw FROM sms_media WHERE id = %s", row_id)
        return bytes(rows[0][0]) if rows else b""

    def _rows(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        with told(self._error, self._url), self._connection.cursor() as cursor:
            cursor.execute(query, values or None)
            return list(cursor.fetchall())


def _read(row: Sequence[Any], files: tuple[FileRow, ...]) -> TextRow:
    row_id, direction, source, target, body, stamp, moment, delivered, carrier_id = row
    is_sent = decoded(direction) == "out"
    at = stamp if stamp is not None else moment
    given = decoded(carrier_id)
    return TextRow(
        key=f"sms_messages:{row_id}",
        direction=decoded(direction),
        number=decoded(source if is_sent else target),
        peer=decoded(target if is_sent else source),
        text=decoded(body),
        at=float(at) if at is not None else None,
        status="sent" if delivered else "",
        carrier_id="" if given.startswith(MADE_UP_ID) else given,
        files=files,
    )
