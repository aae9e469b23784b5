"""Kinds of files by their bytes, what a browser may show, names fit to show."""

import pytest

from services.media.kinds import detect_content_type, safe_file_name, safe_inline
from services.media.media_store import MediaStore
from tests.media.conftest import FILE_ID, PNG

FTYP = b"\0\0\0\x20ftyp"
SMIL = b'<smil>\n<head><layout><root-layout width="320"/></layout></head></smil>'
SVG = b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'
OCTETS = "application/octet-stream"
DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"


@pytest.mark.parametrize(
    ("content", "declared", "found"),
    [
        (b"\xff\xd8\xff\xe0\0\x10JFIF", "", "image/jpeg"),
        (PNG, "image/jpeg", "image/png"),
        (b"GIF89a\x01\0", "text/html", "image/gif"),
        (b"RIFF\x24\0\0\0WEBPVP8 ", "", "image/webp"),
        (b"RIFF\x24\0\0\0WAVEfmt ", "audio/x-wav", "audio/wav"),
        (b"RIFF\x24\0\0\0ACON", "image/png", OCTETS),
        (FTYP + b"heic\0\0", "", "image/heic"),
        (FTYP + b"avif\0\0", "image/png", "image/avif"),
        (b"BM\x36\x10\0\0\0\0\0\0\x36\0", "", "image/bmp"),
        (b"II*\0\x08\0\0\0", "", "image/tiff"),
        (b"MM\0*\0\0\0\x08", "", "image/tiff"),
        (FTYP + b"isom\0\0", "", "video/mp4"),
        (FTYP + b"isom\0\0", "audio/mp4", "audio/mp4"),
        (FTYP + b"isom\0\0", "image/jpeg", "video/mp4"),
        (FTYP + b"isom\0\0", "text/html", "video/mp4"),
        (FTYP + b"3gp5\0\0", "", "video/3gpp"),
        (FTYP + b"3gp5\0\0", "Audio/3GPP; codecs=x", "audio/3gpp"),
        (FTYP + b"3g2a\0\0", "", "video/3gpp2"),
        (FTYP + b"qt  \0\0", "", "video/quicktime"),
        (FTYP + b"M4A \0\0", "", "audio/mp4"),
        (b"\x1aE\xdf\xa3\x9fB\x86\x81\x01B\xf7\x81\x01B\x82\x84webmB", "", "video/webm"),
        (b"\x1aE\xdf\xa3\x9fB\x86\x81\x01B\xf7\x81\x01B\x82\x88matroska", "video/webm", OCTETS),
        (b"ID3\x03\0\0", "", "audio/mpeg"),
        (b"\xff\xfb\x90\x44\0", "audio/mp3", "audio/mpeg"),
        (b"\xff\xf1\x50\x80", "", "audio/aac"),
        (b"#!AMR\n\x3c\x91", "audio/amr", "audio/amr"),
        (b"#!AMR-WB\n\x3c", "", "audio/amr-wb"),
        (b"OggS\0\x02", "application/ogg", "audio/ogg"),
        (b"OggS\0\x02", "video/ogg", "video/ogg"),
        (b"%PDF-1.7\n", "", "application/pdf"),
        (b"PK\x03\x04\x14", "", "application/zip"),
        (b"PK\x03\x04\x14", DOCX, DOCX),
        (b"PK\x03\x04\x14", DOCX + "\r\nX-Evil: 1", "application/zip"),
        (b"PK\x03\x04\x14", "text/html", "application/zip"),
        (b"BEGIN:VCARD\r\nVERSION:3.0", "text/x-vcard", "text/vcard"),
        (b"\xef\xbb\xbfbegin:vcalendar\n", "", "text/calendar"),
        ("Grüße 😀".encode(), "", "text/plain"),
        (("x" * 4095 + "ü").encode()[:4096], "", "text/plain"),
        (b"a;b\n1;2\n", "text/csv", "text/csv"),
        (b"BMW and GIF are words, ID3 too", "", "text/plain"),
        (b"hello", "image/jpeg", "text/plain"),
        (b"hello", "text/html", "text/plain"),
        ("Grüße".encode("latin-1"), "text/plain; charset=latin1", "text/plain"),
        (b"MZ\x90\0\x03", "image/jpeg", OCTETS),
        (b"MZ\x90\0\x03", "video/mp4", OCTETS),
        (b"\0\0\0\0", "", OCTETS),
        (b"", "image/png", OCTETS),
        (SMIL, "text/plain", "application/smil"),
        (b'\xef\xbb\xbf<?xml version="1.0"?>\n<!DOCTYPE smil>\r\n' + SMIL, "", "application/smil"),
        (b"<smiley>", "application/smil", OCTETS),
        (SVG, "image/svg+xml", OCTETS),
        (b'\n <?xml version="1.0"?><!-- x -->' + SVG, "image/png", OCTETS),
        (b"<!DOCTYPE html><script>alert(1)</script>", "text/html", OCTETS),
        (b"<script>alert(1)</script>", "text/plain", OCTETS),
    ],
)
def test_a_file_is_what_its_bytes_say(
    store: MediaStore, content: bytes, declared: str, found: str
) -> None:
    kept = store.save([content], file_id=FILE_ID, declared=declared, name="x", max_bytes=100_000)
    assert kept.content_type == found
    assert detect_content_type(content, declared) == found


@pytest.mark.parametrize(
    ("content_type", "inline"),
    [
        ("image/jpeg", True),
        ("image/png", True),
        ("image/gif", True),
        ("image/webp", True),
        ("video/mp4", True),
        ("video/webm", True),
        ("audio/mpeg", True),
        ("image/svg+xml", False),
        ("text/html", False),
        ("text/plain", False),
        ("application/pdf", True),
        ("application/smil", False),
        (OCTETS, False),
        ("image/jpeg; x", False),
        ("", False),
    ],
)
def test_only_what_a_browser_never_runs_is_shown_in_it(content_type: str, inline: bool) -> None:
    assert safe_inline(content_type) is inline


@pytest.mark.parametrize(
    ("written", "content_type", "shown"),
    [
        ("IMG_1.JPG", "image/jpeg", "IMG_1.JPG"),
        ("holiday.jpeg", "image/jpeg", "holiday.jpeg"),
        ("holiday", "image/jpeg", "holiday.jpg"),
        ("", "image/png", "attachment.png"),
        ("report.docx", "application/zip", "report.docx.zip"),
        ("report.docx", DOCX, "report.docx"),
        ("memo.3gp", "audio/3gpp", "memo.3gp"),
        ("page.html", "image/jpeg", "page.html.jpg"),
        ("tool.exe", OCTETS, "tool.exe"),
        ("tool", OCTETS, "tool.bin"),
        ("../../etc/passwd", "text/plain", "_.._etc_passwd.txt"),
        ("..\\..\\x.txt", "text/plain", "_.._x.txt"),
        ("a\r\nB: c\0d\u2028e\u202egpj.png", "image/png", "a B_ cd egpj.png"),
        ("Grüße 😀.gif", "image/gif", "Grüße 😀.gif"),
        (".png", "image/png", "attachment.png"),
        ("....", "image/png", "attachment.png"),
        ("x" * 500 + ".mp4", "video/mp4", "x" * 116 + ".mp4"),
        ("x." + "y" * 500, OCTETS, "x." + "y" * 102 + "." + "y" * 15),
        ("\ud83d.png", "image/png", "attachment.png"),
    ],
)
def test_a_name_from_outside_is_fit_to_show(written: str, content_type: str, shown: str) -> None:
    assert safe_file_name(written, content_type) == shown
    assert len(shown) <= 120
