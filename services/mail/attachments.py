"""The files of a mail: their bytes, and a note for each file that is left out."""

import mimetypes
import re
from dataclasses import dataclass
from pathlib import PurePath

from services.core.errors import Kind, MailError
from services.core.messages import Attachment
from services.mail.headers import one_line
from services.mail.words import MailWords

# Sum of all attachments. Base64 adds a third, and many mail servers refuse more than 30 MB.
MAX_ATTACHED_BYTES = 20_000_000

CONTENT_TYPE = re.compile(r"(image|audio|video|text|application)/[a-z0-9.+-]+", re.ASCII)
FILE_TYPES = mimetypes.MimeTypes()  # Python's own table, independent of the machine
SHOWN_TYPES = ("image/jpeg", "image/png", "image/gif")  # in the text, by every mail program


@dataclass(frozen=True, slots=True)
class MailFile:
    """A file of a mail; ``content_id`` (RFC 2392, without angle brackets) is unique."""

    content_id: str
    name: str
    content_type: str
    content: bytes

    @property
    def is_shown(self) -> bool:
        """Whether it is a picture that mail programs show in the text."""
        return self.content_type in SHOWN_TYPES


def read_files(
    files: tuple[Attachment, ...], id_domain: str, words: MailWords
) -> tuple[list[MailFile], list[str]]:
    """The files to attach, and a note for each file that is left out.

    ``id_domain`` is the right side of their ids. Raises ``MailError`` when a file cannot be read
    from the disk.
    """
    attached, notes, bytes_left = [], [], MAX_ATTACHED_BYTES
    for file in files:
        content, name = _content(file, bytes_left, words), _file_name(file, words)
        if isinstance(content, str):
            notes.append(f"[{words.fact(name, content)}]")
        else:
            content_id = f"{file.id}@{id_domain}"
            attached.append(MailFile(content_id, name, _content_type(file), content))
            bytes_left -= len(content)
    return attached, notes


def _content(file: Attachment, max_bytes: int, words: MailWords) -> bytes | str:
    """The bytes of an attachment, or the reason why it is left out."""
    if file.state == "failed":
        reason = one_line(file.reason or "", 300) if words.language.tag == "en" else ""
        return f"{words.not_fetched} {reason}".rstrip()
    if file.state == "pending" or file.path is None:
        return words.not_arrived
    try:
        if file.path.stat().st_size > max_bytes:
            return words.too_large
        return file.path.read_bytes()
    except FileNotFoundError:
        return words.no_longer_kept
    except OSError as error:
        reason = f"An attachment cannot be read from the disk: {error.strerror}."
        raise MailError(reason, Kind.RETRY) from None


def _content_type(file: Attachment) -> str:
    known = CONTENT_TYPE.fullmatch(file.content_type)
    return file.content_type if known else "application/octet-stream"


def _file_name(file: Attachment, words: MailWords) -> str:
    name = re.sub(r"[/\\:]", "_", one_line(file.name, 120)) or words.attachment
    extension = FILE_TYPES.guess_extension(_content_type(file), strict=False) or ""
    return name if PurePath(name).suffix else name + extension
