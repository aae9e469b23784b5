"""Metadata removal: place, camera, comments and hidden data go; pixels and orientation stay."""

import random
import struct
import zlib
from collections.abc import Callable
from io import BytesIO

import pytest
from PIL import Image, ImageSequence, PngImagePlugin

from services.core.errors import MediaError
from services.media.metadata import without_metadata
from services.media.metadata.pieces import MOST_PIECES

SECRET = b"SECRET-PLACE"
TEXT = SECRET.decode()
MAKE, ORIENTATION, GPS, EXIF_TABLE = 0x010F, 0x0112, 0x8825, 0x8769


def exif(orientation: int = 6) -> Image.Exif:
    """EXIF data as a phone writes it: maker, place, and a comment of its own."""
    data = Image.Exif()
    data[MAKE] = TEXT
    if orientation:
        data[ORIENTATION] = orientation
    data.get_ifd(GPS)[29] = TEXT
    data.get_ifd(EXIF_TABLE)[0x927C] = SECRET * 9  # the maker's note
    return data


def picture(mode: str = "RGB", seed: int = 1) -> Image.Image:
    pixels = random.Random(seed).randbytes(40 * 30 * len(mode))
    return Image.frombytes(mode, (40, 30), pixels)


def written(kind: str, orientation: int = 6, **more: object) -> bytes:
    target = BytesIO()
    if kind == "PNG":
        texts = PngImagePlugin.PngInfo()
        texts.add_text("Comment", TEXT)
        texts.add_itxt("XML:com.adobe.xmp", TEXT)
        texts.add_text("Author", TEXT, zip=False)
        more["pnginfo"] = texts
    if kind != "GIF":
        more["exif"] = exif(orientation)
    if kind in ("JPEG", "GIF"):
        more["comment"] = SECRET
    if kind in ("WEBP", "JPEG", "AVIF"):
        more["xmp"] = SECRET
    picture().save(target, kind, **more)
    return target.getvalue()


def stripped(content: bytes, kind: str) -> bytes:
    return without_metadata(content, f"image/{kind.lower()}")


def pixels(content: bytes) -> list[tuple[str, bytes]]:
    with Image.open(BytesIO(content)) as opened:
        frames = ImageSequence.Iterator(opened)
        return [(frame.mode, frame.tobytes()) for frame in frames]


@pytest.mark.parametrize("orientation", range(9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "AVIF", "TIFF"])
def test_the_place_goes_and_the_orientation_stays(kind: str, orientation: int) -> None:
    content = written(kind, orientation)
    assert SECRET in content
    clean = stripped(content, kind)
    assert SECRET not in clean
    assert pixels(clean) == pixels(content)
    with Image.open(BytesIO(clean)) as opened, Image.open(BytesIO(content)) as before:
        left = opened.getexif()
        if kind not in ("AVIF", "TIFF"):
            assert dict(left) == ({ORIENTATION: orientation} if orientation > 1 else {})
        assert left.get(ORIENTATION, 1) == before.getexif().get(ORIENTATION, 1)
        assert not left.get_ifd(GPS)
    assert stripped(clean, kind) == clean


@pytest.mark.parametrize("kind", ["JPEG", "WEBP", "PNG"])
def test_a_colour_profile_stays(kind: str) -> None:
    clean = stripped(written(kind, icc_profile=b"the profile of a screen" * 9), kind)
    with Image.open(BytesIO(clean)) as opened:
        assert opened.info["icc_profile"] == b"the profile of a screen" * 9


@pytest.mark.parametrize("more", [{"progressive": True}, {"restart_marker_blocks": 1}])
def test_every_way_to_write_a_jpeg(more: dict[str, object]) -> None:
    content = written("JPEG", **more)
    assert pixels(stripped(content, "JPEG")) == pixels(content)
    assert SECRET not in stripped(content, "JPEG")


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG"])
def test_an_animation_stays_one(kind: str) -> None:
    frames = [picture(seed=seed) for seed in range(4)]
    target = BytesIO()
    more = {"comment": SECRET} if kind == "GIF" else {"exif": exif()}
    shown = {"duration": [70, 80, 90, 100], "loop": 3, "lossless": True}
    frames[0].save(target, kind, save_all=True, append_images=frames[1:], **shown, **more)
    content = target.getvalue()
    assert SECRET in content
    clean = stripped(content, kind)
    assert SECRET not in clean
    assert len(pixels(clean)) == 4
    assert pixels(clean) == pixels(content)
    with Image.open(BytesIO(clean)) as opened, Image.open(BytesIO(content)) as before:
        assert opened.info["loop"] == before.info["loop"] == 3
        opened.seek(2)
        before.seek(2)
        opened.load()
        before.load()
        assert opened.info["duration"] == before.info["duration"] == 90


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "WEBP"])
def test_what_follows_the_end_goes(kind: str) -> None:
    """Phones put a second picture or a film there, which have metadata of their own."""
    content = written(kind)
    clean = stripped(content, kind)
    assert stripped(content + b"\0\0\0\x18ftypmp42" + SECRET, kind) == clean


def test_gif_comments_and_xmp_go() -> None:
    xmp = b"\x21\xff\x0bXMP DataXMP" + bytes((len(SECRET),)) + SECRET + b"\0"
    content = written("GIF")[:-1] + xmp + b"\x3b"
    assert content.count(SECRET) == 2
    clean = stripped(content, "GIF")
    assert SECRET not in clean
    assert pixels(clean) == pixels(content)


def test_a_thumbnail_in_the_head_of_a_jpeg_goes() -> None:
    plain = written("JPEG")
    rest = plain[plain.index(b"JFIF\0") + 14 :]
    data = b"JFIF\0\1\1\0\0\1\0\1" + bytes((2, 2)) + SECRET
    head = b"\xff\xd8\xff\xe0" + struct.pack(">H", len(data) + 2) + data
    clean = stripped(head + rest, "JPEG")
    assert SECRET not in clean
    assert pixels(clean) == pixels(plain)


def test_upright_pictures_without_metadata_are_left_as_they_are() -> None:
    for kind in ("JPEG", "PNG", "GIF", "WEBP", "AVIF"):
        target = BytesIO()
        picture().save(target, kind)
        assert stripped(target.getvalue(), kind) == target.getvalue(), kind


def test_other_files_are_left_alone() -> None:
    for kind in ("text/plain", "video/webm", "application/pdf", "image/bmp"):
        assert without_metadata(SECRET, kind) == SECRET


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


HEIC_HEAD = b"\0\0\0\x14ftypheic" + bytes(8)
FLOODS: list[tuple[str, Callable[[], bytes]]] = [
    ("png", lambda: b"\x89PNG\r\n\x1a\n" + chunk(b"a", b"") * (MOST_PIECES + 1)),
    ("jpeg", lambda: b"\xff\xd8" + b"\xff\xe1\0\2" * (MOST_PIECES + 1)),
    ("gif", lambda: b"GIF89a" + bytes(7) + b"\x21\xfe" + b"\1x" * (MOST_PIECES + 1) + b"\0;"),
]


@pytest.mark.parametrize(("kind", "content"), FLOODS)
def test_a_flood_of_pieces_is_refused(kind: str, content: Callable[[], bytes]) -> None:
    with pytest.raises(MediaError, match="damaged"):
        stripped(content(), kind)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "WEBP", "AVIF", "TIFF"])
def test_a_damaged_picture_causes_no_other_error_than_a_refusal(kind: str) -> None:
    content = written(kind)
    generator = random.Random(7)
    refused = 0
    for _ in range(300):
        spoilt = bytearray(content)
        for _ in range(generator.randrange(1, 5)):
            spoilt[generator.randrange(12, len(spoilt))] = generator.randrange(256)
        cut = bytes(spoilt[: generator.randrange(12, len(spoilt))])
        for each in (bytes(spoilt), cut):
            try:
                stripped(each, kind)
            except MediaError:
                refused += 1
    assert refused


def test_tables_in_a_circle_are_refused() -> None:
    entry = struct.pack("<HHII", EXIF_TABLE, 4, 1, 8)
    with pytest.raises(MediaError):
        stripped(b"II*\0" + struct.pack("<IH", 8, 1) + entry + bytes(4), "tiff")
    with pytest.raises(MediaError):
        stripped(b"II*\0" + struct.pack("<IH", 8, 0) + struct.pack("<I", 8), "tiff")


def test_an_exif_item_of_a_heic_is_overwritten() -> None:
    """The items as iPhones write them: EXIF beside the picture, found by the table of items."""
    items = [(1, b"hvc1", b"pixels of the picture"), (2, b"Exif", b"\0\0\0\6Exif\0\0" + SECRET)]
    entries = b"".join(
        box(b"infe", b"\2\0\0\0" + struct.pack(">HH4s", item, 0, kind) + b"\0")
        for item, kind, _ in items
    )
    iinf = box(b"iinf", bytes(4) + struct.pack(">H", len(items)) + entries)

    def file(start: int) -> bytes:
        table, at = b"", start
        for item, _, data in items:
            table += struct.pack(">HHHHII", item, 0, 0, 1, at, len(data))
            at += len(data)
        iloc = box(b"iloc", b"\1\0\0\0\x44\0" + struct.pack(">H", len(items)) + table)
        meta = box(b"meta", bytes(4) + iinf + iloc)
        return HEIC_HEAD + meta + box(b"mdat", b"".join(data for *_, data in items))

    content = file(len(file(0)) - sum(len(data) for *_, data in items))
    clean = stripped(content, "heic")
    assert SECRET not in clean
    empty = (bytes(4) + b"MM\0*\0\0\0\x08").ljust(len(items[1][2]), b"\0")
    assert clean == content.replace(items[1][2], empty)


def box(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I4s", len(data) + 8, kind) + data
