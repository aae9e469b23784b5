"""Attachments: fetched within bounds, kept under names of our own, served by signed links.

What a file is, its bytes decide; the sender's word counts only where it makes that more precise.
"""

import base64
import codecs
import hashlib
import hmac
import math
import mimetypes
import os
import re
import tempfile
import time
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path, PurePath
from typing import IO
from urllib.parse import urljoin, urlsplit

from services.errors import Kind, MediaError, StorageUnwell
from services.http import Answer, Http, NoAnswer, NotSent, TooLarge
from services.messages import Attachment

UNKNOWN = "application/octet-stream"

# How a file begins (https://mimesniff.spec.whatwg.org §6; RFC 4867 §5 for AMR; brands of ISO media
# files: https://mp4ra.org/registered-types/brands). The first that fits decides.
SIGNATURES = tuple(
    (re.compile(pattern, re.DOTALL), content_type)
    for pattern, content_type in (
        (rb"\xff\xd8\xff", "image/jpeg"),
        (rb"\x89PNG\r\n\x1a\n", "image/png"),
        (rb"GIF8[79]a", "image/gif"),
        (rb"RIFF.{4}WEBP", "image/webp"),
        (rb"BM.{4}\0{4}", "image/bmp"),
        (rb"II\*\0|MM\0\*", "image/tiff"),
        (rb".{4}ftyp(avif|avis)", "image/avif"),
        (rb".{4}ftyp(hei[cxms]|hev[cxms]|mif1|msf1)", "image/heic"),
        (rb".{4}ftyp3g2", "video/3gpp2"),
        (rb".{4}ftyp3g", "video/3gpp"),
        (rb".{4}ftypqt", "video/quicktime"),
        (rb".{4}ftypM4[ABP]", "audio/mp4"),
        (rb".{4}ftyp", "video/mp4"),
        (rb"\x1aE\xdf\xa3.{,60}?webm", "video/webm"),
        (rb"#!AMR-WB\n", "audio/amr-wb"),
        (rb"#!AMR\n", "audio/amr"),
        (rb"ID3[\x02-\x04]|\xff[\xe2\xe3\xf2\xf3\xfa\xfb]", "audio/mpeg"),
        (rb"\xff[\xf0\xf1\xf8\xf9]", "audio/aac"),
        (rb"RIFF.{4}WAVE", "audio/wav"),
        (rb"OggS\0", "audio/ogg"),
        (rb"%PDF-", "application/pdf"),
        (rb"PK(\x03\x04|\x05\x06)", "application/zip"),
        (rb"(\xef\xbb\xbf)?(?i:BEGIN:VCARD)", "text/vcard"),
        (rb"(\xef\xbb\xbf)?(?i:BEGIN:VCALENDAR)", "text/calendar"),
        (rb"(\xef\xbb\xbf)?\s*(<[?!][^>]*>\s*)*<(?i:smil)[\s>]", "application/smil"),
        (rb"(\xef\xbb\xbf)?\s*<", UNKNOWN),  # SVG and HTML may hold scripts
    )
)
HEAD_BYTES = 4096  # looked at to tell what a file is

# What the sender may say more precisely about a file that is recognised (patterns).
MORE_PRECISELY = {
    "video/mp4": ("audio/mp4", "audio/3gpp", "video/3gpp", "video/3gpp2", "video/quicktime"),
    "video/3gpp": ("audio/3gpp",),
    "video/3gpp2": ("audio/3gpp2",),
    "video/webm": ("audio/webm",),
    "audio/ogg": ("video/ogg", "audio/opus"),
    "image/heic": ("image/heif",),
    "text/plain": ("text/csv", "text/calendar", "text/vcard"),
    "application/zip": (
        "application/vnd.openxmlformats-officedocument.*",
        "application/vnd.oasis.opendocument.*",
    ),
}
# What the sender is believed about a file that is not: letters in an old encoding.
HARMLESS = {"text/plain", "text/csv", "text/calendar", "text/vcard"}

# What a browser shows and never runs.
INLINE = {
    *("image/jpeg", "image/png", "image/gif", "image/webp", "image/avif", "image/bmp"),
    *("video/mp4", "video/webm", "video/3gpp", "video/quicktime"),
    *("audio/mpeg", "audio/mp4", "audio/aac", "audio/wav", "audio/ogg", "audio/webm"),
}

FILE_TYPES = mimetypes.MimeTypes()  # Python's own table, whatever the machine has
for _type, _extension in {
    "audio/3gpp": ".3gp",
    "audio/amr": ".amr",
    "audio/amr-wb": ".awb",
    "audio/mp4": ".m4a",
    "audio/ogg": ".ogg",
    "audio/wav": ".wav",
    "audio/webm": ".weba",
    "image/avif": ".avif",
    "image/heic": ".heic",
    "image/webp": ".webp",
    "application/smil": ".smil",
    "text/calendar": ".ics",
    "text/vcard": ".vcf",
    "video/3gpp": ".3gp",
    "video/3gpp2": ".3g2",
}.items():
    FILE_TYPES.add_type(_type, _extension)

# What follows from a carrier's answer; any other is refused, 5xx is tried again.
_NOT_NOW = (Kind.RETRY, "The carrier could not hand over the file now")
ANSWERS = {
    **dict.fromkeys((401, 403), (Kind.CONFIG, "The carrier did not accept our credentials")),
    **dict.fromkeys((404, 410), (Kind.RETRY, "The carrier does not have the file, or not yet")),
    **dict.fromkeys((408, 425, 429), _NOT_NOW),
}
REDIRECTS = {301, 302, 303, 307, 308}
HOPS = 3  # from one host to the next, at most

CONTENT_TYPE = re.compile(r"[a-z]+/[a-z0-9.+-]+", re.ASCII)
FILE_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII)
UNFINISHED = ".part"
NAME_LENGTH, EXTENSION_LENGTH = 120, 16
DAY, HALF_DAY = 86_400, 43_200


@dataclass(frozen=True, slots=True)
class Kept:
    """A file that is on disk: where, what it is, its size in bytes and the name to show."""

    path: Path
    content_type: str
    size: int
    name: str


class MediaStore:
    """The attachments in one folder, under their ids.

    ``key`` signs the links, which begin with ``app_url``. An id is a UUID in its usual form; any
    other is refused with a ``MediaError``, and nothing from outside ever becomes a path.
    """

    seconds = 20.0  # the total deadline of one fetch

    def __init__(self, folder: Path, key: bytes, app_url: str) -> None:
        self._folder = folder
        self._key = key
        self._app_url = app_url

    def keep(
        self, chunks: Iterable[bytes], *, file_id: str, declared: str, name: str, most: int
    ) -> Kept:
        """Write a file of at most ``most`` bytes to the disk, whole or not at all.

        ``declared`` and ``name`` are what the sender says. The same id again replaces the file.
        Raises ``MediaError`` for one that is too large and ``StorageUnwell`` for a disk that fails.
        """
        path = self._path(file_id)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            handle, written = tempfile.mkstemp(UNFINISHED, dir=path.parent)
            unfinished = Path(written)
            try:
                with os.fdopen(handle, "wb") as file:
                    head, size = _copy(chunks, file, most)
                unfinished.replace(path)
            finally:
                unfinished.unlink(missing_ok=True)
            _flush_folder(path.parent)
            _flush_folder(self._folder)
        except OSError as error:
            raise StorageUnwell(f"An attachment cannot be kept: {error.strerror}.") from error
        content_type = recognised(head, declared)
        return Kept(path, content_type, size, file_name(name, content_type))

    def take(self, file: Attachment, most: int) -> Attachment:
        """Keep a file whose bytes came with its message; one that is too large has failed.

        Raises ``StorageUnwell``.
        """
        declared = file.content_type
        if declared == UNKNOWN:
            declared = FILE_TYPES.guess_type(file.name)[0] or UNKNOWN
        chunks = [file.content or b""]
        try:
            kept = self.keep(chunks, file_id=file.id, declared=declared, name=file.name, most=most)
        except MediaError as error:
            return replace(file, content=None, state="failed", reason=error.reason)
        return replace(
            file,
            content=None,
            state="kept",
            content_type=kept.content_type,
            name=kept.name,
            size=kept.size,
        )

    def fetch(
        self,
        http: Http,
        url: str,
        headers: Mapping[str, str],
        *,
        redirects: Sequence[str] = (),
        file_id: str,
        name: str,
        most: int,
    ) -> Kept:
        """Download a file and keep it. Raises ``MediaError`` or ``StorageUnwell``."""
        answer = self.download(http, url, headers, redirects=redirects, most=most)
        declared = answer.headers.get("content-type", "")
        return self.keep([answer.body], file_id=file_id, declared=declared, name=name, most=most)

    def download(
        self,
        http: Http,
        url: str,
        headers: Mapping[str, str],
        *,
        redirects: Sequence[str] = (),
        most: int,
    ) -> Answer:
        """Fetch a file of at most ``most`` bytes from a carrier or an app, with our credentials.

        The address is the carrier's own (``Provider.media_headers``). It may redirect, three times
        at most, to https addresses at the hosts of ``redirects`` (patterns such as
        ``*.example.com``); the credentials are not shown there. Raises ``MediaError``.
        """
        ends = time.monotonic() + self.seconds
        answer = self._request(http, url, headers, ends, most)
        for _ in range(HOPS):
            if answer.status not in REDIRECTS or not redirects:
                break
            url = _redirected(url, answer, redirects)
            answer = _without_credentials(self._request(http, url, {}, ends, most))
        if not answer.ok:
            raise _refusal(answer.status, answer.retry_after)
        return answer

    def _request(
        self, http: Http, url: str, headers: Mapping[str, str], ends: float, most: int
    ) -> Answer:
        """One request of a fetch that ends as a whole at a moment of the monotonic clock."""
        left = max(ends - time.monotonic(), 0.1)
        try:
            return http.request("GET", url, headers=headers, seconds=left, most=most)
        except TooLarge:
            raise _too_large(most) from None
        except (NotSent, NoAnswer) as error:
            reason = f"The carrier did not hand over the file. {error}"
            raise MediaError(reason, Kind.RETRY) from None

    def open(self, file_id: str) -> Path:
        """Where a kept file is. Raises ``MediaError`` where there is none."""
        path = self._path(file_id)
        if not path.is_file():
            raise MediaError("There is no such attachment.", Kind.REFUSED)
        return path

    def remove(self, file_id: str) -> None:
        """Delete a file; one that is not there is fine. Raises ``StorageUnwell``."""
        try:
            self._path(file_id).unlink(missing_ok=True)
        except OSError as error:
            raise StorageUnwell(f"An attachment cannot be removed: {error.strerror}.") from error

    def sweep(self, older_than_seconds: float) -> int:
        """Delete what a crash left half written, and say how many. Raises ``StorageUnwell``."""
        swept = 0
        try:
            for unfinished in self._folder.glob(f"*/*{UNFINISHED}"):
                with suppress(FileNotFoundError):  # finished meanwhile
                    if unfinished.stat().st_mtime < time.time() - older_than_seconds:
                        unfinished.unlink()
                        swept += 1
        except OSError as error:
            raise StorageUnwell(f"The attachments cannot be tidied: {error.strerror}.") from error
        return swept

    def link(self, attachment: Attachment) -> str:
        """An address under which anybody may fetch the file for the next 24 to 36 hours.

        It changes every twelve hours only, so that browsers can cache what is behind it. A file
        that is served under its own type has an address that ends accordingly, because carriers
        judge by that.
        """
        kind = attachment.content_type
        name = attachment.id + (FILE_TYPES.guess_extension(kind) or "" if safe_inline(kind) else "")
        expires = math.ceil((time.time() + DAY) / HALF_DAY) * HALF_DAY
        signature = self._signature(attachment.id, str(expires))
        return f"{self._app_url}/media/{name}?exp={expires}&sig={signature}"

    def allows(self, file_id: str, exp: str, sig: str) -> bool:
        """Whether a link is one of ours and still good. Takes any text and never raises."""
        expected = self._signature(file_id, exp).encode()
        ours = hmac.compare_digest(sig.encode("utf-8", "surrogatepass"), expected)
        return ours and time.time() < int(exp)

    def _signature(self, file_id: str, exp: str) -> str:
        signed = f"{file_id}\n{exp}".encode("utf-8", "surrogatepass")
        return base64.urlsafe_b64encode(hmac.digest(self._key, signed, hashlib.sha256))[
            :-1
        ].decode()

    def _path(self, file_id: str) -> Path:
        if not FILE_ID.fullmatch(file_id):
            raise MediaError("That is not the id of an attachment.", Kind.REFUSED)
        return self._folder / file_id[-2:] / file_id


def recognised(head: bytes, declared: str) -> str:
    """What a file is, by its first bytes and then by what its sender declares.

    >>> recognised(b"GIF89a", "text/html"), recognised(b"a;b", "text/csv; charset=utf-8")
    ('image/gif', 'text/csv')
    """
    said = declared.partition(";")[0].strip().lower()
    found = next((kind for start, kind in SIGNATURES if start.match(head)), None)
    if found is None and not _is_text(head):
        return said if said in HARMLESS else UNKNOWN
    found = found or "text/plain"
    more = CONTENT_TYPE.fullmatch(said) and MORE_PRECISELY.get(found, ())
    return said if more and any(fnmatchcase(said, pattern) for pattern in more) else found


def _is_text(head: bytes) -> bool:
    """Whether this is the beginning of a text in UTF-8, perhaps cut inside a character."""
    try:
        text = codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return False
    return bool(text) and not any(
        unicodedata.category(c) == "Cc" for c in text if c not in "\t\n\r\f"
    )


def safe_inline(content_type: str) -> bool:
    """Whether a file of this type may be shown in the browser.

    Any other is served as ``application/octet-stream`` to be saved, never under its own type.
    """
    return content_type in INLINE


def file_name(written: str, content_type: str) -> str:
    """A sender's file name made fit to show and to save, its extension fitting the type.

    >>> file_name("../a/b", "image/jpeg"), file_name("run.html", "image/gif"), file_name("", "x/y")
    ('_a_b.jpg', 'run.html.gif', 'attachment')
    """
    words = re.sub(r'[/\\:*?"<>|]', "_", " ".join(written.split()))
    name = "".join(c for c in words if unicodedata.category(c) not in {"Cc", "Cf", "Cs"})
    extension = PurePath(name).suffix[:EXTENSION_LENGTH]
    if FILE_TYPES.guess_type(name)[0] != content_type and (
        content_type != UNKNOWN or not extension
    ):
        extension = FILE_TYPES.guess_extension(content_type) or ""
    stem = name.removesuffix(extension).strip(". ") or "attachment"
    return stem[: NAME_LENGTH - len(extension)] + extension


def _copy(chunks: Iterable[bytes], file: IO[bytes], most: int) -> tuple[bytes, int]:
    """Write everything safely to the disk; returns the file's beginning and its size."""
    head, size = b"", 0
    for chunk in chunks:
        size += len(chunk)
        if size > most:
            raise _too_large(most)
        file.write(chunk)
        head += chunk[: HEAD_BYTES - len(head)]
    file.flush()
    os.fsync(file.fileno())
    return head, size


def _flush_folder(folder: Path) -> None:
    """Make the names in a folder survive a power cut, too."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _too_large(most: int) -> MediaError:
    return MediaError(f"The file is larger than {most / 1e6:g} MB.", Kind.REFUSED)


def _redirected(url: str, answer: Answer, hosts: Sequence[str]) -> str:
    """Where an answer leads to, if that is one of some hosts."""
    try:
        target = urljoin(url, answer.headers.get("location", ""))
        parts = urlsplit(target)
        port = parts.port or 443
    except ValueError:
        raise MediaError("The carrier's redirect cannot be read.", Kind.REFUSED) from None
    known = any(fnmatchcase(parts.hostname or "", host) for host in hosts)
    disguised = "@" in parts.netloc or "\\" in target
    if parts.scheme != "https" or port != 443 or not known or disguised:
        raise MediaError("The carrier's redirect leads to a foreign host.", Kind.REFUSED)
    return target


def _without_credentials(answer: Answer) -> Answer:
    """A host that was shown no credentials cannot mean ours: what it signed has run out."""
    return replace(answer, status=410) if answer.status in (401, 403) else answer


def _refusal(status: int, retry_after: float | None) -> MediaError:
    other = (
        _NOT_NOW if status >= 500 else (Kind.REFUSED, "The carrier refused to hand over the file")
    )
    kind, what = ANSWERS.get(status, other)
    wait = retry_after if kind is Kind.RETRY else None
    return MediaError(f"{what} ({status}).", kind, code=str(status), retry_after=wait)
