"""JPEG pictures of several scans, and of several pictures: memory, time and what is shown."""

import struct
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image

from services.core.errors import MediaError
from services.media.metadata import without_metadata
from services.media.resize import (
    BUFFERED_BYTES,
    DECODING_BYTES,
    MOST_SCANS,
    PIXEL_BYTES,
    resize_to_fit,
)
from tests.media.test_picture_memory import RESULT_BYTES, measured

MOST = 3_500_000
RESTART = b"\xff\xd0"  # belongs into a scan, and has no length


def segment(marker: int, data: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(data) + 2) + data


def scans(side: int, components: int, repeats: int = 1) -> bytes:
    """A grey square baseline JPEG with a scan for each component, each of two bits a block."""
    blocks = ((side + 7) // 8) ** 2
    pixels = bytes((blocks * 2 + 7) // 8)
    frame = b"\x08" + struct.pack(">HHB", side, side, components)
    frame += b"".join(bytes((n, 0x11, 0)) for n in range(1, components + 1))
    tables = b"".join(segment(0xC4, bytes((kind, 1, *[0] * 15, 0))) for kind in (0x00, 0x10))
    written = b"".join(
        segment(0xDA, bytes((1, n, 0, 0, 63, 0))) + pixels for n in range(1, components + 1)
    )
    head = b"\xff\xd8" + segment(0xDB, b"\0" + bytes([1] * 64)) + segment(0xC0, frame) + tables
    return head + written * repeats + b"\xff\xd9"


def file(folder: Path, content: bytes) -> Path:
    path = folder / "picture"
    path.write_bytes(content)
    return path


@pytest.mark.processes
@pytest.mark.parametrize("components", [3, 4])
def test_a_baseline_jpeg_of_several_scans_needs_the_stated_memory_at_most(
    tmp_path: Path, components: int
) -> None:
    side = int((DECODING_BYTES // (PIXEL_BYTES["JPEG"] + BUFFERED_BYTES)) ** 0.5)
    outcome, size = measured(file(tmp_path, scans(side, components)))
    assert size < DECODING_BYTES + RESULT_BYTES, outcome


@pytest.mark.processes
@pytest.mark.parametrize("components", [3, 4])
def test_a_small_file_of_many_pixels_in_several_scans_is_not_decoded(
    tmp_path: Path, components: int
) -> None:
    outcome, size = measured(file(tmp_path, scans(9400, components)))
    assert (outcome, size < RESULT_BYTES) == ("refused", True)


def test_a_jpeg_of_several_scans_is_made_smaller(tmp_path: Path) -> None:
    smaller = resize_to_fit(file(tmp_path, scans(3000, 3)), MOST)
    assert smaller is not None
    assert Image.open(BytesIO(smaller)).size == (2560, 2560)


def test_a_jpeg_of_very_many_scans_is_refused(tmp_path: Path) -> None:
    times = MOST_SCANS // 3
    assert resize_to_fit(file(tmp_path, scans(512, 3, times)), MOST) is not None
    with pytest.raises(MediaError, match="in 51 scans"):
        resize_to_fit(file(tmp_path, scans(512, 3, times + 1)), MOST)


def test_scans_cannot_be_hidden_behind_a_marker_in_the_wrong_place(tmp_path: Path) -> None:
    whole = scans(64, 3)
    first = whole.index(b"\xff\xda")
    # A parser that reads a length after the restart skips the scans that follow.
    hidden = whole[:first] + RESTART + whole[first:]
    assert resize_to_fit(file(tmp_path, hidden), MOST) is None
    with pytest.raises(MediaError):
        without_metadata(hidden, "image/jpeg")


def test_of_two_pictures_in_one_file_the_first_is_made_smaller(tmp_path: Path) -> None:
    """As telephones write it: the second one says how bright the first is to be shown."""
    exif = Image.Exif()
    exif[0x0112] = 6
    first = Image.effect_noise((2000, 1500), 80).convert("RGB")
    second = Image.effect_noise((500, 400), 80).convert("RGB")
    written = BytesIO()
    first.save(written, "MPO", save_all=True, append_images=[second], exif=exif)
    assert Image.open(BytesIO(written.getvalue())).is_animated  # type: ignore[attr-defined]
    smaller = resize_to_fit(file(tmp_path, written.getvalue()), 500_000)
    assert smaller is not None
    assert len(smaller) <= 500_000
    assert Image.open(BytesIO(smaller)).size == (768, 1024)


@pytest.mark.parametrize("after", [b"\0", b""])
def test_a_row_of_fill_bytes_is_looked_at_once(after: bytes) -> None:
    """The time of a test ends this one where each of them begins a new search: that takes hours."""
    whole = scans(64, 1)
    filled = whole[:-2] + b"\xff" * 3_000_000 + after + whole[-2:]
    assert Image.open(BytesIO(without_metadata(filled, "image/jpeg"))).size == (64, 64)
