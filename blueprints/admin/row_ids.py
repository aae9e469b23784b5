"""Parsing row numbers in addresses and forms of the operator's pages."""

from flask import abort


def row_id(written: str | None) -> int | None:
    """A row's number as it stands in an address, or nothing; what is none leads nowhere (404)."""
    if not written:
        return None
    if not (written.isascii() and written.isdigit() and len(written) < 19):
        abort(404)
    return int(written)
