"""Export of messages as CSV or JSON, streamed in pieces."""

import csv
import io
import json
import re
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

from services.core.csv_cells import escape_formula
from services.core.messages import FileLink, Message, message_object, rfc3339
from services.store.bulk_sends import LeftOut

COLUMNS = (
    "time", "direction", "number", "peer", "extension", "state", "code", "reason", "carrier",
    "carrier_id", "segments", "files", "text", "id", "send_at",
)  # fmt: skip
BULK_COLUMNS = ("number", "state", "code", "reason", "send_at", "updated", "message_id")
ROWS = 200  # of one piece
MARK = "\ufeff"  # byte order mark: spreadsheets read the file as UTF-8
_PLAIN_NUMBER = re.compile(r"\+[0-9]{1,15}", re.ASCII)


def as_csv(found: Iterable[Message]) -> Iterator[str]:
    """Messages as CSV (RFC 4180) below the names of the columns; no cell is a formula."""
    yield MARK + _lines([COLUMNS])
    rest = iter(found)
    while some := list(islice(rest, ROWS)):
        yield _lines([_cell(text) for text in _row(message)] for message in some)


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
    return MARK + _lines([BULK_COLUMNS, *(map(_cell, row) for row in rows)])


def as_json(found: Iterable[Message], link: FileLink) -> Iterator[str]:
    """Messages as one JSON array of what ``described`` makes."""
    between = "[\n"
    for message in found:
        yield between + json.dumps(described(message, link))
        between = ",\n"
    yield "[]\n" if between == "[\n" else "\n]\n"


def described(message: Message, link: FileLink) -> dict[str, Any]:
    """The message as the REST API shows it, with what only the operator sees."""
    return message_object(message, link) | {
        "number": message.number,
        "carrier": message.provider,
        "provider_id": message.provider_id,
        "routed": message.routed,
        "rule": message.rule,
    }


def _cell(text: str) -> str:
    """A cell that no spreadsheet runs as a formula; plain phone numbers stay as they are."""
    return text if _PLAIN_NUMBER.fullmatch(text) else escape_formula(text)


def _row(message: Message) -> list[str]:
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
    ]


def _lines(rows: Iterable[Iterable[str]]) -> str:
    written = io.StringIO()
    csv.writer(written).writerows(rows)
    return written.getvalue()
