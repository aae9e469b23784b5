"""Image resizing: makes pictures smaller that exceed a carrier's size limit."""

from io import BytesIO
from pathlib import Path

from PIL import Image, ImageOps

FORMATS = ("JPEG", "PNG", "WEBP")  # formats that phones produce
MAX_PIXELS = 50_000_000
SIDES = (2560, 2048, 1600, 1280, 1024, 800, 640, 480)
QUALITY = 82  # of the JPEG, on Pillow's scale to 95


def resize_to_fit(path: Path, max_bytes: int) -> bytes | None:
    """Convert a picture to the largest JPEG of at most ``max_bytes`` bytes.

    EXIF data (position, device) is removed. Returns ``None`` if the file is not a picture of these
    formats, is animated, has too many pixels to be opened safely, or does not fit at any size.
    """
    try:
        with Image.open(path, formats=FORMATS) as opened:
            width, height = opened.size
            if width * height > MAX_PIXELS or getattr(opened, "is_animated", False):
                return None
            opened.draft("RGB", (SIDES[0], SIDES[0]))
            picture = _without_transparency(ImageOps.exif_transpose(opened))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return None
    for side in SIDES:
        picture.thumbnail((side, side))
        written = BytesIO()
        picture.save(written, "JPEG", quality=QUALITY, optimize=True)
        if written.tell() <= max_bytes:
            return written.getvalue()
    return None


def _without_transparency(picture: Image.Image) -> Image.Image:
    """The picture in RGB; transparent parts become white."""
    if not picture.has_transparency_data:
        return picture.convert("RGB")
    layer = picture.convert("RGBA")
    background = Image.new("RGB", picture.size, "white")
    background.paste(layer, mask=layer.getchannel("A"))
    return background
