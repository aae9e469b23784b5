"""What is read from another system, as it stands there: rows that nothing has checked yet."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from services.core.errors import TextbridgeError
from services.operations.contact_files import Entry


class SourceError(TextbridgeError):
    """The other system cannot be read; the sentence says why and has no secrets."""


@dataclass(frozen=True, slots=True)
class NumberRow:
    """A number; ``cells`` are texts by the names of the fields of Message Settings.

    ``place`` says where it stands, such as ``line 7``; ``remark`` what is left out of it already.
    """

    place: str
    cells: Mapping[str, str]
    remark: str = ""


@dataclass(frozen=True, slots=True)
class FileRow:
    """A file of a message: ``read`` returns its content, or ``url`` is where it can be fetched.

    Contents are large, so each is read only when its message is stored. ``missing`` is the reason
    why it has neither, as a sentence.
    """

    name: str = ""
    content_type: str = ""
    read: Callable[[], bytes] | None = field(default=None, repr=False)
    url: str = ""
    missing: str = ""


@dataclass(frozen=True, slots=True)
class TextRow:
    """A message of the history.

    ``key`` is its id in the other system, which never changes. ``direction`` is ``in`` or ``out``
    in any usual word, ``number`` is ours, ``at`` is in seconds since 1970. ``carrier_id`` is the id
    that the carrier has given, ``extension`` who sent it.
    """

    key: str
    direction: str
    number: str
    peer: str
    text: str
    at: float | None
    status: str = ""
    reason: str = ""
    carrier: str = ""
    carrier_id: str = ""
    extension: str = ""
    files: tuple[FileRow, ...] = ()


class Source(Protocol):
    """Another system. Everything may be read more than once; every method raises ``SourceError``.

    ``name`` is part of the ids of the messages. ``remarks`` are sentences about what is not taken.
    """

    name: str
    title: str

    def numbers(self) -> Sequence[NumberRow]:
        """The numbers for texts."""

    def extension_names(self) -> Mapping[str, str]:
        """The names of extensions, by the extension."""

    def contacts(self) -> Sequence[Entry]:
        """The names of numbers outside that everybody shares; ``line`` may be that of a table."""

    def count_texts(self) -> int:
        """How many messages ``texts`` returns."""

    def texts(self) -> Iterator[TextRow]:
        """The messages, oldest first."""

    def remarks(self) -> Sequence[str]:
        """What is there and is not taken, as sentences."""

    def pause(self) -> None:
        """End the transaction while somebody is asked; the next read begins another."""

    def close(self) -> None:
        """End the connection."""
