"""Films that apps upload leave without the place that a telephone has written into them."""

from io import BytesIO

from services.store import attachments
from tests.api.conftest import Phone, Service
from tests.media.test_films import FILMS, FTYP, MEDIA


def test_a_film_leaves_without_its_place(service: Service, phone: Phone) -> None:
    film = FTYP + MEDIA + FILMS["Apple"]
    told = phone.post("/media", data={"file": (BytesIO(film), "IMG_1.MOV")}).json
    assert (told["content_type"], told["size"]) == ("video/quicktime", len(film))
    file = service.gateway.store.read(lambda tx: attachments.by_id(tx, told["id"]))
    assert file is not None
    kept = service.gateway.media.open(file.id).read_bytes()
    assert b"SECRET" not in kept
    assert kept.startswith(FTYP + MEDIA)
    damaged = phone.post("/media", data={"file": (BytesIO(film[:-3]), "IMG_2.MOV")})
    assert (damaged.status_code, damaged.json["code"]) == (422, "file_unreadable")
