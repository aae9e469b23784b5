"""Pictures that are seldom: none leaves with its metadata because it was taken for a film."""

import struct

import pytest

from services.core.errors import MediaError
from services.media.kinds import detect_content_type, safe_file_name
from services.media.metadata import without_metadata


def box_file(first: bytes, *others: bytes) -> bytes:
    """The beginning of an ISO media file with these brands."""
    size = 16 + 4 * len(others)
    head = struct.pack(">I4s4sI", size, b"ftyp", first, 0) + b"".join(others)
    return head + struct.pack(">I4s", 8, b"mdat") + b"mif1avif"


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (box_file(b"heic", b"mif1"), "image/heic"),
        (box_file(b"heif", b"mif1"), "image/heic"),
        (box_file(b"mif2", b"heic"), "image/heic"),
        (box_file(b"MiHE", b"mif1"), "image/heic"),
        (box_file(b"XXXX", b"mif1", b"heic"), "image/heic"),  # a brand of a maker of its own
        (box_file(b"mif1", b"avif", b"miaf"), "image/avif"),
        (box_file(b"MA1B", b"mif1"), "image/avif"),
        (box_file(b"crx ", b"isom"), "image/x-canon-cr3"),
        (box_file(b"isom", b"mp42"), "video/mp4"),
        (box_file(b"mp42", b"mif1"), "video/mp4"),
        (box_file(b"qt  ", b"mif1"), "video/quicktime"),
        (b"\xff\x0a place", "image/jxl"),
        (b"\0\0\0\x0cJXL \r\n\x87\n", "image/jxl"),
        (b"\0\0\0\x0cjP  \r\n\x87\n", "image/jp2"),
        (b"8BPS\0\x01", "image/vnd.adobe.photoshop"),
    ],
)
def test_the_kind_of_a_file(content: bytes, kind: str) -> None:
    assert detect_content_type(content, "application/octet-stream") == kind


@pytest.mark.parametrize(
    "kind", ["image/jxl", "image/jp2", "image/vnd.adobe.photoshop", "image/x-canon-cr3"]
)
def test_a_picture_whose_metadata_is_not_found_is_refused(kind: str) -> None:
    with pytest.raises(MediaError, match="Save it as JPEG"):
        without_metadata(b"a picture with a place", kind)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("a.jxl", "image/jxl"),
        ("a.jp2", "image/jp2"),
        ("a.psd", "image/vnd.adobe.photoshop"),
        ("a.cr3", "image/x-canon-cr3"),
    ],
)
def test_the_name_of_a_picture_stays(name: str, kind: str) -> None:
    assert safe_file_name(name, kind) == name


def test_a_file_that_is_no_picture_stays() -> None:
    assert without_metadata(b"BM", "image/bmp") == b"BM"
    assert without_metadata(b"a film", "video/webm") == b"a film"
