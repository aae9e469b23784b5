"""Pictures are resized to a carrier's limit; other files stay as they are."""

import random
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image

from services.core.errors import MediaError
from services.media.resize import DECODING_BYTES, MAX_SIDE, PIXEL_BYTES, resize_to_fit


def noise(size: tuple[int, int], mode: str = "RGB") -> Image.Image:
    pixels = random.Random(1).randbytes(size[0] * size[1] * len(mode))
    return Image.frombytes(mode, size, pixels)


def written(folder: Path, picture: Image.Image, kind: str, **more: object) -> Path:
    path = folder / f"picture.{kind}"
    picture.save(path, kind, **more)
    return path


@pytest.mark.parametrize("kind", ["jpeg", "png", "webp"])
@pytest.mark.parametrize("most", [300_000, 150_000])
def test_a_large_picture_becomes_one_that_fits(tmp_path: Path, kind: str, most: int) -> None:
    smaller = resize_to_fit(written(tmp_path, noise((1500, 1000)), kind), most)
    assert smaller is not None
    assert len(smaller) <= most
    with Image.open(BytesIO(smaller)) as picture:
        assert picture.format == "JPEG"
        assert abs(picture.width / picture.height - 1.5) < 0.02


def test_it_is_turned_upright_and_forgets_where_it_was_taken(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by a quarter
    exif[0x010F] = "a camera"
    smaller = resize_to_fit(written(tmp_path, noise((1200, 800)), "jpeg", exif=exif), 200_000)
    assert smaller is not None
    with Image.open(BytesIO(smaller)) as picture:
        assert picture.height > picture.width
        assert not picture.getexif()
    assert b"a camera" not in smaller


def test_what_was_transparent_becomes_white(tmp_path: Path) -> None:
    smaller = resize_to_fit(
        written(tmp_path, Image.new("RGBA", (900, 900), (0, 0, 0, 0)), "png"), 100_000
    )
    assert smaller is not None
    with Image.open(BytesIO(smaller)) as picture:
        assert picture.getpixel((5, 5)) == (255, 255, 255)


def test_what_is_no_such_picture_is_left_alone(tmp_path: Path) -> None:
    odd = tmp_path / "odd"
    for content in (b"", b"\xff\xd8\xff", b"<svg xmlns='http://www.w3.org/2000/svg'/>", b"x" * 999):
        odd.write_bytes(content)
        assert resize_to_fit(odd, 100) is None
    frames = [noise((60, 60)), noise((60, 60))]
    moving = tmp_path / "moving.webp"
    frames[0].save(moving, save_all=True, append_images=frames[1:])
    assert resize_to_fit(moving, 100) is None


def test_a_flood_of_pixels_is_refused_by_its_head(tmp_path: Path) -> None:
    most = DECODING_BYTES // PIXEL_BYTES["PNG"]
    flood = written(tmp_path, Image.new("1", (most // 5000 + 1, 5000)), "png")
    with pytest.raises(MediaError, match="21 million pixels"):
        resize_to_fit(flood, 1000)
    thin = written(tmp_path, Image.new("1", (1, MAX_SIDE + 1)), "png")
    with pytest.raises(MediaError, match="Make it smaller"):
        resize_to_fit(thin, 10)


def test_a_progressive_jpeg_may_have_fewer_pixels_as_it_cannot_shrink_while_decoding(
    tmp_path: Path,
) -> None:
    """Of both only the head claims 36 million pixels; behind it they are damaged."""
    for progressive, marker in ((False, b"\xff\xc0"), (True, b"\xff\xc2")):
        path = written(tmp_path, noise((64, 64)), "jpeg", progressive=progressive)
        content = path.read_bytes()
        size = content.index(marker) + 5  # behind the marker, its length and the precision
        path.write_bytes(content[:size] + (6000).to_bytes(2) * 2 + content[size + 4 :])
        if progressive:
            with pytest.raises(MediaError, match="36 million pixels"):
                resize_to_fit(path, 1000)
        else:
            assert resize_to_fit(path, 1000) is None, "it was begun, and is no whole picture"
