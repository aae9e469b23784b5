"""Parsing of row ids in addresses and forms of the operator's pages."""

from flask import abort


def row_id(written: str | None) -> int | None:
    """A row id of an address or form, ``None`` for an empty one; answers 404 to anything else."""
    if not written:
        return None
    if not (written.isascii() and written.isdigit() and len(written) < 19):
        abort(404)
    return int(written)


def page_number(written: str | None) -> int:
    """The number of a page (from 0) in an address; what is none is the first."""
    text = written or ""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 7 else 0
