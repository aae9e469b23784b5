"""Links to attachments: valid for a day, for one file, for one installation."""

from collections.abc import Callable
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from services.core.messages import Attachment, uuid7
from services.media.folder import Folder
from services.media.media_store import MediaStore
from tests.media.conftest import FILE_ID, media_store

NOW = 1_780_000_000.0
HALF_DAY = 43_200


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    def set_to(now: float) -> None:
        monkeypatch.setattr("services.media.links.time.time", lambda: now)

    set_to(NOW)
    return set_to


def link_parts(link: str) -> tuple[str, str, str]:
    """The id, the expiry and the signature in a link."""
    parts = urlsplit(link)
    query = parse_qs(parts.query, strict_parsing=True)
    assert f"{parts.scheme}://{parts.netloc}" == "https://sms.example.com"
    assert parts.path.startswith("/media/")
    return parts.path.removeprefix("/media/"), query["exp"][0], query["sig"][0]


Clock = Callable[[float], None]


def test_a_link_is_good_for_a_day_and_no_longer_than_a_day_and_a_half(
    store: MediaStore, clock: Clock
) -> None:
    file_id, exp, sig = link_parts(store.link(Attachment(id=FILE_ID)))
    assert file_id == FILE_ID
    assert store.is_valid_link(file_id, exp, sig)
    clock(NOW + 86_400)
    assert store.is_valid_link(file_id, exp, sig)
    clock(float(exp) - 1)
    assert store.is_valid_link(file_id, exp, sig)
    clock(float(exp))
    assert not store.is_valid_link(file_id, exp, sig)
    assert int(exp) <= NOW + 129_600


def test_a_link_stays_the_same_for_half_a_day(store: MediaStore, clock: Clock) -> None:
    start = NOW - NOW % HALF_DAY
    links = []
    for now in (start + 1, start + HALF_DAY, start + HALF_DAY + 1):
        clock(now)
        links.append(store.link(Attachment(id=FILE_ID)))
    assert links[0] == links[1] != links[2]


def test_a_link_opens_no_other_file_and_no_later_time(store: MediaStore, clock: Clock) -> None:
    _, exp, sig = link_parts(store.link(Attachment(id=FILE_ID)))
    other = uuid7()
    assert not store.is_valid_link(other, exp, sig)
    assert not store.is_valid_link(FILE_ID, str(int(exp) + 1), sig)
    assert not store.is_valid_link(FILE_ID, f"{exp} ", sig)
    assert not store.is_valid_link(FILE_ID, f"0{exp}", sig)


def test_a_link_altered_in_any_place_is_refused(store: MediaStore, clock: Clock) -> None:
    _, exp, sig = link_parts(store.link(Attachment(id=FILE_ID)))
    for place in range(len(sig)):
        changed = sig[:place] + ("A" if sig[place] != "A" else "B") + sig[place + 1 :]
        assert not store.is_valid_link(FILE_ID, exp, changed)
    for wrong in (sig[:-1], sig + "=", sig + "A", sig.lower(), ""):
        assert not store.is_valid_link(FILE_ID, exp, wrong)


def test_a_link_of_another_installation_is_refused(folder: Path, clock: Clock) -> None:
    theirs = media_store(Folder(folder), b"t" * 32)
    ours = media_store(Folder(folder), b"o" * 32)
    assert not ours.is_valid_link(*link_parts(theirs.link(Attachment(id=FILE_ID))))


ODD = ["", "\0", "\ud83d", "é", "١", "-1", "1e9", "nan", "9" * 5000, "None", "\r\n"]


@pytest.mark.parametrize("odd", ODD)
def test_odd_links_are_refused_and_harmless(store: MediaStore, odd: str) -> None:
    _, exp, sig = link_parts(store.link(Attachment(id=FILE_ID)))
    assert not store.is_valid_link(odd, exp, sig)
    assert not store.is_valid_link(FILE_ID, odd, sig)
    assert not store.is_valid_link(FILE_ID, exp, odd)
