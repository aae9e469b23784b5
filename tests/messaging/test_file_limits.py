"""Files that leave fit their carrier: type, size together, pictures made smaller or converted."""

from collections.abc import Callable
from io import BytesIO

import pillow_heif
import pytest
from PIL import Image

from services.core.errors import RequestRefused
from services.core.messages import Attachment, uuid7
from services.gateway import Gateway
from services.messaging.compose import Reply
from services.providers.base import Limits
from services.providers.sandbox import Sandbox
from tests import payload_files
from tests.conftest import NUMBER_ENTRY, PEER
from tests.message_steps import PHONE, stored_messages

Make = Callable[..., Gateway]
pillow_heif.register_heif_opener()
CARRIER = ("image/jpeg", "image/png", "image/gif", "application/pdf")


@pytest.fixture
def gateway(make_gateway: Make, monkeypatch: pytest.MonkeyPatch) -> Gateway:
    limits = Limits(media_bytes=400_000, media_total_bytes=500_000, media_types=CARRIER)
    monkeypatch.setattr(Sandbox, "limits", limits)
    return make_gateway(NUMBER_ENTRY)


def picture(kind: str, size: tuple[int, int] = (300, 200), **more: object) -> bytes:
    target = BytesIO()
    Image.effect_noise(size, 80).convert("RGB").save(target, kind, **more)
    return target.getvalue()


def add(gateway: Gateway, content: bytes, name: str) -> Attachment:
    file_id = uuid7()
    kept = gateway.media.save(
        [content], file_id=file_id, declared="", name=name, max_bytes=25_000_000
    )
    return gateway.uploads.add("201", file_id, kept)


def send(gateway: Gateway, *files: Attachment) -> tuple[Attachment, ...]:
    reply = Reply(to=(PEER,), media_ids=tuple(file.id for file in files))
    return gateway.composer.submit(PHONE, reply)[0].media


@pytest.mark.parametrize(
    ("kind", "name"), [("WEBP", "a.webp"), ("AVIF", "a.avif"), ("HEIF", "IMG_1.heic")]
)
def test_a_picture_of_a_type_that_the_carrier_does_not_take_becomes_a_jpeg(
    gateway: Gateway, kind: str, name: str
) -> None:
    file = add(gateway, picture(kind), name)
    assert file.content_type == "image/jpeg"
    assert file.name == f"{name.partition('.')[0]}.jpg"
    [sent] = send(gateway, file)
    with Image.open(gateway.media.open(sent.id)) as opened:
        assert (opened.format, opened.size) == ("JPEG", (300, 200))


def test_a_type_that_the_carrier_takes_stays(make_gateway: Make) -> None:
    content = picture("WEBP")
    assert add(make_gateway(NUMBER_ENTRY), content, "a.webp").content_type == "image/webp"


def test_an_animation_that_the_carrier_does_not_take_is_refused_with_its_types(
    gateway: Gateway,
) -> None:
    frames = [Image.new("RGB", (20, 20), colour) for colour in ("red", "blue")]
    target = BytesIO()
    frames[0].save(target, "WEBP", save_all=True, append_images=frames[1:])
    file = add(gateway, target.getvalue(), "a.webp")
    with pytest.raises(RequestRefused, match=r"image/webp\. It takes image/jpeg") as refused:
        send(gateway, file)
    assert refused.value.code == "file_type"


def test_the_largest_pictures_are_made_smaller_until_all_fit_together(gateway: Gateway) -> None:
    small, large = (
        add(gateway, picture("JPEG", size, quality=95), "a.jpg")
        for size in ((200, 200), (560, 560))
    )
    middle = add(gateway, picture("PNG", (330, 330)), "b.png")
    sizes = [file.size for file in (small, middle, large)]
    assert sum(sizes) > 500_000
    assert sizes == sorted(sizes)

    sent = send(gateway, small, middle, large)

    assert sum(file.size for file in sent) <= 500_000
    assert [file.id for file in sent] == [small.id, middle.id, large.id]
    assert sent[0].size == small.size
    assert sent[2].size < large.size
    for file in sent:
        assert gateway.media.open(file.id).stat().st_size == file.size


def test_files_that_cannot_be_made_smaller_are_refused_with_the_limit(gateway: Gateway) -> None:
    documents = [add(gateway, b"%PDF-1.7 " + b"x" * 300_000, "a.pdf") for _ in range(2)]
    with pytest.raises(RequestRefused, match="500000 bytes in all") as refused:
        send(gateway, *documents)
    assert (refused.value.code, refused.value.field) == ("files_too_large", "media_ids")
    assert stored_messages(gateway) == []
    send(gateway, documents[0])
    another = add(gateway, picture("JPEG", (560, 560), quality=95), "a.jpg")
    sent = send(gateway, another, documents[1])
    assert sum(file.size for file in sent) <= 500_000


def test_all_files_of_twilio_stay_below_its_limit_together(make_gateway: Make) -> None:
    entry = NUMBER_ENTRY | {"number": "+12025550143", "carrier": "twilio"}
    gateway = make_gateway(entry, **payload_files.settings("twilio"))
    files = [add(gateway, b"%PDF-1.4" + bytes(2_600_000), f"{name}.pdf") for name in "ab"]
    with pytest.raises(RequestRefused, match="Twilio takes files of up to 4990000 bytes in all"):
        send(gateway, *files)
