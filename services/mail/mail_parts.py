"""The parts of a mail (MIME, RFC 2045): its text, and its files with the place where they stand.

A file that stands in the text leaves a mark there. Where the mark is cut off with the quote or
signature, so is the file: logos below a name are no part of an answer.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from email.errors import InvalidBase64CharactersDefect as _NO_BASE64
from email.message import Message as ParsedMail

from services.mail.html_text import text_of_html

MOST_DEPTH = 20  # parts within parts
MOST_FILES = 30
MOST_TEXT_BYTES = 400_000  # of one part that is decoded as text
SMALL_PICTURE = 10_000  # bytes: a picture in the text that is smaller is a logo or an icon
_MARK = "\ue000{}\ue001"  # characters for private use
_MARKS = re.compile("\ue000([0-9]{1,3})\ue001")
_PRIVATE = re.compile("[\ue000-\uf8ff]")
_PLACE = re.compile(
    r"\[(cid|image|inline image|Bild|immagine|imagen):\s*([^\[\]\n]{1,200})\]", re.I
)
_SLOW_CHARSETS = {"punycode", "idna"}
_SIGNATURES = {
    "application/pgp-signature", "application/pkcs7-signature", "application/x-pkcs7-signature",
}  # fmt: skip
_ENCRYPTED = {
    "multipart/encrypted", "application/pkcs7-mime", "application/x-pkcs7-mime",
    "application/pgp-encrypted",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class ReceivedFile:
    """A file of a mail, as its sender describes it; ``attached``: it does not stand in the text."""

    content: bytes = field(repr=False)
    content_type: str
    name: str
    attached: bool
    content_id: str = ""

    @property
    def is_winmail(self) -> bool:
        """Whether it is the container in which Outlook puts rich text and files (MS-OXTNEF)."""
        return self.content_type.endswith("ms-tnef") or self.name.lower() == "winmail.dat"

    @property
    def is_logo(self) -> bool:
        """Whether it is too small to be a picture that somebody wants to send."""
        return not self.attached and len(self.content) < SMALL_PICTURE


@dataclass(slots=True)
class PartsContent:
    """The text of a mail with marks for files, and its text by HTML where that is another part."""

    text: str = ""
    other: str = ""
    files: list[ReceivedFile] = field(default_factory=list)
    marked: set[int] = field(default_factory=set)  # positions of files with a mark in ``text``
    is_encrypted: bool = False
    is_broken: bool = False

    def kept(self, text: str) -> tuple[str, set[int]]:
        """A part of the text without marks, and the positions of the files that stand in it."""
        at = {int(found) for found in _MARKS.findall(text)}
        shown = _PLACE.sub("", _PRIVATE.sub("", _MARKS.sub("", text)))
        lines = [line.rstrip() for line in shown.split("\n")]
        return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip(), at


def content_of(mail: ParsedMail) -> PartsContent:
    """The text and files of a parsed mail. Never raises for what is malformed."""
    found = PartsContent()
    found.text = _text_of(mail, found, 0)
    found.files = [_placed(file, f"{found.text}\n{found.other}") for file in found.files]
    found.text = _with_marks(found.text, found.files)
    found.other = _with_marks(found.other, found.files)
    found.marked = {int(at) for at in _MARKS.findall(found.text)}
    return found


def _text_of(part: ParsedMail, found: PartsContent, depth: int) -> str:
    """The text of a part with what is in it; its files are added to ``found``."""
    kind = part.get_content_type()
    inner = _parts(part)
    found.is_encrypted |= kind in _ENCRYPTED
    if depth > MOST_DEPTH or kind in _ENCRYPTED | _SIGNATURES:
        return ""
    if inner and kind == "multipart/alternative":
        return _alternative(inner, found, depth)
    if inner and kind != "message/rfc822":
        read = inner[:1] if kind == "multipart/signed" else inner
        return "\n".join(filter(None, (_text_of(one, found, depth + 1) for one in read)))
    return _single(part, kind, found)


def _single(part: ParsedMail, kind: str, found: PartsContent) -> str:
    """The text of a part that has no others in it, or the mark of the file that it is."""
    if kind.startswith("multipart/"):  # its parts were not found: the quote would go along
        found.is_broken |= bool(_bytes(part).strip())
        return ""
    name = _name(part)
    is_attached = part.get_content_disposition() == "attachment"
    if kind in ("text/plain", "text/html") and not is_attached and not name:
        text = _written(part, kind)
        found.is_broken |= any(isinstance(one, _NO_BASE64) for one in part.defects)
        return text
    return _file(part, kind, name, found, is_attached=is_attached)


def _alternative(parts: list[ParsedMail], found: PartsContent, depth: int) -> str:
    """The plain text of several versions, or else that of the last one that has words.

    Other versions, such as the calendar file of an appointment, are left out.
    """
    read = [one for one in parts if one.get_content_maintype() in ("text", "multipart")]
    texts = [
        (one.get_content_type() == "text/plain", _text_of(one, found, depth + 1))
        for one in read
        if one.get_content_type() not in ("text/calendar", "text/x-amp-html")
    ]
    plain = next((text for is_plain, text in texts if is_plain and text.strip()), "")
    rich = next((text for is_plain, text in reversed(texts) if not is_plain and text.strip()), "")
    if plain and rich:
        found.other += f"\n{rich}"
    return plain or rich


def _parts(part: ParsedMail) -> list[ParsedMail]:
    inner = part.get_payload() if part.is_multipart() else []
    return [one for one in inner if isinstance(one, ParsedMail)] if isinstance(inner, list) else []


def _file(part: ParsedMail, kind: str, name: str, found: PartsContent, *, is_attached: bool) -> str:
    """Add a file; returns its mark if it stands in the text by itself."""
    inner = _parts(part)
    content = inner[0].as_bytes() if inner and kind == "message/rfc822" else _bytes(part)
    content_id = str(part.get("Content-ID", "")).strip().strip("<>").strip()
    is_picture = kind.startswith("image/")
    if not content or len(found.files) >= MOST_FILES:
        return ""
    stands_alone = is_attached or not (is_picture and content_id)
    file = ReceivedFile(
        content, kind, name, attached=is_attached or not is_picture, content_id=content_id
    )
    found.files.append(file)
    return _MARK.format(len(found.files) - 1) if stands_alone and not file.attached else ""


def _placed(file: ReceivedFile, text: str) -> ReceivedFile:
    """The file, not attached where the text shows it as a picture: some servers say both."""
    is_shown = bool(file.content_id) and f"[cid:{file.content_id}]" in text
    return replace(file, attached=False) if file.attached and is_shown else file


def _with_marks(text: str, files: list[ReceivedFile]) -> str:
    """The text with marks where it names a file in it, such as ``[cid:…]`` or ``[image: …]``."""

    def mark(place: re.Match[str]) -> str:
        wanted = place[2].strip().removeprefix("cid:")
        by_id = place[1].lower() == "cid"
        for at, file in enumerate(files):
            if not file.attached and wanted == (file.content_id if by_id else file.name):
                return _MARK.format(at)
        return ""

    return _PLACE.sub(mark, text)


def _written(part: ParsedMail, kind: str) -> str:
    text = _PRIVATE.sub("", _decoded(_bytes(part)[:MOST_TEXT_BYTES], _charset(part)))
    if kind == "text/html":
        return text_of_html(text)
    if str(part.get_param("format", "")).lower() == "flowed":
        return _flowed(text, joins=str(part.get_param("delsp", "")).lower() == "yes")
    return text


def _flowed(text: str, *, joins: bool) -> str:
    """Text of ``format=flowed`` (RFC 3676): a line that ends with a space goes on in the next."""
    lines: list[str] = []
    goes_on = False
    for line in _lines(text):
        if goes_on and not line.startswith(">"):
            lines[-1] += line
        else:
            lines.append(line)
        goes_on = line.endswith(" ") and line != "-- " and not line.startswith(">")
        if goes_on and joins:
            lines[-1] = lines[-1][:-1]
    return "\n".join(lines)


def _lines(text: str) -> Iterator[str]:
    for line in text.replace("\r\n", "\n").split("\n"):
        yield line[1:] if line.startswith(" ") else line


def _bytes(part: ParsedMail) -> bytes:
    try:
        content = part.get_payload(decode=True)
    except (ValueError, LookupError, AttributeError, TypeError):
        return b""
    return content if isinstance(content, bytes) else b""


def _charset(part: ParsedMail) -> str:
    try:
        return (part.get_content_charset() or "utf-8").strip()
    except (ValueError, LookupError, AttributeError, TypeError):
        return "utf-8"


def _name(part: ParsedMail) -> str:
    try:
        return " ".join((part.get_filename() or "").split())[:200]
    except (ValueError, LookupError, AttributeError, TypeError):
        return "file"


def _decoded(content: bytes, charset: str) -> str:
    for name in (charset, "utf-8"):
        if name.lower() in _SLOW_CHARSETS:
            continue
        try:
            return content.decode(name)
        except (ValueError, LookupError):
            continue
    return content.decode("cp1252", "replace")
