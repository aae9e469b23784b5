"""Content type detection (MIME sniffing) of attachments, and safe file names.

The first bytes decide. The type that the sender declares counts only where it is more precise.
"""

import codecs
import mimetypes
import re
import unicodedata
from fnmatch import fnmatchcase
from pathlib import PurePath

UNKNOWN = "application/octet-stream"

# First bytes of a file (https://mimesniff.spec.whatwg.org §6; RFC 4867 §5 for AMR; ISO media
# brands: https://mp4ra.org/registered-types/brands). The first match decides.
SIGNATURES = tuple(
    (re.compile(pattern, re.DOTALL), content_type)
    for pattern, content_type in (
        (rb"\xff\xd8\xff", "image/jpeg"),
        (rb"\x89PNG\r\n\x1a\n", "image/png"),
        (rb"GIF8[79]a", "image/gif"),
        (rb"RIFF.{4}WEBP", "image/webp"),
        (rb"BM.{4}\0{4}", "image/bmp"),
        (rb"II\*\0|MM\0\*", "image/tiff"),
        (rb"\xff\x0a|\0\0\0\x0cJXL ", "image/jxl"),
        (rb"\xff\x4f\xff\x51|\0\0\0\x0cjP  ", "image/jp2"),
        (rb"8BPS\0[\x01\x02]", "image/vnd.adobe.photoshop"),
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
        (rb"fLaC", "audio/flac"),
        (rb"MThd\0\0\0\x06", "audio/midi"),
        (rb"\0\0\x01[\xb3\xba]", "video/mpeg"),
        (rb"%PDF-", "application/pdf"),
        (rb"PK(\x03\x04|\x05\x06)", "application/zip"),
        (rb"(\xef\xbb\xbf)?(?i:BEGIN:VCARD)", "text/vcard"),
        (rb"(\xef\xbb\xbf)?(?i:BEGIN:VCALENDAR)", "text/calendar"),
        (rb"(\xef\xbb\xbf)?\s*(<[?!][^>]*>\s*)*<(?i:smil)[\s>]", "application/smil"),
        (rb"(\xef\xbb\xbf)?\s*<", UNKNOWN),  # SVG and HTML may hold scripts
    )
)
# Brands of pictures in ISO media files (https://mp4ra.org/registered-types/brands). The first brand
# of a file may be one of its maker, which is not here; then the others tell what it is.
AVIF_BRANDS = frozenset(b"avif avis avio MA1A MA1B".split())
HEIF_BRANDS = frozenset(
    b"heic heix heim heis hevc hevx hevm hevs hevd heif mif1 mif2 msf1 miaf MiHA MiHB MiHE".split()
)
CR3_BRANDS = frozenset((b"crx ",))  # raw pictures of Canon's cameras
FILMS = re.compile(rb"qt|3g|M4|iso|mp4|avc1|dash|f4v|MSNV|mmp4")  # first brands of films and sounds

HEAD_BYTES = 4096  # first bytes of a file that detection reads

# Detected type -> declared types (patterns) that are accepted as more precise.
MORE_PRECISE = {
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
# Declared types that are accepted for an undetected file: text in an encoding other than UTF-8.
HARMLESS_TYPES = {"text/plain", "text/csv", "text/calendar", "text/vcard"}

# Types that a browser shows without running scripts in a page; those of a PDF stay in its viewer.
INLINE_TYPES = {
    *("image/jpeg", "image/png", "image/gif", "image/webp", "image/avif", "image/bmp"),
    *("video/mp4", "video/webm", "video/3gpp", "video/quicktime"),
    *("audio/mpeg", "audio/mp4", "audio/aac", "audio/wav", "audio/ogg", "audio/webm"),
    "application/pdf",
}

FILE_TYPES = mimetypes.MimeTypes()  # Python's own table, independent of the machine
for _type, _extension in {
    "audio/3gpp": ".3gp",
    "audio/amr": ".amr",
    "audio/amr-wb": ".awb",
    "audio/flac": ".flac",
    "audio/midi": ".mid",
    "audio/mp4": ".m4a",
    "audio/ogg": ".ogg",
    "audio/wav": ".wav",
    "audio/webm": ".weba",
    "image/avif": ".avif",
    "image/bmp": ".bmp",
    "image/tiff": ".tiff",
    "audio/aac": ".aac",
    "image/heic": ".heic",
    "image/jp2": ".jp2",
    "image/jxl": ".jxl",
    "image/vnd.adobe.photoshop": ".psd",
    "image/webp": ".webp",
    "image/x-canon-cr3": ".cr3",
    "application/smil": ".smil",
    "text/calendar": ".ics",
    "text/vcard": ".vcf",
    "video/3gpp": ".3gp",
    "video/3gpp2": ".3g2",
    "video/mpeg": ".mpeg",
    "video/ogg": ".ogv",
}.items():
    FILE_TYPES.add_type(_type, _extension)

CONTENT_TYPE = re.compile(r"[a-z]+/[a-z0-9.+-]+", re.ASCII)
MAX_NAME_LENGTH, MAX_EXTENSION_LENGTH = 120, 16
PLAIN_NAME_LENGTH = 20


def detect_content_type(head: bytes, declared: str) -> str:
    """The content type of a file, by its first bytes and then by the declared type.

    >>> detect_content_type(b"GIF89a", "text/html")
    'image/gif'
    """
    declared_type = declared.partition(";")[0].strip().lower()
    found = _picture_in_box(head) or next(
        (kind for start, kind in SIGNATURES if start.match(head)), None
    )
    if found is None and not _is_text(head):
        return declared_type if declared_type in HARMLESS_TYPES else UNKNOWN
    found = found or "text/plain"
    more = CONTENT_TYPE.fullmatch(declared_type) and MORE_PRECISE.get(found, ())
    return (
        declared_type
        if more and any(fnmatchcase(declared_type, pattern) for pattern in more)
        else found
    )


def _picture_in_box(head: bytes) -> str | None:
    """The type of a picture in an ISO media file (ISO/IEC 14496-12 §4.3), if it is one."""
    if head[4:8] != b"ftyp":
        return None
    box = head[8 : int.from_bytes(head[:4], "big")]
    first, others = box[:4], {box[at : at + 4] for at in range(8, len(box), 4)}
    brands = {first} if FILMS.match(first) else {first, *others}
    for known, kind in (
        (AVIF_BRANDS, "image/avif"),
        (HEIF_BRANDS, "image/heic"),
        (CR3_BRANDS, "image/x-canon-cr3"),
    ):
        if known & brands:
            return kind
    return None


def _is_text(head: bytes) -> bool:
    """Whether these bytes are text in UTF-8; the last character may be incomplete."""
    try:
        text = codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return False
    return bool(text) and not any(
        unicodedata.category(c) == "Cc" for c in text if c not in "\t\n\r\f"
    )


def safe_inline(content_type: str) -> bool:
    """Whether the browser may show a file of this type itself; all others are for download."""
    return content_type in INLINE_TYPES


def plain_file_name(name: str) -> str:
    """A file name in the form that every carrier takes in ``Content-Disposition``.

    It has at most 20 characters, all of them ASCII letters, digits, ``_`` and ``-``
    (https://www.twilio.com/docs/messaging/guides/accepted-mime-types); the extension stays.

    >>> plain_file_name("Angebot für Müller (2).pdf"), plain_file_name("猫.jpg")
    ('Angebot_fur_Mull.pdf', 'file.jpg')
    """
    stem, dot, extension = name.rpartition(".")
    if not dot or not re.fullmatch(r"[A-Za-z0-9]{1,8}", extension, re.ASCII):
        stem, dot, extension = name, "", ""
    ascii_only = unicodedata.normalize("NFKD", stem).encode("ascii", "ignore").decode()
    plain = re.sub(r"[^A-Za-z0-9_-]+", "_", ascii_only).strip("_")
    kept = plain[: PLAIN_NAME_LENGTH - len(dot) - len(extension)].strip("_")
    return f"{kept or 'file'}{dot}{extension}"


def safe_file_name(written: str, content_type: str) -> str:
    """Make a sender's file name safe to show and save; the extension matches the type.

    >>> safe_file_name("../a/b", "image/jpeg"), safe_file_name("run.html", "image/gif")
    ('_a_b.jpg', 'run.html.gif')
    """
    words = re.sub(r'[/\\:*?"<>|]', "_", " ".join(written.split()))
    name = "".join(c for c in words if unicodedata.category(c) not in {"Cc", "Cf", "Cs"})
    extension = PurePath(name).suffix[:MAX_EXTENSION_LENGTH]
    if FILE_TYPES.guess_type(name)[0] != content_type and (
        content_type != UNKNOWN or not extension
    ):
        extension = FILE_TYPES.guess_extension(content_type) or ""
    stem = name.removesuffix(extension).strip(". ") or "attachment"
    return stem[: MAX_NAME_LENGTH - len(extension)] + extension
