"""Ids as arguments of commands: whole, or the last characters that a table shows."""

from functools import partial

from blueprints.cli.parts import parts
from services.core.errors import RequestRefused
from services.store.short_ids import Kind, ending_with


def whole_id(kind: Kind, written: str) -> str:
    """The whole id of what the last characters name; anything else is returned as it is.

    Raises ``RequestRefused`` where several end so.
    """
    found = parts().store.read(partial(ending_with, kind=kind, written=written))
    if len(found) > 1:
        listed = ", ".join(found)
        sentence = f"“{written.strip()}” is the end of several ids. Give more of one: {listed}"
        raise RequestRefused("ambiguous_id", sentence, field="id", status=409)
    return found[0] if found else written
