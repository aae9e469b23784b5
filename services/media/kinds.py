"""What a file is, how it may be shown and what it is called.

Its bytes decide; the sender's word counts only where it makes that more precise.
"""

import codecs
import mimetypes
import re
import unicodedata
from fnmatch import fnmatchcase
from pathlib import PurePath

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

CONTENT_TYPE = re.compile(r"[a-z]+/[a-z0-9.+-]+", re.ASCII)
NAME_LENGTH, EXTENSION_LENGTH = 120, 16


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
