"""Uploads: the allowance is counted before the work, one picture is worked on at a time."""

import threading
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image

from services.core.errors import RequestRefused
from services.core.messages import Attachment, uuid7
from services.gateway import Gateway
from services.messaging import uploads
from services.providers.base import Limits
from services.providers.sandbox import Sandbox
from tests.conftest import NUMBER_ENTRY
from tests.pictures import jpeg
from tests.waiting import PATIENCE

PLACE = "SECRET-PLACE"


@pytest.fixture
def gateway(make_gateway: Callable[..., Gateway]) -> Gateway:
    return make_gateway(NUMBER_ENTRY, UPLOAD_MB_PER_DAY="1")


def add(gateway: Gateway, content: bytes, name: str = "a.jpg") -> Attachment:
    file_id = uuid7()
    kept = gateway.media.save(
        [content], file_id=file_id, declared="", name=name, max_bytes=25_000_000
    )
    return gateway.uploads.add("201", file_id, kept)


def photo(size: tuple[int, int] = (60, 40)) -> bytes:
    exif = Image.Exif()
    exif[0x010F], exif[0x0112] = PLACE, 6
    target = BytesIO()
    Image.effect_noise(size, 80).save(target, "JPEG", exif=exif, comment=PLACE.encode())
    return target.getvalue()


def content_of(file: Attachment) -> bytes:
    assert file.path is not None
    return file.path.read_bytes()


def test_a_small_picture_leaves_without_its_place(gateway: Gateway) -> None:
    file = add(gateway, photo())
    content = content_of(file)
    assert PLACE.encode() not in content
    assert (file.content_type, file.name, file.size) == ("image/jpeg", "a.jpg", len(content))
    with Image.open(BytesIO(content)) as picture:
        assert dict(picture.getexif()) == {0x0112: 6}


def test_a_picture_without_metadata_and_other_files_stay(gateway: Gateway) -> None:
    for content in (jpeg(), b"%PDF-1.7 " + PLACE.encode()):
        assert content_of(add(gateway, content)) == content


def test_a_damaged_picture_is_refused_and_not_kept(gateway: Gateway, tmp_path: Path) -> None:
    with pytest.raises(RequestRefused, match="save it again") as refused:
        add(gateway, b"\xff\xd8\xff\xe1 damaged " + PLACE.encode())
    assert refused.value.field == "file"
    assert not [path for path in (tmp_path / "media").rglob("*") if path.is_file()]


def test_a_flood_of_pixels_is_refused_in_words(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Sandbox, "limits", Limits(media_bytes=1000))
    target = BytesIO()
    Image.new("1", (9000, 9000)).save(target, "PNG")
    with pytest.raises(RequestRefused, match="81 million pixels"):
        add(gateway, target.getvalue())


def test_the_uploaded_size_is_counted_before_the_work(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Sandbox, "limits", Limits(media_bytes=200_000))
    large = photo((1100, 1100))
    assert 510_000 < len(large) < 1_000_000
    assert add(gateway, large).size <= 200_000

    def work(*_: object) -> None:
        raise AssertionError("a picture was opened that the allowance does not cover")

    monkeypatch.setattr(uploads, "resize_to_fit", work)
    monkeypatch.setattr(uploads, "without_metadata", work)
    for _ in range(2):
        with pytest.raises(RequestRefused) as refused:
            add(gateway, large)
        assert refused.value.status == 429


def test_one_picture_is_worked_on_at_a_time(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_once, most, entered = 0, 0, threading.Event()
    release = threading.Event()

    def work(content: bytes, _: str) -> bytes:
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        entered.set()
        assert release.wait(PATIENCE)
        at_once -= 1
        return content

    monkeypatch.setattr(uploads, "without_metadata", work)
    started = threading.Semaphore(0)

    def upload() -> None:
        started.release()
        add(gateway, jpeg())

    threads = [threading.Thread(target=upload, daemon=True) for _ in range(4)]
    for thread in threads:
        thread.start()
        started.acquire()
    assert entered.wait(PATIENCE)
    threads[0].join(0.5)  # without the lock the others would be in it by now
    release.set()
    for thread in threads:
        thread.join(PATIENCE)
    assert most == 1
