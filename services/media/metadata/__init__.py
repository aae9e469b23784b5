"""Metadata removal: deletes place, camera, date and comments from files without decoding them.

The containers are rewritten piece by piece. Saving a picture anew with Pillow would need the memory
of all pixels, cost quality in JPEG and WebP, and change animations. Of the metadata only the
orientation stays, as the one tag of a new EXIF block; colour profiles stay as well. What follows
the end of a picture (a second picture, a film) is cut off. BMP has no metadata. Pictures of which
the metadata is not found (JPEG XL, JPEG 2000, Photoshop, CR3) are refused. Of films and sounds,
MP4, QuickTime and 3GPP lose what a telephone writes into them; their dates stay.
"""

import struct
from collections.abc import Callable

from services.core.errors import Kind, MediaError
from services.media.metadata import film, gif, heif, jpeg, png, tiff, webp

_STRIPPERS: dict[str, Callable[[bytes], bytes]] = {
    "image/jpeg": jpeg.strip,
    "image/png": png.strip,
    "image/gif": gif.strip,
    "image/webp": webp.strip,
    "image/heic": heif.strip,
    "image/heif": heif.strip,
    "image/avif": heif.strip,
    "image/tiff": tiff.strip,
    "video/mp4": film.strip,
    "video/quicktime": film.strip,
    "video/3gpp": film.strip,
    "video/3gpp2": film.strip,
    "audio/mp4": film.strip,
    "audio/3gpp": film.strip,
    "audio/3gpp2": film.strip,
}
_WITHOUT_METADATA = {"image/bmp"}


def may_have_metadata(content_type: str) -> bool:
    """Whether ``without_metadata`` looks into a file of this type."""
    return content_type in _STRIPPERS or content_type.startswith("image/")


def without_metadata(content: bytes, content_type: str) -> bytes:
    """A picture or film without its metadata; a file of another kind is returned as it is.

    ``content_type`` is the one that the first bytes of ``content`` have shown. Raises
    ``MediaError`` for a picture of another kind, and for a file whose structure cannot be read.
    Needs the memory of about three times the file.
    """
    strip = _STRIPPERS.get(content_type)
    if strip is None:
        if content_type.startswith("image/") and content_type not in _WITHOUT_METADATA:
            raise MediaError(
                "Place and camera cannot be removed from this kind of picture. Save it as JPEG or "
                "PNG, and send the new file.",
                Kind.REFUSED,
            )
        return content
    try:
        return strip(content)
    except (struct.error, IndexError, ValueError):
        what = "picture" if content_type.startswith("image/") else "film or sound"
        raise MediaError(
            f"The {what} is damaged, so the place and the camera in it cannot be removed. "
            "Open it, save it again, and send the new file.",
            Kind.REFUSED,
        ) from None
