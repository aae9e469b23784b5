"""Reads reginfo documents (RFC 3680): which addresses have a phone that is registered."""

from collections.abc import Iterator
from xml.parsers.expat import ExpatError, ParserCreate

from services.push.sip.events import ExtensionState
from services.push.sip.grammar import Unreadable

MAX_DOCUMENT = 128 * 1024  # bytes
MAX_ELEMENTS = 5_000
SPACE = "urn:ietf:params:xml:ns:reginfo"
CONTENT_TYPE = "application/reginfo+xml"


def read_reginfo(document: bytes) -> list[ExtensionState]:
    """The states of all addresses in a document, in its order.

    Raises ``Unreadable`` for anything that is no such document, is too large, or declares a
    document type, without which there are no entities.
    """
    if len(document) > MAX_DOCUMENT:
        raise Unreadable("The document is too long.", 413)
    reader = _Reader()
    parser = ParserCreate(namespace_separator=" ")
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    parser.StartDoctypeDeclHandler = _refuse
    try:
        parser.Parse(document, True)
    except (ExpatError, ValueError, LookupError):
        raise Unreadable("The document is not valid XML.") from None
    return list(reader.states())


def _refuse(*_declared: object) -> None:
    raise Unreadable("The document has a document type.")


class _Reader:
    """Collects the registrations of a document, and the contacts of each."""

    def __init__(self) -> None:
        self._found: list[tuple[str, str, list[str]]] = []  # address, state, states of contacts
        self._elements = 0
        self._depth = 0

    def start(self, name: str, attributes: dict[str, str]) -> None:
        self._elements += 1
        self._depth += 1
        if self._elements > MAX_ELEMENTS:
            raise Unreadable("The document has too many elements.", 413)
        if self._depth == 1 and name != f"{SPACE} reginfo":
            raise Unreadable("The document is no reginfo.")
        if name == f"{SPACE} registration":
            self._found.append((attributes.get("aor", ""), attributes.get("state", ""), []))
        elif name == f"{SPACE} contact" and self._found:
            self._found[-1][2].append(attributes.get("state", ""))

    def end(self, _name: str) -> None:
        self._depth -= 1

    def states(self) -> Iterator[ExtensionState]:
        """An address is registered if the registration, and one contact if listed, is active."""
        for address, state, contacts in self._found:
            active = state == "active" and (not contacts or "active" in contacts)
            yield ExtensionState(address, active)
