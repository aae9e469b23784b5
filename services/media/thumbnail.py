"""Thumbnails of pictures: small JPEGs for lists, and the size of a picture by its header.

A thumbnail is stored beside its file, under an id that follows from the file's.
"""

from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from services.media.resize import (
    FORMATS,
    TOO_LARGE,
    UNREADABLE,
    decoded,
    is_on_its_side,
    upright,
    written_as_jpeg,
)

SIDE = 600  # pixels
SMALL_BYTES = 60_000  # a file of at most this size is its own thumbnail …
SMALL_ANIMATION_BYTES = 500_000  # … and so is an animation, which a thumbnail would stop
_FORMATS = (*FORMATS, "GIF", "BMP")
# Formats whose header alone tells the size; the others are decoded, or set memory aside for that.
_BY_HEADER = {
    "image/jpeg": "JPEG",
    "image/png": "PNG",
    "image/gif": "GIF",
    "image/bmp": "BMP",
}
_VERSION = 14  # place of the version in a UUID


@dataclass(frozen=True, slots=True)
class Thumbnail:
    """A JPEG, and the size in pixels of the picture that it is of.

    Without ``content`` the file is to be shown itself, if its size is known and not too large.
    """

    content: bytes | None
    width: int | None
    height: int | None


def thumbnail_id(file_id: str) -> str:
    """The id of a file's thumbnail: the same, but as a UUID of version 8 (RFC 9562 §5.8).

    >>> thumbnail_id("00e8d4a5-1000-7000-8000-000000000000")
    '00e8d4a5-1000-8000-8000-000000000000'
    """
    return f"{file_id[:_VERSION]}8{file_id[_VERSION + 1 :]}"


def make_thumbnail(path: Path, content_type: str) -> Thumbnail:
    """Make a thumbnail of at most 600 pixels each way, in bounded memory.

    Of an animation it is the first frame. A file that is small, cannot be decoded, or would not
    become smaller, has none. Raises ``MediaError`` for a picture that needs too much memory.
    """
    size = path.stat().st_size
    known = picture_size(path, content_type) or (None, None)
    is_small = size <= SMALL_BYTES or (size <= SMALL_ANIMATION_BYTES and _is_animated(path))
    if is_small and known != (None, None):
        return Thumbnail(None, *known)
    try:
        found = decoded(path, _FORMATS, 2 * SIDE, first_frame=True)
        content = written_as_jpeg(upright(found.picture, SIDE)) if found is not None else b""
    except (*UNREADABLE, *TOO_LARGE):
        return Thumbnail(None, *known)
    if found is None:
        return Thumbnail(None, *known)
    is_wanted = not is_small and len(content) < size
    return Thumbnail(content if is_wanted else None, found.width, found.height)


def picture_size(path: Path, content_type: str) -> tuple[int, int] | None:
    """Width and height of a picture in pixels, upright, by its header; ``None`` if unknown."""
    name = _BY_HEADER.get(content_type)
    if name is None:
        return None
    try:
        with Image.open(path, formats=(name,)) as opened:
            width, height = opened.size
            turned = name == "JPEG" and is_on_its_side(opened)
    except (*UNREADABLE, *TOO_LARGE):
        return None
    return (height, width) if turned else (width, height)


def _is_animated(path: Path) -> bool:
    try:
        with Image.open(path, formats=_FORMATS) as opened:
            return bool(getattr(opened, "is_animated", False)) and opened.format != "MPO"
    except (*UNREADABLE, *TOO_LARGE):
        return False
