"""Image resizing: makes pictures smaller that exceed a carrier's size limit, in bounded memory."""

import struct
from functools import cache
from io import BytesIO
from pathlib import Path

from PIL import Image, ImageOps

from services.core.errors import Kind, MediaError
from services.media.metadata import jpeg

FORMATS = ("JPEG", "PNG", "WEBP", "AVIF", "HEIF")  # formats that phones produce
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
}
ALPHA_BYTES = 4  # a HEIC with transparency needs them, too
BUFFERED_BYTES = 8  # a JPEG of several scans needs them, too: all coefficients are held
MOST_SCANS = 50  # of a JPEG: each costs the time of a pass over all pixels, in 70 bytes of the file
MAX_PIXELS = 89_000_000  # of a JPEG that can; above it Pillow warns of a decompression bomb
MAX_SIDE = 65_535  # pixels; thin pictures need more memory for each pixel
SIDES = (2560, 2048, 1600, 1280, 1024, 800, 640, 480)
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
        picture = _decoded(path)
        if picture is None:
            return None
        picture.thumbnail((SIDES[0], SIDES[0]))
        picture = _on_white(ImageOps.exif_transpose(picture))
    except (OSError, ValueError, SyntaxError, IndexError, struct.error):
        return None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise _too_large() from None
    for side in SIDES:
        picture.thumbnail((side, side))
        written = BytesIO()
        picture.save(written, "JPEG", quality=QUALITY, optimize=True)
        if written.tell() <= max_bytes:
            return written.getvalue()
    return None


def _decoded(path: Path) -> Image.Image | None:
    """The picture in RGB, or in RGBA where parts are transparent; ``None`` for an animation."""
    _register_heif()
    source, written = _source(path)
    if written is not None and written.frame not in _FRAMES:
        return None
    with Image.open(source, formats=FORMATS) as opened:
        if getattr(opened, "is_animated", False):
            return None
        _require_memory(opened, written)
        opened.load()
        mode = "RGBA" if opened.has_transparency_data else "RGB"
        return opened if opened.mode == mode else opened.convert(mode)


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


def _require_memory(opened: Image.Image, written: jpeg.Structure | None) -> None:
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
        opened.draft("RGB", (SIDES[0], SIDES[0]))
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
