"""Memory of decoding pictures, measured in processes of their own: the bound is a promise."""

import subprocess
import sys
from pathlib import Path

import pillow_heif
import pytest
from PIL import Image, ImageFile

from services.media.resize import ALPHA_BYTES, BUFFERED_BYTES, DECODING_BYTES, PIXEL_BYTES
from tests.processes import ends_with_parent
from tests.server import ROOT
from tests.waiting import PATIENCE

pillow_heif.register_heif_opener()
pytestmark = pytest.mark.processes
MEASURE = """
import sys
from pathlib import Path
from PIL import Image
from services.core.errors import MediaError
from services.media.resize import resize_to_fit
from services.media.thumbnail import make_thumbnail

def kilobytes(what):
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(what))

Image.init()
before = kilobytes("VmRSS")
Path("/proc/self/clear_refs").write_text("5")
path = Path(sys.argv[1])
try:
    if sys.argv[2:]:
        outcome = "made smaller" if make_thumbnail(path, sys.argv[2]).content else "left"
    else:
        outcome = "made smaller" if resize_to_fit(path, 3_500_000) else "left"
except MediaError as error:
    outcome = "refused"
print(outcome, (kilobytes("VmHWM") - before) * 1024)
"""
RESULT_BYTES = 40_000_000  # of the picture of 2560 pixels and the JPEG that is made of it
WIDTH = 4000


def measured(path: Path, *thumbnail_of: str) -> tuple[str, int]:
    """What became of a picture, and the memory in bytes that it needed.

    ``thumbnail_of`` is its content type, if a thumbnail is to be made.
    """
    command = ends_with_parent(sys.executable, "-c", MEASURE, str(path), *thumbnail_of)
    ran = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert ran.returncode == 0, ran.stderr
    outcome, _, size = ran.stdout.rpartition(" ")
    return outcome, int(size)


def largest(kind: str, mode: str, **more: object) -> Image.Image:
    """A picture with as many pixels as may be decoded."""
    bytes_each = PIXEL_BYTES[kind] + (BUFFERED_BYTES if more.get("progressive") else 0)
    bytes_each += ALPHA_BYTES if (kind, mode) == ("HEIF", "RGBA") else 0
    picture = Image.new(mode, (WIDTH, DECODING_BYTES // bytes_each // WIDTH))
    if mode == "P":
        picture.putpalette(bytes(768))
    return picture


@pytest.mark.parametrize(
    ("kind", "mode", "more"),
    [
        ("PNG", "1", {}),
        ("PNG", "I;16", {}),
        ("PNG", "LA", {}),
        ("PNG", "P", {"transparency": 0}),
        ("PNG", "RGB", {}),
        ("PNG", "RGBA", {}),
        ("WEBP", "RGB", {"lossless": True, "method": 0}),
        ("WEBP", "RGBA", {"lossless": True, "method": 0}),
        ("AVIF", "RGB", {"speed": 10, "subsampling": "4:4:4"}),
        ("AVIF", "RGBA", {"speed": 10}),
        ("HEIF", "RGB", {"chroma": 444}),
        ("HEIF", "RGBA", {}),
        ("JPEG", "RGB", {"subsampling": 0}),
        ("JPEG", "CMYK", {}),
        ("JPEG", "RGB", {"progressive": True, "subsampling": 0}),
        ("JPEG", "CMYK", {"progressive": True}),
    ],
)
def test_the_largest_picture_needs_the_stated_memory_at_most(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, mode: str, more: dict[str, object]
) -> None:
    monkeypatch.setattr(ImageFile, "MAXBLOCK", 50_000_000)  # of Pillow's writing
    path = tmp_path / "picture"
    largest(kind, mode, **more).save(path, kind, **more)
    outcome, used = measured(path)
    assert outcome == "made smaller"
    assert used < DECODING_BYTES + RESULT_BYTES


@pytest.mark.parametrize(
    ("kind", "mode", "frames"),
    [
        ("GIF", "P", 1),
        ("GIF", "P", 2),
        ("BMP", "P", 1),
        ("BMP", "RGB", 1),
        ("BMP", "RGBA", 1),
        ("PNG", "LA", 2),
    ],
)
def test_a_thumbnail_needs_no_more_of_the_first_frame(
    tmp_path: Path, kind: str, mode: str, frames: int
) -> None:
    path, picture = tmp_path / "picture", largest(kind, mode)
    more = {"save_all": True, "append_images": [picture.rotate(180)]} if frames > 1 else {}
    picture.save(path, kind, **more)
    with path.open("ab") as file:
        file.write(bytes(1_000_000))  # else it is small enough itself
    outcome, used = measured(path, f"image/{kind.lower()}")
    assert outcome == "made smaller"
    assert used < DECODING_BYTES + RESULT_BYTES


@pytest.mark.parametrize(("width", "height"), [(12_000, 12_000), (9_400, 9_400), (1, 12_000_000)])
def test_a_bomb_is_refused_before_it_is_decoded(tmp_path: Path, width: int, height: int) -> None:
    path = tmp_path / "picture.png"
    Image.new("1", (width, height)).save(path)
    outcome, used = measured(path)
    assert outcome == "refused"
    assert used < 10_000_000


def test_a_photo_of_a_large_sensor_shrinks_while_it_is_decoded(tmp_path: Path) -> None:
    path = tmp_path / "picture.jpg"
    Image.new("RGB", (8160, 6120)).save(path)
    outcome, used = measured(path)
    assert outcome == "made smaller"
    assert used < DECODING_BYTES
