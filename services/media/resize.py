"""Pictures: made smaller where a carrier takes no larger ones."""

from io import BytesIO
from pathlib import Path

from PIL import Image, ImageOps

FORMATS = ("JPEG", "PNG", "WEBP")  # the ones that phones make and every phone shows
MOST_PIXELS = 50_000_000
SIDES = (2560, 2048, 1600, 1280, 1024, 800, 640, 480)
QUALITY = 82


def fit(path: Path, most: int) -> bytes | None:
    """The picture as a JPEG of at most ``most`` bytes, as large as fits.

    What the camera wrote into it (place, device) is left out. ``None`` for what is no such picture,
    moves, is too large to be opened safely, or does not fit however small.
    """
    try:
        with Image.open(path, formats=FORMATS) as opened:
            width, height = opened.size
            if width * height > MOST_PIXELS or getattr(opened, "is_animated", False):
                return None
            opened.draft("RGB", (SIDES[0], SIDES[0]))
            picture = _plain(ImageOps.exif_transpose(opened))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return None
    for side in SIDES:
        picture.thumbnail((side, side))
        written = BytesIO()
        picture.save(written, "JPEG", quality=QUALITY, optimize=True)
        if written.tell() <= most:
            return written.getvalue()
    return None


def _plain(picture: Image.Image) -> Image.Image:
    """Without transparency: on white, as on paper."""
    if not picture.has_transparency_data:
        return picture.convert("RGB")
    layer = picture.convert("RGBA")
    paper = Image.new("RGB", picture.size, "white")
    paper.paste(layer, mask=layer.getchannel("A"))
    return paper
