"""FS PBX: its PostgreSQL database, which it shares with FusionPBX.

Tables and columns by the migrations of https://github.com/nemerald-voip/fspbx (release 1.9.8), and
by ``app_config.php`` of https://github.com/fusionpbx/fusionpbx-app-messages. Columns and tables
that an older version lacks are skipped.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from sqlalchemy.engine import URL

from services.operations.contact_files import Entry
from services.operations.migration.connections import driver, open_postgres, parse_address, told
from services.operations.migration.fspbx_files import decode_file, offered_files, stored_file
from services.operations.migration.source import (
    FileRow,
    NumberRow,
    SourceError,
    TextRow,
)

EXAMPLE = "postgresql://textbridge_reader:password@pbx.example.com/fusionpbx"
PAGE = 500
TABLES = (
    *("v_domains", "v_sms_destinations", "v_extensions", "v_ring_groups"),
    *("contacts", "contact_phones", "v_contacts", "v_contact_phones", "phonebook_contacts"),
    *("messages", "v_sms_messages", "v_messages", "v_message_media"),
)


class FsPbx:
    """The database of an FS PBX, seen by one domain (tenant).

    ``media_from`` is the address of FS PBX's web server, which gives out the files of its messages.
    """

    name = "fspbx"
    title = "FS PBX"

    def __init__(self, address: str, domain: str = "", media_from: str = "") -> None:
        """Connect. Raises ``SourceError``, also if several domains have numbers for texts."""
        self._url: URL = parse_address(address, ("postgresql", "postgres"), EXAMPLE)
        self._media_from = media_from.rstrip("/")
        self._connection = open_postgres(self._url)
        self._error: type[Exception] = driver("psycopg", "psycopg[binary]").Error
        # information_schema shows each user only what this user may read; these show everything.
        found = self._rows(
            "SELECT c.relname::text, a.attname::text, has_any_column_privilege(c.oid, 'SELECT') "
            "FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid "
            "AND a.attnum > 0 AND NOT a.attisdropped "
            "WHERE pg_table_is_visible(c.oid) AND c.relname = ANY (%s)",
            list(TABLES),
        )
        self._columns: dict[str, set[str]] = {}
        for table, column, _ in found:
            self._columns.setdefault(table, set()).add(column)
        self._require_tables(sorted({table for table, _, is_readable in found if not is_readable}))
        self._domain = self._chosen_domain(domain)

    def _require_tables(self, forbidden: Sequence[str]) -> None:
        """Raise ``SourceError`` for a table that is needed, or that is there and not readable."""
        missing = {"v_domains", "v_sms_destinations"} - self._columns.keys()
        if not missing and not forbidden:
            return
        self.close()
        if missing:
            raise SourceError(
                f"The database {self._url.database} has no table {', '.join(sorted(missing))}."
            )
        raise SourceError(
            f"The user {self._url.username or 'of this address'} may not read the table "
            f"{', '.join(forbidden)} of the database {self._url.database}. Allow it: "
            f"GRANT SELECT ON {', '.join(forbidden)} TO {self._url.username or 'this user'};"
        )

    def pause(self) -> None:
        """End the transaction; the next query begins another."""
        with told(self._error, self._url):
            self._connection.rollback()

    def close(self) -> None:
        """End the connection."""
        self._connection.close()

    def numbers(self) -> Sequence[NumberRow]:
        """The rows of “Message Settings” of FS PBX."""
        table = "v_sms_destinations"
        names = ("destination", "carrier", "chatplan_detail_data", "email", "description")
        columns = ", ".join(self._column(table, name) for name in names)
        # FS PBX delivers only where “enabled” is the word true.
        enabled = f"CASE WHEN {self._column(table, 'enabled')} = 'true' THEN 'yes' ELSE 'no' END"
        rows = self._rows(
            f"SELECT {columns}, {enabled} FROM {table} WHERE {self._here(table)} "
            f"ORDER BY destination, {self._column(table, 'sms_destination_uuid')}"
        )
        fields = ("number", "carrier", "extensions", "emails", "description", "enabled")
        return [
            NumberRow(f"row {at}", dict(zip(fields, map(_text, row), strict=True)))
            for at, row in enumerate(rows, 1)
        ]

    def extension_names(self) -> Mapping[str, str]:
        """The names of extensions: the caller id inside the PBX, else that of the directory."""
        table = "v_extensions"
        if table not in self._columns:
            return {}
        name, first, last = (
            f"coalesce({self._column(table, column)}, '')"
            for column in (
                "effective_caller_id_name",
                "directory_first_name",
                "directory_last_name",
            )
        )
        rows = self._rows(
            f"SELECT extension, {name}, {first} || ' ' || {last} FROM {table} "
            f"WHERE {self._here(table)}"
        )
        return {_text(row[0]): _text(row[1]).strip() or _text(row[2]).strip() for row in rows}

    def contacts(self) -> Sequence[Entry]:
        """The contacts of FS PBX, its phone books, and those of FusionPBX."""
        found: list[tuple[Any, ...]] = []
        if {"contacts", "contact_phones"} <= self._columns.keys():
            found += self._rows(
                "SELECT p.phone_number, c.first_name, c.last_name, '' FROM contacts c "
                "JOIN contact_phones p ON p.phoneable_id = c.contact_uuid "
                f"WHERE {self._here('contacts', 'c')} ORDER BY c.contact_uuid, p.phone_number"
            )
        if "phonebook_contacts" in self._columns:
            found += self._rows(
                "SELECT phone_number, first_name, last_name, '' FROM phonebook_contacts "
                f"WHERE {self._here('phonebook_contacts')} "
                "ORDER BY phonebook_contact_uuid"
            )
        if {"v_contacts", "v_contact_phones"} <= self._columns.keys():
            organization = self._column("v_contacts", "contact_organization", "c")
            found += self._rows(
                "SELECT p.phone_number, c.contact_name_given, c.contact_name_family, "
                f"{organization} FROM v_contacts c "
                "JOIN v_contact_phones p ON p.contact_uuid = c.contact_uuid "
                f"WHERE {self._here('v_contacts', 'c')} ORDER BY c.contact_uuid, p.phone_number"
            )
        return [
            Entry(at, _text(number), f"{_text(first)} {_text(last)}".strip() or _text(company))
            for at, (number, first, last, company) in enumerate(found, 1)
        ]

    def count_texts(self) -> int:
        """How many messages there are."""
        queries = self._queries()
        if not queries:
            return 0
        union = " UNION ALL ".join(f"SELECT 1 FROM ({query}) AS part" for query in queries)
        return int(self._rows(f"SELECT count(*) FROM ({union}) AS texts")[0][0])

    def texts(self) -> Iterator[TextRow]:
        """The messages of FS PBX, of its older text app, and of FusionPBX's messages app."""
        queries = self._queries()
        if not queries:
            return
        union = " UNION ALL ".join(queries)
        with told(self._error, self._url), self._connection.cursor("texts") as cursor:
            cursor.itersize = PAGE
            cursor.execute(f"SELECT * FROM ({union}) AS texts ORDER BY at NULLS FIRST, key")
            while page := cursor.fetchmany(PAGE):
                stored = self._stored_files([row[0] for row in page])
                for row in page:
                    yield self._read(row, stored.get(row[0], ()))

    def remarks(self) -> Sequence[str]:
        """What is not taken, or would become something else."""
        return [*self._shared_extensions(), *self._ring_groups()]

    def _shared_extensions(self) -> Sequence[str]:
        """Extensions that have numbers in other domains, too: Textbridge has each only once."""
        if self._domain is None:
            return []
        extension = self._column("v_sms_destinations", "chatplan_detail_data")
        ours = f"SELECT {extension} FROM v_sms_destinations WHERE {extension} <> ''"
        rows = self._rows(
            f"{ours} AND domain_uuid::text = %s INTERSECT {ours} AND domain_uuid::text <> %s "
            "ORDER BY 1",
            self._domain,
            self._domain,
        )
        if not rows:
            return []
        names = ", ".join(_text(row[0]) for row in rows[:5]) + (" …" if len(rows) > 5 else "")
        return [
            f"These extensions have numbers in other domains, too: {names}. In Textbridge an "
            "extension is one person: do not take those domains as well, or their texts would be "
            "mixed."
        ]

    def _ring_groups(self) -> Sequence[str]:
        """Ring groups, which share calls and have nothing to do with texts in FS PBX."""
        if "v_ring_groups" not in self._columns:
            return []
        rows = self._rows(
            "SELECT ring_group_name FROM v_ring_groups "
            f"WHERE {self._here('v_ring_groups')} ORDER BY ring_group_name"
        )
        if not rows:
            return []
        names = ", ".join(f"“{_text(row[0])}”" for row in rows[:5])
        more = f" and {len(rows) - 5} more" if len(rows) > 5 else ""
        return [
            f"Ring groups are not taken ({names}{more}): in FS PBX they share calls, not texts. To "
            "let several extensions share the texts of a number, give it all of them."
        ]

    def _chosen_domain(self, name: str) -> str | None:
        """The id of the domain with this name, or with numbers; ``None`` if there is only one."""
        rows = self._rows(
            "SELECT d.domain_uuid::text, d.domain_name, count(s.sms_destination_uuid) "
            "FROM v_domains d LEFT JOIN v_sms_destinations s ON s.domain_uuid = d.domain_uuid "
            "GROUP BY 1, 2 ORDER BY 2"
        )
        if name:
            chosen = [row for row in rows if _text(row[1]).casefold() == name.casefold()]
        else:
            chosen = [row for row in rows if row[2]] or rows
        if len(chosen) == 1:
            return _text(chosen[0][0]) if len(rows) > 1 else None
        if not chosen and not name:
            return None
        self.close()
        known = ", ".join(f"{_text(row[1])} ({row[2]} numbers)" for row in rows)
        begin = f"There is no domain {name}." if name else "Several domains have numbers."
        raise SourceError(
            f"{begin} Textbridge serves one: name it with --domain. The domains: {known or 'none'}."
        )

    def _queries(self) -> list[str]:
        """A query for each table of messages, all with the same columns (see ``_read``)."""
        queries = []
        extension = "SELECT min(extension) FROM v_extensions e WHERE e.extension_uuid"
        has_extensions = "v_extensions" in self._columns
        if "messages" in self._columns:
            meta = self._column("messages", "delivery_meta", "m", "NULL::jsonb")
            sent = f"({meta})::jsonb -> 'outbound' -> 'provider'"
            received = f"({meta})::jsonb -> 'provider'"
            by = f"({extension} = m.extension_uuid)" if has_extensions else "NULL"
            queries.append(
                "SELECT 'messages:' || m.message_uuid::text AS key, m.direction::text, "
                "m.source::text, m.destination::text, m.message::text, "
                "extract(epoch FROM m.created_at)::float8 AS at, m.status::text, "
                f"coalesce({sent} ->> 'error', {received} ->> 'error')::text, "
                f"coalesce({sent} ->> 'name', {received} ->> 'name')::text, "
                f"({self._column('messages', 'reference_id', 'm')})::text, ({by})::text, "
                f"({self._column('messages', 'media', 'm')})::text "
                f"FROM messages m WHERE {self._here('messages', 'm')}"
            )
        if "v_sms_messages" in self._columns:
            by = f"({extension} = s.extension_uuid)" if has_extensions else "NULL"
            # now() of the server, without a zone.
            queries.append(
                "SELECT 'v_sms_messages:' || s.sms_message_uuid::text AS key, s.direction::text, "
                "s.from_number::text, s.to_number::text, s.message::text, "
                "extract(epoch FROM s.start_stamp::timestamptz)::float8 AS at, 'sent', NULL::text, "
                f"({self._column('v_sms_messages', 'carrier', 's')})::text, NULL::text, "
                f"({by})::text, NULL::text "
                f"FROM v_sms_messages s WHERE {self._here('v_sms_messages', 's')}"
            )
        if {"message_from", "message_to", "message_text"} <= self._columns.get("v_messages", set()):
            queries.append(
                "SELECT 'v_messages:' || f.message_uuid::text AS key, f.message_direction::text, "
                "f.message_from::text, f.message_to::text, f.message_text::text, "
                "extract(epoch FROM f.message_date::timestamptz)::float8 AS at, 'sent', "
                "NULL::text, NULL::text, NULL::text, NULL::text, NULL::text "
                f"FROM v_messages f WHERE {self._here('v_messages', 'f')}"
            )
        return queries

    def _read(self, row: Sequence[Any], stored: Sequence[FileRow]) -> TextRow:
        key, direction, source, destination, text, at, *rest = row
        status, reason, carrier, carrier_id, extension, media = map(_text, rest)
        is_sent = _text(direction).casefold().startswith("out")
        return TextRow(
            key=key,
            direction=_text(direction),
            number=_text(source if is_sent else destination),
            peer=_text(destination if is_sent else source),
            text=_text(text),
            at=at,
            status=status,
            reason=reason,
            carrier=carrier,
            carrier_id=carrier_id,
            extension=extension,
            files=(*stored, *offered_files(media, self._media_from)),
        )

    def _stored_files(self, keys: Sequence[str]) -> dict[str, tuple[FileRow, ...]]:
        """The files of FusionPBX's messages app, which are in the database in Base64."""
        columns = self._columns.get("v_message_media", set())
        ids = [key.partition(":")[2] for key in keys if key.startswith("v_messages:")]
        if not ids or "message_media_content" not in columns:
            return {}
        rows = self._rows(
            "SELECT message_uuid::text, message_media_uuid::text, message_media_name, "
            "message_media_type, left(message_media_content, 4) "
            "FROM v_message_media WHERE message_uuid::text = ANY (%s) ORDER BY message_media_uuid",
            ids,
        )
        found: dict[str, tuple[FileRow, ...]] = {}
        for message_id, media_id, name, kind, start in rows:
            key = f"v_messages:{message_id}"
            read = partial(self._content, _text(media_id)) if decode_file(_text(start)) else None
            found[key] = (*found.get(key, ()), stored_file(_text(name), _text(kind), read))
        return found

    def _content(self, media_id: str) -> bytes:
        rows = self._rows(
            "SELECT message_media_content FROM v_message_media WHERE message_media_uuid::text = %s",
            media_id,
        )
        return decode_file(_text(rows[0][0])) if rows else b""

    def _column(self, table: str, name: str, alias: str = "", missing: str = "NULL") -> str:
        """A column as it stands in a query, or no value where a table has no such column."""
        if name not in self._columns.get(table, set()):
            return missing
        return f"{alias}.{name}" if alias else name

    def _here(self, table: str, alias: str = "") -> str:
        """The condition for rows of the domain. Its id is a UUID that the database has given."""
        column = self._column(table, "domain_uuid", alias, "")
        return f"{column}::text = '{self._domain}'" if column and self._domain else "true"

    def _rows(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        with told(self._error, self._url), self._connection.cursor() as cursor:
            cursor.execute(query, values or None)
            rows: list[tuple[Any, ...]] = cursor.fetchall()
            return rows


def _text(value: Any) -> str:
    return "" if value is None else str(value)
