"""vCards as phones and address books export them, and as they are written here."""

import pytest

from services.core.vcard import Card, is_vcard, read_cards, write_card

OLD_PHONE = (
    b"BEGIN:VCARD\r\nVERSION:2.1\r\n"
    b"N;CHARSET=UTF-8;ENCODING=QUOTED-PRINTABLE:=C3=84rzte=\r\n=20Haus;J=C3=B6rg;;;\r\n"
    b"TEL;CELL;PREF:+49 151 1234567\r\n"
    b"TEL;X-Custom(CHARSET=UTF-8,ENCODING=QUOTED-PRINTABLE,A):123456\r\n"
    b"PHOTO;ENCODING=BASE64;JPEG:/9j/4AAQSkZJRgABAQAAAQ\r\n /2wBDAAgGBgcGBQgHBwcJC\r\n\r\n"
    b"END:VCARD\r\n"
)
APPLE = (
    b"BEGIN:VCARD\r\nVERSION:3.0\r\nPRODID:-//Apple Inc.//iPhone OS 17.0//EN\r\n"
    b"N:Example;Ann;;Dr.;\r\nFN:Dr. Ann Example\r\nORG:Harbour\\, Inc.;Desk\r\n"
    b'item1.TEL;type="CELL,pref":(303) 555-0177\r\nitem1.X-ABLabel:_$!<Mobile>!$_\r\n'
    b"TEL;type=WORK;type=VOICE:303-555-0178\r\nNOTE:Likes tea\\, not coffee\\nKnows Bob\r\n"
    b"END:VCARD\r\n"
)
NEW = (
    'BEGIN:VCARD\nVERSION:4.0\nFN:Büro\nTEL;VALUE=uri;TYPE="voice,home":tel:+1-303-555-0177;ext=12\n'
    "NOTE:A long\n  note\nEND:VCARD\n"
).encode()


@pytest.mark.parametrize(
    ("content", "name", "numbers", "note"),
    [
        (OLD_PHONE, "Jörg Ärzte Haus", ["+49 151 1234567", "123456"], ""),
        (
            APPLE,
            "Dr. Ann Example",
            ["(303) 555-0177", "303-555-0178"],
            "Likes tea, not coffee\nKnows Bob",
        ),
        (NEW, "Büro", ["+1-303-555-0177"], "A long note"),
        (NEW.decode().encode("utf-16"), "Büro", ["+1-303-555-0177"], "A long note"),
        (b"BEGIN:VCARD\nN:M\xfcller;Eva\nTEL:1\n", "Eva Müller", ["1"], ""),
        (b"BEGIN:VCARD\nORG:Harbour;Desk\nTEL:1\nTEL:1\nEND:VCARD", "Harbour Desk", ["1"], ""),
        (
            b"BEGIN:VCARD\nFN;CHARSET=ISO-8859-1;ENCODING=QUOTED-PRINTABLE:J=F6rg\nTEL:",
            "Jörg",
            [],
            "",
        ),
        (b"BEGIN:VCARD\nFN;CHARSET=no-such;ENCODING=QUOTED-PRINTABLE:=ZZ=41\n", "=ZZA", [], ""),
        (b'BEGIN:VCARD\nFN;X="a:Ann\nTEL:1\n', "Ann", ["1"], ""),
        (b"BEGIN:VCARD\nORG:A\\\\;B\\;C;;D\\\nTEL:1\n", "A\\ B;C D\\", ["1"], ""),
    ],
)
def test_cards_are_read(content: bytes, name: str, numbers: list[str], note: str) -> None:
    assert is_vcard(content)
    (card,) = read_cards(content)
    assert (card.name, card.numbers, card.note) == (name, numbers, note)


def test_each_card_says_its_line() -> None:
    content = b"\nBEGIN:VCARD\nFN:A\nEND:VCARD\nstray\nBEGIN:VCARD\nFN:B\nBEGIN:VCARD\nFN:C\n"
    assert [(card.line, card.name) for card in read_cards(content)] == [
        (2, "A"),
        (6, "B"),
        (8, "C"),
    ]


@pytest.mark.parametrize(
    "content", [b"", b"\x00" * 50, b"END:VCARD", b"=\n" * 9, b";:\n" * 9, b"\xff\xfe\xff"]
)
def test_what_is_no_card_breaks_nothing(content: bytes) -> None:
    assert list(read_cards(content)) == []
    list(read_cards(b"BEGIN:VCARD\n" + content))


@pytest.mark.parametrize("version", ["3.0", "4.0"])
@pytest.mark.parametrize("number", ["+13035550177", "72404", "O'Reilly; Inc"])
def test_a_written_card_is_read_as_it_was(version: str, number: str) -> None:
    name, note = "Ann; B\\C, D 📞" * 12, "Line 1\nLine; 2\\n"
    written = write_card(number, name, note, version)  # type: ignore[arg-type]
    assert max(map(len, written.encode().split(b"\r\n"))) <= 75
    (card,) = read_cards(written.encode())
    assert card == Card(1, name, card.parts_of_name, "", [number], note)
