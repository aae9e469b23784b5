"""Links to files: true type, extension, and a name that every carrier takes."""

from io import BytesIO

import pytest
from werkzeug.datastructures import FileStorage

from tests.api.conftest import Phone
from tests.pictures import gif

ISO = b"\0\0\0\x10ftyp"
FILES = {
    "vcf": (b"BEGIN:VCARD\r\nEND:VCARD\r\n", "text/vcard", ".vcf"),
    "amr": (b"#!AMR\n\x3c", "audio/amr", ".amr"),
    "3gpp": (ISO + b"3gp4\0\0\0\0", "video/3gpp", ".3gp"),
    "pdf": (b"%PDF-1.7", "application/pdf", ".pdf"),
    "ics": (b"BEGIN:VCALENDAR\r\n", "text/calendar", ".ics"),
    "csv": (b"a,b\r\n1,2\r\n", "text/csv", ".csv"),
    "txt": ("Grüße".encode(), "text/plain", ".txt"),
    "gif": (gif(), "image/gif", ".gif"),
}


@pytest.mark.parametrize(("content", "kind", "extension"), FILES.values(), ids=FILES)
def test_a_link_has_the_true_type_and_its_extension(
    phone: Phone, content: bytes, kind: str, extension: str
) -> None:
    file = FileStorage(BytesIO(content), f"x{extension}", content_type=kind)
    told = phone.post("/media", data={"file": file}).json or {}
    path = told["url"][told["url"].index("/media/") :]
    assert path.partition("?")[0].endswith(extension)
    for answer in (phone.client.get(path), phone.client.head(path)):
        assert answer.headers["Content-Type"] == kind
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.content_length == len(content)
        answer.close()


@pytest.mark.parametrize(
    ("name", "plain", "whole"),
    [
        ("cat.gif", "cat.gif", None),
        ("Angebot für Müller (2).gif", "Angebot_fur_Mull.gif", "Angebot%20f%C3%BCr"),
        ("猫.gif", "file.gif", "%E7%8C%AB.gif"),
        ("a; x=b, c.gif", "a_x_b_c.gif", "a%3B%20x%3Db"),
    ],
)
def test_the_name_in_the_header_fits_every_carrier_and_browsers_get_the_whole_one(
    phone: Phone, name: str, plain: str, whole: str | None
) -> None:
    file = FileStorage(BytesIO(gif()), name, content_type="image/gif")
    told = phone.post("/media", data={"file": file}).json or {}
    path = told["url"][told["url"].index("/media/") :]
    answer = phone.client.get(path)
    header = answer.headers["Content-Disposition"]
    answer.close()
    assert header.startswith(f'inline; filename="{plain}"')
    assert len(plain) <= 20
    assert (whole is None) == ("filename*" not in header)
    assert whole is None or f"filename*=UTF-8''{whole}" in header
