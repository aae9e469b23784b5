"""Image resizing: makes pictures smaller that exceed a carrier's size limit, in bounded memory."""

import struct
from dataclasses import dataclass
from functools import cache
from io import BytesIO
from pathlib import Path

from PIL import ExifTags, Image, ImageOps

from services.core.errors import Kind, MediaError
from services.media.metadata import jpeg

FORMATS = ("JPEG", "PNG", "WEBP", "AVIF", "HEIF")  # formats that phones produce
# What Pillow raises for a file that is no picture, or a damaged one.
UNREADABLE = (OSError, ValueError, SyntaxError, IndexError, struct.error)
TOO_LARGE = (Image.DecompressionBombError, Image.DecompressionBombWarning)
# Types that are made into JPEG where a carrier does not take them.
CONVERTIBLE = ("image/webp", "image/avif", "image/heic", "image/heif")
DECODING_BYTES = 256_000_000  # the memory that decoding one picture may use
# The memory in bytes that Pillow needs for each pixel, at most: to decode a format, to convert its
# colours, and for the first step of making it smaller. Measured by
# tests/media/test_picture_memory.py.
PIXEL_BYTES = {
    "PNG": 12,
    "WEBP": 20,
    "JPEG": 8,
    "AVIF": 17,
    "HEIF": 10,
    "GIF": 12,
    "BMP": 12,
}
ALPHA_BYTES = 4  # a HEIC with transparency needs them, too
BUFFERED_BYTES = 8  # a JPEG of several scans needs them, too: all coefficients are held
MOST_SCANS = 50  # of a JPEG: each costs the time of a pass over all pixels, in 70 bytes of the file
MAX_PIXELS = 89_000_000  # of a JPEG that can; above it Pillow warns of a decompression bomb
MAX_SIDE = 65_535  # pixels; thin pictures need more memory for each pixel
SIDES = (2560, 2048, 1600, 1280, 1024, 800, 640, 480)
_ON_ITS_SIDE = (5, 6, 7, 8)  # values of EXIF's orientation
_JPEG_START = b"\xff\xd8\xff"
_FRAMES = (jpeg.BASELINE, jpeg.EXTENDED, jpeg.PROGRESSIVE)
QUALITY = 82  # of the JPEG, on Pillow's scale to 95
MEGA = 1_000_000


def resize_to_fit(path: Path, max_bytes: int) -> bytes | None:
    """Convert a picture to the largest JPEG of at most ``max_bytes`` bytes.

    All metadata (position, device) is removed, and the picture is turned upright. Returns ``None``
    if the file is not a picture of these formats, is animated, or does not fit at any size. Raises
    ``MediaError``, before it decodes anything, for a picture that would need more memory than
    ``DECODING_BYTES``. JPEG is made smaller while it is decoded, so it may have more pixels.
    """
    try:
        found = decoded(path, FORMATS, SIDES[0])
        if found is None:
            return None
        picture = upright(found.picture, SIDES[0])
    except UNREADABLE:
        return None
    except TOO_LARGE:
        raise _too_large() from None
    for side in SIDES:
        picture.thumbnail((side, side))
        content = written_as_jpeg(picture)
        if len(content) <= max_bytes:
            return content
    return None


@dataclass(frozen=True, slots=True)
class Decoded:
    """A picture in RGB, or in RGBA where parts are transparent.

    ``width`` and ``height`` are those of the file in pixels, as it is to be shown: a JPEG may have
    been made smaller while it was decoded, and is not turned upright yet.
    """

    picture: Image.Image
    width: int
    height: int


def decoded(
    path: Path, formats: tuple[str, ...], side: int, *, first_frame: bool = False
) -> Decoded | None:
    """Decode a picture in bounded memory; a JPEG may be decoded smaller, down to ``side`` pixels.

    ``None`` for an animation, unless its ``first_frame`` is wanted. Raises ``MediaError`` for a
    picture that needs too much memory, ``UNREADABLE`` and ``TOO_LARGE``.
    """
    _register_heif()
    source, written = _source(path)
    if written is not None and written.frame not in _FRAMES:
        return None
    with Image.open(source, formats=formats) as opened:
        if not first_frame and getattr(opened, "is_animated", False):
            return None
        size = opened.size
        _require_memory(opened, written, side)
        opened.load()
        mode = "RGBA" if opened.has_transparency_data else "RGB"
        picture = opened if opened.mode == mode else opened.convert(mode)
        width, height = reversed(size) if is_on_its_side(picture) else size
        return Decoded(picture, width, height)


def is_on_its_side(picture: Image.Image) -> bool:
    """Whether width and height of a picture change places when it is turned upright (EXIF)."""
    return picture.getexif().get(ExifTags.Base.Orientation) in _ON_ITS_SIDE


def upright(picture: Image.Image, side: int) -> Image.Image:
    """A picture of at most ``side`` pixels each way in RGB, upright, transparent parts white."""
    picture.thumbnail((side, side))
    return _on_white(ImageOps.exif_transpose(picture))


def written_as_jpeg(picture: Image.Image) -> bytes:
    """A picture in RGB as a JPEG without metadata."""
    written = BytesIO()
    picture.save(written, "JPEG", quality=QUALITY, optimize=True)
    return written.getvalue()


@cache
def _register_heif() -> None:
    """Let Pillow read HEIC. The library is only loaded once a picture has to be decoded."""
    import pillow_heif  # noqa: PLC0415

    pillow_heif.register_heif_opener(thumbnails=False)


def _source(path: Path) -> tuple[Path | BytesIO, jpeg.Structure | None]:
    """What is decoded; of a JPEG its first picture without metadata, and its structure.

    Telephones write a second picture behind the first one, which Pillow takes for an animation.
    Raises ``ValueError`` and the like for a JPEG that cannot be read, and ``OSError``.
    """
    with path.open("rb") as file:
        if file.read(len(_JPEG_START)) != _JPEG_START:
            return path, None
    stripped = jpeg.strip(path.read_bytes())
    return BytesIO(stripped), jpeg.structure(stripped)


def _require_memory(opened: Image.Image, written: jpeg.Structure | None, side: int) -> None:
    """Raise ``MediaError`` if decoding would need too much memory; JPEG is told to shrink."""
    width, height = opened.size
    needed = 0
    if written is not None:
        if written.scans > MOST_SCANS:
            raise MediaError(
                f"The picture is written in {written.scans} scans, which takes too long to make "
                "smaller. Save it again as a usual JPEG, and send the new file.",
                Kind.REFUSED,
            )
        if written.is_buffered:
            needed = width * height * BUFFERED_BYTES
        opened.draft("RGB", (side, side))
    if opened.format == "HEIF" and opened.has_transparency_data:
        needed = width * height * ALPHA_BYTES
    needed += opened.width * opened.height * PIXEL_BYTES[opened.format or ""]
    is_too_long = max(width, height) > MAX_SIDE
    if needed > DECODING_BYTES or width * height > MAX_PIXELS or is_too_long:
        raise _too_large(width * height)


def _too_large(pixels: int = 0) -> MediaError:
    shown = f"{pixels / MEGA:.0f} million pixels" if pixels else "too many pixels"
    return MediaError(
        f"The picture has {shown}, which is more than can be made smaller here. "
        "Make it smaller and send it again.",
        Kind.REFUSED,
    )


def _on_white(picture: Image.Image) -> Image.Image:
    """The picture in RGB; transparent parts become white."""
    if picture.mode == "RGB":
        return picture
    background = Image.new("RGB", picture.size, "white")
    background.paste(picture, mask=picture.getchannel("A"))
    return background
