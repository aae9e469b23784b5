"""Thumbnails in the API: made when first asked for, by link and by token, gone with the message."""

import time
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from PIL import Image
from sqlalchemy import Connection, select, update

from services.media.thumbnail import Thumbnail, thumbnail_id
from services.messaging import thumbnails
from services.operations.retention import DAY, Ages
from services.store.database.schema import attachments, jobs, messages
from tests.api.conftest import API, PEER, SHARED, Phone, Service
from tests.api.test_media import media_folder, uploaded
from tests.fakes.s3 import S3Server
from tests.media.conftest import files
from tests.media.test_thumbnail import noise


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


def picture(width: int = 1500, height: int = 1000) -> bytes:
    file = BytesIO()
    noise(width // 10, height // 10).resize((width, height)).save(file, "JPEG")
    return file.getvalue()


def sent(phone: Phone, content: bytes, name: str = "beach.jpg", kind: str = "image/jpeg") -> Any:
    """The file of a message that was sent from the shared number."""
    file = uploaded(phone, content, name, kind)
    message = phone.send(to=PEER, **{"from": SHARED}, media_ids=[file["id"]])
    return message["media"][0]


def size_of(content: bytes) -> tuple[int, int]:
    with Image.open(BytesIO(content)) as opened:
        return opened.size


def fetched(service: Service, url: str) -> Any:
    return service.client.get(url[url.index("/media/") :], buffered=True)


def test_who_waits_for_the_same_thumbnail_does_not_make_it_again(
    service: Service, phone: Phone, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = sent(phone, picture())
    made: list[str] = []
    others: list[Thread] = []
    media = service.gateway.media
    make, save = thumbnails.make_thumbnail, media.save_thumbnail

    def ask() -> None:
        made.append(fetched(service, file["thumbnail_url"]).status)

    def save_slowly(file_id: str, content: bytes) -> Path:
        others.append(Thread(target=ask))
        if len(others) == 1:
            others[0].start()
            others[0].join(2)  # it waits for this one
        return save(file_id, content)

    def count(path: Path, content_type: str) -> Thumbnail:
        made.append("made")
        return make(path, content_type)

    monkeypatch.setattr(media, "save_thumbnail", save_slowly)
    monkeypatch.setattr(thumbnails, "make_thumbnail", count)
    assert fetched(service, file["thumbnail_url"]).status_code == 200
    others[0].join()
    assert made == ["made", "200 OK"]


def test_a_thumbnail_is_made_once_and_served_by_link_and_token(
    service: Service, phone: Phone, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = sent(phone, picture())
    assert (file["width"], file["height"]) == (1500, 1000)
    first = fetched(service, file["thumbnail_url"])
    assert first.status_code == 200
    assert first.headers["Content-Type"] == "image/jpeg"
    assert "sandbox" in first.headers["Content-Security-Policy"]
    assert size_of(first.data) == (600, 400)
    monkeypatch.setattr(thumbnails, "make_thumbnail", None)  # it is not made again
    assert fetched(service, file["thumbnail_url"]).data == first.data
    path = f"/media/{file['id']}/thumbnail"
    assert phone.get(path, buffered=True).data == first.data
    assert service.pair("202").get(path, buffered=True).data == first.data
    assert service.pair("203").get(path, buffered=True).status_code == 404
    assert service.client.get(f"{API}{path}").status_code == 401
    wrong = file["thumbnail_url"][:-2]
    assert fetched(service, wrong).status_code == 403


def test_the_size_of_an_old_picture_is_known_once_it_was_shown(
    service: Service, phone: Phone
) -> None:
    file = sent(phone, picture())
    old = update(attachments).values(width=None, height=None)
    service.gateway.store.write(lambda tx: tx.execute(old))
    fetched(service, file["thumbnail_url"])
    shown = phone.read(f"/messages/{newest(phone)['id']}")["media"][0]
    assert (shown["width"], shown["height"]) == (1500, 1000)


def test_a_small_picture_and_what_is_none_are_answered_as_they_are(
    service: Service, phone: Phone
) -> None:
    small = picture(40, 30)
    file = sent(phone, small)
    assert (
        fetched(service, file["thumbnail_url"]).data
        == phone.get(f"/media/{file['id']}", buffered=True).data
    )
    shown = phone.read(f"/messages/{newest(phone)['id']}")["media"][0]
    assert shown["thumbnail_url"] is None
    text = sent(phone, b"a text", "a.txt", "text/plain")
    assert (text["thumbnail_url"], text["width"]) == (None, None)
    assert phone.get(f"/media/{text['id']}/thumbnail", buffered=True).data == b"a text"


def test_a_picture_that_is_damaged_is_tried_once(
    service: Service, phone: Phone, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = sent(phone, picture())
    path = media_folder(service) / file["id"][-2:] / file["id"]
    path.write_bytes(path.read_bytes()[:300] + bytes(90_000))
    assert fetched(service, file["thumbnail_url"]).data == path.read_bytes()
    monkeypatch.setattr(thumbnails, "make_thumbnail", None)
    assert fetched(service, file["thumbnail_url"]).data == path.read_bytes()


def large_png() -> bytes:
    file = BytesIO()
    Image.new("1", (6000, 5000)).save(file, "PNG")
    return file.getvalue()


def wide_webp() -> bytes:
    file = BytesIO()
    Image.new("RGB", (6000, 5000)).save(file, "WEBP")
    return file.getvalue()


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (large_png(), "png"),
        (wide_webp(), "webp"),
        (b"GIF89a\xff\xff\xff\xff\0\0\0,\0\0\0\0\xff\xff\xff\xff\0\x02\x02D\x01\0;", "gif"),
    ],
    ids=["png", "webp", "gif"],
)  # fmt: skip
def test_a_small_file_of_too_many_pixels_is_not_shown(
    service: Service, phone: Phone, content: bytes, kind: str
) -> None:
    file = sent(phone, content, f"bomb.{kind}", f"image/{kind}")
    for _ in range(2):
        assert fetched(service, file["thumbnail_url"]).status_code == 404
        assert phone.get(f"/media/{file['id']}/thumbnail", buffered=True).status_code == 404
    shown = phone.read(f"/messages/{newest(phone)['id']}")["media"][0]
    assert shown["thumbnail_url"] is None
    assert fetched(service, shown["url"]).data == content


def test_a_lost_thumbnail_is_made_again(service: Service, phone: Phone) -> None:
    file = sent(phone, picture())
    first = fetched(service, file["thumbnail_url"]).data
    service.gateway.media.backend.remove(thumbnail_id(file["id"]))
    assert fetched(service, file["thumbnail_url"]).data == first


def test_it_is_forgotten_with_its_message(service: Service, phone: Phone) -> None:
    service.receive(SHARED, "hello")
    file = sent(phone, picture())
    fetched(service, file["thumbnail_url"])
    assert len(stored(service)) == 2
    done = update(jobs).values(state="done", owner=None)
    service.gateway.store.write(lambda tx: tx.execute(done))
    retention = service.gateway.retention
    retention.forget(PEER, retention.person(PEER))
    assert stored(service) == []
    assert fetched(service, file["thumbnail_url"]).status_code == 404


@pytest.mark.parametrize("kind", ["messages", "files"])
def test_it_is_pruned_by_age_with_its_file(service: Service, phone: Phone, kind: str) -> None:
    service.receive(SHARED, "hello")
    old, young = sent(phone, picture()), sent(phone, picture(1200, 900))
    for file in (old, young):
        assert fetched(service, file["thumbnail_url"]).status_code == 200
    assert len(stored(service)) == 4
    now = time.time()

    def age(tx: Connection) -> None:
        of_old = attachments.c.id == old["id"]
        message_id = select(attachments.c.message_id).where(of_old).scalar_subquery()
        at = now - 100 * DAY
        tx.execute(update(messages).where(messages.c.id == message_id).values(created_at=at))
        tx.execute(update(attachments).where(of_old).values(created_at=at))
        tx.execute(update(jobs).values(state="done", owner=None))

    service.gateway.store.write(age)
    service.gateway.retention.prune(Ages(**{kind: now - 90 * DAY}))
    assert [name[-36:] for name in stored(service)] == sorted(
        [young["id"], thumbnail_id(young["id"])]
    )
    assert fetched(service, old["thumbnail_url"]).status_code == 404
    assert fetched(service, young["thumbnail_url"]).status_code == 200


def stored(service: Service) -> list[str]:
    return files(Path(media_folder(service)))


def newest(phone: Phone) -> Any:
    conversation = phone.read("/conversations")["items"][0]
    return phone.read(f"/conversations/{conversation['id']}/messages")["items"][0]
