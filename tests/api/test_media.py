"""Attachments in the API: upload, download by link, never run in a browser."""

from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from werkzeug.datastructures import FileStorage
from werkzeug.test import TestResponse

from blueprints.api import declare, media
from services.core.errors import StorageUnwell
from services.messaging.uploads import Uploads
from services.providers.base import Limits
from services.providers.sandbox import Sandbox
from services.store import attachments
from tests.api.conftest import PEER, Phone, Service
from tests.fakes.s3 import Fault, S3Server
from tests.pictures import gif, jpeg_of_size


@pytest.fixture(params=["folder", "bucket"])
def service(
    request: pytest.FixtureRequest, make_service: Callable[..., Service]
) -> Iterator[Service]:
    """The service with its attachments in a folder, and then in a bucket."""
    if request.param == "folder":
        yield make_service()
        return
    with S3Server() as server:
        yield make_service(**server.env)
        assert set(server.refused) <= {"NoSuchKey"}


def media_folder(service: Service) -> Path:
    """The folder that files are read from."""
    name = "media" if service.gateway.environment.bucket is None else "media-cache"
    return service.gateway.environment.service.storage_path / name


GIF = gif(bytes(range(256)) * 400)
SOME_ID = "01a1f912-29fd-798d-b9d5-d4199fe17a55"


def upload(
    phone: Phone, content: bytes = GIF, name: str = "cat.gif", kind: str = ""
) -> TestResponse:
    file = FileStorage(BytesIO(content), name, content_type=kind or "image/gif")
    return phone.post("/media", data={"file": file})


def uploaded(phone: Phone, *args: Any) -> dict[str, Any]:
    answer = upload(phone, *args)
    assert answer.status_code == 201, answer.text
    return dict(answer.json or {})


def test_a_link_looks_like_the_file_that_it_leads_to(phone: Phone) -> None:
    told = uploaded(phone)
    path, _, query = link(told).partition("?")

    assert path == f"/media/{told['id']}.gif"
    asked = phone.client.head(f"{path}?{query}")
    assert (asked.status_code, asked.mimetype) == (200, "image/gif")
    assert asked.content_length == len(GIF)
    asked.close()
    older = phone.client.get(f"/media/{told['id']}?{query}")
    assert older.data == GIF
    older.close()


def link(told: dict[str, Any]) -> str:
    """The signed link without the server's address."""
    url = str(told["url"])
    return url[url.index("/media/") :]


def fetch(phone: Phone, told: dict[str, Any], **headers: str) -> tuple[TestResponse, TestResponse]:
    """The file by token and by link."""
    service_on_each_database = (
        phone.get(f"/media/{told['id']}", headers=headers),
        phone.client.get(link(told), headers=headers),
    )
    for answer in service_on_each_database:
        answer.get_data()
        answer.close()
    return service_on_each_database


def test_a_file_goes_up_into_a_message_and_down_again(phone: Phone) -> None:
    told = uploaded(phone)
    assert (told["content_type"], told["size"], told["name"]) == ("image/gif", len(GIF), "cat.gif")
    for answer in fetch(phone, told):
        assert (answer.status_code, answer.mimetype, answer.data) == (200, "image/gif", GIF)
    sent = phone.send(to=PEER, text="", media_ids=[told["id"]])
    assert sent["media"] == [told]
    for answer in fetch(phone, sent["media"][0]):
        assert answer.data == GIF


def test_a_file_goes_with_one_message_only(phone: Phone) -> None:
    told = uploaded(phone)
    phone.send(to=PEER, media_ids=[told["id"]])
    again = phone.post("/messages", {"to": PEER, "media_ids": [told["id"]]})
    assert (again.status_code, again.json["field"]) == (422, "media_ids")


@pytest.mark.parametrize(
    ("asked", "status", "first", "last"),
    [
        ("bytes=0-9", 206, 0, 10),
        ("bytes=100-", 206, 100, len(GIF)),
        ("bytes=-5", 206, len(GIF) - 5, len(GIF)),
        ("bytes=0-1,3-4", 200, 0, len(GIF)),
        (f"bytes={len(GIF)}-", 416, 0, 0),
        ("nonsense", 416, 0, 0),
    ],
)
def test_a_part_of_a_file(phone: Phone, asked: str, status: int, first: int, last: int) -> None:
    for answer in fetch(phone, uploaded(phone), Range=asked):
        assert answer.status_code == status
        if status == 416:
            assert answer.mimetype == "application/problem+json"
        else:
            assert answer.data == GIF[first:last]


def test_an_unchanged_file_is_not_sent_again(phone: Phone) -> None:
    told = uploaded(phone)
    tag = fetch(phone, told)[0].headers["ETag"]
    for answer in fetch(phone, told, **{"If-None-Match": tag}):
        assert (answer.status_code, answer.data) == (304, b"")


@pytest.mark.parametrize(
    ("content", "name", "kind", "served"),
    [
        (b"<html><script>alert(1)</script>", "a.html", "text/html", "application/octet-stream"),
        (b"<svg onload=alert(1)>", "a.svg", "image/svg+xml", "application/octet-stream"),
        (b"alert(1)", "a.js", "application/javascript", "text/plain"),
        (b"<script>alert(1)</script>", "a.gif", "image/gif", "application/octet-stream"),
    ],
)
def test_what_might_run_is_saved_and_never_shown(
    phone: Phone, content: bytes, name: str, kind: str, served: str
) -> None:
    for answer in fetch(phone, uploaded(phone, content, name, kind)):
        assert answer.headers["Content-Type"] == served
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Content-Disposition"].startswith("attachment")


@pytest.mark.parametrize(
    ("content", "name", "kind"),
    [(GIF, "a.gif", "image/gif"), (b"%PDF-1.7", "a.pdf", "application/pdf")],
)
def test_no_file_can_do_anything_in_a_browser_or_stay_in_a_proxy(
    phone: Phone, content: bytes, name: str, kind: str
) -> None:
    for answer in fetch(phone, uploaded(phone, content, name, kind)):
        assert answer.headers["Content-Type"] == kind
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Content-Security-Policy"].startswith("sandbox")
        assert answer.headers["Cache-Control"].startswith("private")
        assert answer.headers["Content-Disposition"].startswith("inline")


@pytest.mark.parametrize("name", ["../../etc/passwd", "a\x00b.gif", '"; x="', "émoji 😀.gif", ""])
def test_a_file_name_is_only_ever_a_name(service: Service, phone: Phone, name: str) -> None:
    told = uploaded(phone, GIF, name)
    stored_files = service.gateway.media.open(told["id"])
    assert stored_files.is_relative_to(media_folder(service))
    for answer in fetch(phone, told):
        assert answer.data == GIF


def test_a_link_that_was_altered_opens_nothing(phone: Phone) -> None:
    told, other = uploaded(phone), uploaded(phone)
    good = link(told)
    exp = good.partition("exp=")[2].partition("&")[0]
    for bad in (
        good[:-1],
        good + "x",
        good.replace(exp, str(int(exp) + 1)),
        good.replace(exp, "9" * 5000),
        good.replace(exp, "%ff%00"),
        good.replace("sig=", "sig=%ed%a0%bd"),
        good.replace(told["id"], other["id"]),
        good.partition("?")[0],
        good.partition("&")[0],
    ):
        answer = phone.client.get(bad)
        assert (answer.status_code, answer.json["code"]) == (403, "invalid_link"), bad
    assert phone.client.post(good).status_code == 405


def test_a_link_of_yesterday_opens_nothing(phone: Phone, monkeypatch: pytest.MonkeyPatch) -> None:
    told = uploaded(phone)
    exp = int(link(told).partition("exp=")[2].partition("&")[0])
    monkeypatch.setattr("services.media.links.time.time", lambda: exp + 1.0)
    assert phone.client.get(link(told)).status_code == 403


def test_a_file_that_is_not_here_yet_is_not_found(service: Service, phone: Phone) -> None:
    service.receive(media=["http://127.0.0.1:9/cat.gif"])
    (conversation,) = phone.read("/conversations")["items"]
    (file,) = conversation["last_message"]["media"]
    assert (file["state"], file["url"]) == ("pending", None)
    assert phone.get(f"/media/{file['id']}").status_code == 404


def test_a_file_that_is_lost_is_not_found(service: Service, phone: Phone) -> None:
    told = uploaded(phone)
    service.gateway.media.remove(told["id"])
    assert {answer.status_code for answer in fetch(phone, told)} == {404}


def test_a_large_file_passes_and_a_larger_one_is_refused(
    phone: Phone, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(media, "MOST_FILE", 200_000)
    assert upload(phone, jpeg_of_size(200_000)).status_code == 201
    answer = upload(phone, GIF[:6] + bytes(199_995))
    assert (answer.status_code, answer.json["field"]) == (413, "file")
    monkeypatch.setattr(declare, "MOST_FILE", 10_000)
    assert upload(phone, GIF[:6] + bytes(100_000)).status_code == 413


def stored_files(service: Service) -> list[Path]:
    return [path for path in media_folder(service).rglob("*") if path.is_file()]


@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"file": "text"},
        {"other": b"x"},
        {"file": b""},
    ],
)
def test_a_form_without_a_file_is_refused(
    service: Service, phone: Phone, asked: dict[str, str | bytes]
) -> None:
    data = {
        name: (BytesIO(value), "x.gif") if isinstance(value, bytes) else value
        for name, value in asked.items()
    }
    answer = phone.post("/media", data=data, content_type="multipart/form-data")
    assert (answer.status_code, answer.json["field"]) == (422, "file")
    assert stored_files(service) == []


@pytest.mark.parametrize(
    "body",
    [b"", b"--", b"--x\r\n", b"--x\r\n\r\n--x--", b"\xff" * 1000, b"--x--", b"--x\r\na:\xff"],
)
def test_a_broken_form_is_refused(phone: Phone, body: bytes) -> None:
    for kind in ("multipart/form-data; boundary=x", "multipart/form-data; boundary=\xe9"):
        answer = phone.post("/media", data=body, content_type=kind)
        assert answer.status_code in (400, 422), answer.text
        assert answer.mimetype == "application/problem+json"


@pytest.mark.parametrize(("owner", "name"), [(attachments, "add_upload"), (Uploads, "fitted")])
def test_no_file_stays_behind_when_it_cannot_be_noted(
    service: Service, phone: Phone, monkeypatch: pytest.MonkeyPatch, owner: Any, name: str
) -> None:
    def unwell(*_: Any) -> None:
        raise StorageUnwell("the disk is full")

    monkeypatch.setattr(owner, name, unwell)
    assert upload(phone).status_code == 503
    assert stored_files(service) == []


def test_a_picture_too_large_for_the_carrier_is_kept_smaller(
    phone: Phone, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Sandbox, "limits", Limits(media_bytes=150_000))
    picture = BytesIO()
    Image.effect_noise((600, 400), 80).save(picture, "PNG")
    told = uploaded(phone, picture.getvalue(), "roof.png", "image/png")
    assert (told["content_type"], told["name"]) == ("image/jpeg", "roof.jpg")
    assert told["size"] <= 150_000
    assert phone.send(to=PEER, media_ids=[told["id"]])["media"][0]["size"] == told["size"]
    document = uploaded(phone, b"%PDF-1.7 " + b"x" * 160_000, "a.pdf", "application/pdf")
    refused = phone.post("/messages", {"to": PEER, "media_ids": [document["id"]]})
    assert (refused.status_code, (refused.json or {})["code"]) == (422, "file_too_large")


def test_a_bucket_that_is_unwell_takes_nothing_and_says_so(
    make_service: Callable[..., Service],
) -> None:
    with S3Server() as server:
        service = make_service(**server.env)
        phone = service.pair("201")
        told = uploaded(phone)
        server.broken = Fault(503, "SlowDown")
        answer = upload(phone)
        assert (answer.status_code, (answer.json or {})["code"]) == (503, "storage_unwell")
        assert answer.headers["Retry-After"] == "5"
        assert len(stored_files(service)) == 1
        for path in stored_files(service):
            path.unlink()
        assert {lost.status_code for lost in fetch(phone, told)} == {503}
        server.broken = None
        assert {found.data for found in fetch(phone, told)} == {GIF}
