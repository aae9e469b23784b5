"""Export of messages as CSV or JSON, streamed in pieces."""

import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Any

from services.core.csv_cells import safe_cell
from services.core.messages import FileLink, Message, message_object, rfc3339
from services.store.bulk_sends import LeftOut

COLUMNS = (
    "time", "direction", "number", "peer", "extension", "state", "code", "reason", "carrier",
    "carrier_id", "segments", "files", "text", "id", "send_at", "extension_name",
)  # fmt: skip
BULK_COLUMNS = ("number", "state", "code", "reason", "send_at", "updated", "message_id")
ROWS = 200  # of one piece
MARK = "\ufeff"  # byte order mark: spreadsheets read the file as UTF-8


def as_csv(found: Iterable[Message], names: Mapping[str, str]) -> Iterator[str]:
    """Messages as CSV (RFC 4180) below the names of the columns; no cell is a formula.

    ``names`` are those of extensions.
    """
    yield MARK + _lines([COLUMNS])
    rest = iter(found)
    while some := list(islice(rest, ROWS)):
        yield _lines([safe_cell(text) for text in _row(message, names)] for message in some)


def bulk_results_as_csv(texts: Iterable[Message], left_out: Iterable[LeftOut]) -> str:
    """The results of a bulk send as CSV: a line for each text, then for each who is left out."""
    rows = [
        [
            one.peer,
            str(one.status),
            one.error_code or "",
            one.error_reason or one.waits_because or "",
            rfc3339(one.send_at) if one.send_at is not None else "",
            rfc3339(one.updated_at),
            one.id,
        ]
        for one in texts
    ]
    rows += [[one.number, "left_out", one.code, one.reason, "", "", ""] for one in left_out]
    return MARK + _lines([BULK_COLUMNS, *(map(safe_cell, row) for row in rows)])


def as_json(found: Iterable[Message], link: FileLink, names: Mapping[str, str]) -> Iterator[str]:
    """Messages as one JSON array of what ``described`` makes."""
    between = "[\n"
    for message in found:
        yield between + json.dumps(described(message, link, names))
        between = ",\n"
    yield "[]\n" if between == "[\n" else "\n]\n"


def described(message: Message, link: FileLink, names: Mapping[str, str]) -> dict[str, Any]:
    """The message as the REST API shows it, with what only the operator sees.

    ``names`` are those of extensions.
    """
    return message_object(message, link) | {
        "number": message.number,
        "carrier": message.provider,
        "provider_id": message.provider_id,
        "routed": message.routed,
        "rule": message.rule,
        "extension_name": names.get(message.extension or "") or None,
    }


def _row(message: Message, names: Mapping[str, str]) -> list[str]:
    return [
        rfc3339(message.created_at),
        message.direction,
        message.number,
        " ".join(message.participants) or message.peer,
        message.extension or "",
        str(message.status) if message.routed else "unrouted",
        message.error_code or "",
        message.error_reason or "",
        message.provider,
        message.provider_id or "",
        str(message.segments),
        str(len(message.media)),
        message.text,
        message.id,
        rfc3339(message.send_at) if message.send_at is not None else "",
        names.get(message.extension or "", ""),
    ]


def _lines(rows: Iterable[Iterable[str]]) -> str:
    written = io.StringIO()
    csv.writer(written).writerows(rows)
    return written.getvalue()
