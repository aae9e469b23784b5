"""Thumbnails: small upright JPEGs of pictures, and the size of a picture by its header."""

import random
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from services.core.errors import Kind, MediaError
from services.media.media_store import MediaStore
from services.media.thumbnail import SIDE, make_thumbnail, picture_size, thumbnail_id
from tests.media.conftest import FILE_ID, PNG, files


def noise(width: int, height: int, mode: str = "RGB") -> Image.Image:
    pixels = random.Random(1).randbytes(width * height * len(mode))
    return Image.frombytes(mode, (width, height), pixels)


def written(folder: Path, picture: Image.Image, kind: str, **more: object) -> Path:
    path = folder / f"picture.{kind}"
    picture.save(path, kind, **more)
    return path


def opened(content: bytes | None) -> Image.Image:
    assert content is not None
    return Image.open(BytesIO(content))


@pytest.mark.parametrize("kind", ["jpeg", "png", "webp", "avif", "bmp", "gif"])
def test_a_picture_becomes_a_small_jpeg(tmp_path: Path, kind: str) -> None:
    made = make_thumbnail(written(tmp_path, noise(1500, 1000), kind), f"image/{kind}")
    assert (made.width, made.height) == (1500, 1000)
    with opened(made.content) as picture:
        assert (picture.format, picture.size) == ("JPEG", (SIDE, SIDE * 2 // 3))


def test_it_is_upright_and_has_no_metadata(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by a quarter
    exif[0x010F] = "a camera"
    path = written(tmp_path, noise(1200, 800), "jpeg", exif=exif)
    assert picture_size(path, "image/jpeg") == (800, 1200)
    made = make_thumbnail(path, "image/jpeg")
    assert (made.width, made.height) == (800, 1200)
    with opened(made.content) as picture:
        assert picture.size == (400, 600)
        assert not picture.getexif()
    assert b"a camera" not in (made.content or b"")


def test_a_small_picture_is_its_own_thumbnail(tmp_path: Path) -> None:
    made = make_thumbnail(written(tmp_path, noise(100, 50), "png"), "image/png")
    assert (made.content, made.width, made.height) == (None, 100, 50)


@pytest.mark.parametrize("side", [300, 900])
def test_a_small_animation_moves_and_of_a_large_one_the_first_frame_is_shown(
    tmp_path: Path, side: int
) -> None:
    red, other = Image.new("RGB", (side, side), "red"), noise(side, side)
    path = written(tmp_path, red, "gif", save_all=True, append_images=[other])
    made = make_thumbnail(path, "image/gif")
    assert (made.width, made.height) == (side, side)
    assert (made.content is None) is (side == 300)
    if made.content is not None:
        pixel: Any = opened(made.content).getpixel((9, 9))
        assert pixel[0] > 240
        assert pixel[1] < 20


def test_what_cannot_be_decoded_has_none(tmp_path: Path) -> None:
    whole = written(tmp_path, noise(1500, 1000), "png").read_bytes()
    for content in (whole[: len(whole) // 2], b"\xff\xd8\xff" + bytes(100_000), bytes(100_000)):
        path = tmp_path / "odd"
        path.write_bytes(content)
        assert make_thumbnail(path, "image/png").content is None
        assert picture_size(path, "image/jpeg") is None


def test_one_with_too_many_pixels_is_refused_before_it_is_decoded(tmp_path: Path) -> None:
    path = tmp_path / "bomb.png"
    Image.new("1", (9_000, 9_000)).save(path)
    with path.open("ab") as file:
        file.write(bytes(100_000))
    with pytest.raises(MediaError):
        make_thumbnail(path, "image/png")


def test_it_is_kept_beside_its_file_and_deleted_with_it(store: MediaStore, folder: Path) -> None:
    store.save([PNG], file_id=FILE_ID, declared="", name="", max_bytes=1_000_000)
    kept = store.save_thumbnail(FILE_ID, b"small")
    assert kept == store.open_thumbnail(FILE_ID)
    assert kept.read_bytes() == b"small"
    assert files(folder) == sorted([f"ab/{FILE_ID}", f"ab/{thumbnail_id(FILE_ID)}"])
    store.remove(FILE_ID)
    assert files(folder) == []
    with pytest.raises(MediaError):
        store.open_thumbnail(FILE_ID)


def test_one_that_was_made_while_its_file_was_deleted_does_not_stay(
    store: MediaStore, folder: Path
) -> None:
    with pytest.raises(MediaError) as caught:
        store.save_thumbnail(FILE_ID, b"small")
    assert caught.value.kind is Kind.REFUSED
    assert files(folder) == []
