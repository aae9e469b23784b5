"""Pictures of the documentation: some of the screenshots, in few colours (``make pictures``)."""

from pathlib import Path

from PIL import Image

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "images"
# The name in docs/images, the screenshot, and how much of its height is shown, in pixels.
SHOWN = {
    "admin": ("operator/start-1280-light", 800),
    "admin-narrow": ("operator/start-390-dark", 844),
    "sandbox": ("other/sandbox-1280-light", 900),
    "phone-desk": ("phone/en/conversation-1280-light", 900),
    "phone-list": ("phone/en/list-390-light", 844),
    "phone-talk": ("phone/en/conversation-390-dark", 844),
}
# The parts of the screenshots in which these are.
PARTS = ("operator/start", "other/sandbox", "phone/en")
COLOURS = 256


def write(pictures: Path, folder: Path = FOLDER) -> None:
    """Make the pictures of the documentation from screenshots."""
    for name, (taken, height) in SHOWN.items():
        with Image.open(pictures / f"{taken}.png") as picture:
            whole = picture.convert("RGB")
            part = whole.crop((0, 0, whole.width, min(whole.height, height)))
        few = part.quantize(COLOURS, dither=Image.Dither.NONE)
        few.save(folder / f"{name}.png", optimize=True)
