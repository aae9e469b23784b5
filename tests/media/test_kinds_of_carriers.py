"""Every type of file that a carrier takes is recognised, and has an extension."""

import pytest

from services.media.kinds import FILE_TYPES, detect_content_type
from services.providers import PROVIDERS
from services.providers.base import Provider
from services.providers.voipms import VoipMs

BOX = b"\0\0\0\x18ftyp%s\0\0\0\0%s"
HEADS = {
    "image/jpeg": b"\xff\xd8\xff\xe0",
    "image/png": b"\x89PNG\r\n\x1a\n",
    "image/gif": b"GIF89a",
    "image/webp": b"RIFF\x10\0\0\0WEBPVP8 ",
    "image/bmp": b"BM\x10\0\0\0\0\0\0\0",
    "image/tiff": b"II*\0",
    "image/heic": BOX % (b"heic", b"mif1heic"),
    "image/heif": BOX % (b"mif1", b"mif1heic"),
    "audio/mpeg": b"ID3\x03\0",
    "audio/mp4": BOX % (b"M4A ", b"M4A mp42"),
    "audio/amr": b"#!AMR\n",
    "audio/3gpp": BOX % (b"3gp4", b"3gp43gp6"),
    "audio/3gpp2": BOX % (b"3g2a", b"3g2a3gp6"),
    "audio/aac": b"\xff\xf1P\x80",
    "audio/ogg": b"OggS\0\x02",
    "audio/wav": b"RIFF\x10\0\0\0WAVEfmt ",
    "audio/webm": b"\x1aE\xdf\xa3\x01\0\0\0\0\0\0\x1fB\x82\x84webm",
    "audio/flac": b"fLaC\0\0\0\x22",
    "audio/midi": b"MThd\0\0\0\x06\0\x01",
    "video/mp4": BOX % (b"mp42", b"isommp42"),
    "video/mpeg": b"\0\0\x01\xba\x44",
    "video/quicktime": BOX % (b"qt  ", b"qt  "),
    "video/webm": b"\x1aE\xdf\xa3\x01\0\0\0\0\0\0\x1fB\x82\x84webm",
    "video/ogg": b"OggS\0\x02",
    "video/3gpp": BOX % (b"3gp4", b"3gp43gp6"),
    "video/3gpp2": BOX % (b"3g2a", b"3g2a3gp6"),
    "text/plain": b"words",
    "text/vcard": b"BEGIN:VCARD\r\n",
    "text/calendar": b"BEGIN:VCALENDAR\r\n",
    "text/csv": b"a,b\n",
    "application/pdf": b"%PDF-1.4",
}


@pytest.mark.parametrize("provider", PROVIDERS, ids=lambda provider: provider.name)
def test_what_a_carrier_takes_is_recognised(provider: type[Provider]) -> None:
    for taken in provider.limits.media_types:
        if not taken.endswith("/"):
            assert detect_content_type(HEADS[taken], taken) == taken
            assert FILE_TYPES.guess_extension(taken), taken


def test_voipms_takes_what_its_wiki_names() -> None:
    # https://wiki.voip.ms/article/SMS-MMS: JPG, GIF, PNG, MP3, WAV, MIDI, MP4, 3GP
    named = ("jpeg", "gif", "png", "mpeg", "wav", "midi", "mp4", "3gpp")
    assert {kind.partition("/")[2] for kind in VoipMs.limits.media_types} == set(named)
