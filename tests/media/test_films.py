"""Metadata of films: place and camera go, what is played stays where it is."""

import struct
from collections.abc import Callable

import pytest

from services.core.errors import MediaError
from services.media.kinds import MORE_PRECISE
from services.media.metadata import without_metadata

SECRET = b"+48.1372+011.5755/SECRET-PLACE"
ISO_MEDIA = ("video/mp4", "video/3gpp", "video/3gpp2", "video/quicktime", "audio/mp4")
KINDS = dict.fromkeys(
    (*ISO_MEDIA, *(more for kind in ISO_MEDIA for more in MORE_PRECISE.get(kind, ())))
)


def box(kind: bytes, *content: bytes, large: bool = False) -> bytes:
    inside = b"".join(content)
    if large:
        return struct.pack(">I4sQ", 1, kind, len(inside) + 16) + inside
    return struct.pack(">I4s", len(inside) + 8, kind) + inside


FTYP = box(b"ftyp", b"isom", bytes(4), b"isommp42")
TRACK = box(b"tkhd", b"the matrix") + box(b"mdia", box(b"mdhd", bytes(24)), box(b"minf", b""))
FILMS: dict[str, bytes] = {
    "Android": box(b"moov", box(b"trak", TRACK), box(b"udta", box(b"\xa9xyz", SECRET))),
    "Apple": box(b"moov", box(b"trak", TRACK), box(b"meta", box(b"keys"), box(b"ilst", SECRET))),
    "in a track": box(b"moov", box(b"trak", TRACK, box(b"udta", SECRET), box(b"meta", SECRET))),
    "below a track": box(b"moov", box(b"trak", box(b"mdia", box(b"minf", box(b"meta", SECRET))))),
    "XMP": box(b"uuid", SECRET) + box(b"moov", box(b"trak", TRACK)),
    "hidden": box(b"moov", box(b"trak", TRACK)) + box(b"free", SECRET) + box(b"skip", SECRET),
    "a large box": box(b"moov", box(b"udta", SECRET, large=True), large=True),
    "up to the end": box(b"moov", box(b"trak", TRACK)) + struct.pack(">I4s", 0, b"meta") + SECRET,
    "of a fragment": box(b"moov") + box(b"moof", box(b"traf", box(b"meta", SECRET))),
}
MEDIA = box(b"mdat", b"what is played")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("head", FILMS.values(), ids=FILMS)
def test_the_place_goes_and_what_is_played_stays_where_it_is(head: bytes, kind: str) -> None:
    film = FTYP + MEDIA + head
    clean = without_metadata(film, kind)
    assert b"SECRET" not in clean
    assert not any(name in clean for name in (b"udta", b"meta", b"uuid"))
    assert len(clean) == len(film)
    assert clean.startswith(FTYP + MEDIA)
    if b"tkhd" in film:
        assert clean.index(TRACK[:18]) == film.index(TRACK[:18])


def test_a_film_without_metadata_is_left_as_it_is() -> None:
    film = FTYP + box(b"moov", box(b"trak", TRACK)) + MEDIA
    assert without_metadata(film, "video/mp4") == film


@pytest.mark.parametrize(
    "end",
    [bytes(1), bytes(7), b"ends", MEDIA[:-4], box(b"mdat", b"what", large=True)[:-2]],
    ids=["a byte", "seven bytes", "letters", "a cut mdat", "a cut large mdat"],
)
def test_a_film_that_breaks_off_loses_its_metadata(end: bytes) -> None:
    """A recording that was cut off, and stray bytes behind the last box: players play these."""
    film = FTYP + FILMS["Android"]
    assert without_metadata(film + end, "video/mp4") == without_metadata(film, "video/mp4") + end


def nested(times: int) -> bytes:
    inner = box(b"udta", SECRET)
    for _ in range(times):
        inner = box(b"moov", inner)
    return inner


@pytest.mark.parametrize(
    "made",
    [
        lambda: FTYP + box(b"moov", box(b"udta", SECRET))[:-4],
        lambda: FTYP + box(b"moov", struct.pack(">I4s", 4, b"udta") + SECRET),
        lambda: FTYP + box(b"moov", struct.pack(">I4s", 900, b"udta") + SECRET) + bytes(900),
        lambda: FTYP + struct.pack(">I4s", 900, b"mdat") + FILMS["Android"],
        lambda: FTYP + box(b"moov", struct.pack(">I4s", 900, b"mdat") + SECRET),
        lambda: FTYP + box(b"moov", box(b"udta", SECRET), bytes(7)),
        lambda: FTYP + nested(5_000),
        lambda: FTYP + box(b"free") * 400_000,
    ],
    ids=[
        "cut",
        "too small",
        "over its end",
        "over the head",
        "over within",
        "tail within",
        "deep",
        "many",
    ],
)
def test_a_film_that_is_not_understood_is_refused(made: Callable[[], bytes]) -> None:
    with pytest.raises(MediaError, match="The film or sound is damaged, so the place"):
        without_metadata(made(), "video/mp4")


def test_a_film_with_a_compressed_head_is_not_said_to_be_damaged() -> None:
    with pytest.raises(MediaError, match="cannot be removed from this kind of film"):
        without_metadata(FTYP + box(b"moov", box(b"cmov", SECRET)), "video/quicktime")
