"""Numbers that people type: read by their country first, in the ways of twenty-two countries."""

import pytest

from services.core.errors import NumberError
from services.core.phone_numbers import e164, known_as, peer, sender

# Country: the number in E.164, and how people of the country write it.
MOBILES = {
    "AU": ("+61412345678", "0412 345 678", "412345678", "+61 412 345 678"),
    "BR": ("+5511987654322", "(11) 98765-4322", "11987654322", "+55 (11) 98765-4322"),
    "CA": ("+14165550123", "416-555-0123", "4165550123", "+1 416 555 0123"),
    "CH": ("+41781234567", "078 123 45 67", "781234567", "+41 78 123 45 67"),
    "CN": ("+8613812345679", "138 1234 5679", "13812345679", "+86 138-1234-5679"),
    "DE": ("+4915112345679", "0151/12345679", "15112345679", "+49 (0)151 12345679"),
    "DK": ("+4532123456", "32 12 34 56", "32123456", "+45 32 12 34 56"),
    "ES": ("+34612345678", "612 34 56 78", "612345678", "+34 612 345 678"),
    "FR": ("+33612345678", "06.12.34.56.78", "612345678", "+33 6 12 34 56 78"),
    "GB": ("+447911123456", "07911 123456", "7911123456", "+44 7911 123456"),
    "IE": ("+353850123456", "085 012 3456", "850123456", "+353 85 012 3456"),
    "IN": ("+918123456789", "081234 56789", "8123456789", "+91 81234 56789"),
    "IT": ("+393123456789", "312 345 6789", "3123456789", "+39 312 345 6789"),
    "JP": ("+819012345678", "090-1234-5678", "9012345678", "+81 90-1234-5678"),
    "MX": ("+525512345678", "55 1234 5678", "5512345678", "+52 1 55 1234 5678"),
    "NL": ("+31612345678", "06-12345678", "612345678", "+31 6 12345678"),
    "NO": ("+4740612345", "406 12 345", "40612345", "+47 406 12 345"),
    "PL": ("+48512345678", "512 345 678", "512345678", "+48 512-345-678"),
    "RU": ("+79123456789", "8 (912) 345-67-89", "9123456789", "+7 912 345 67 89"),
    "SE": ("+46701234567", "070-123 45 67", "701234567", "+46 70 123 45 67"),
    "SG": ("+6591234568", "9123 4568", "91234568", "+65 9123 4568"),
    "US": ("+12025550143", "1 (202) 555-0143", "2025550143", "+1.202.555.0143"),
    "ZA": ("+27711234567", "071 123 4567", "711234567", "+27 71 123 4567"),
}
WAYS = [
    pytest.param(country, written, number, id=f"{country} {written}")
    for country, (number, *ways) in MOBILES.items()
    for written in (*ways, number, number[1:], f"00{number[1:]}")
]


@pytest.mark.parametrize(("country", "written", "number"), WAYS)
def test_a_number_is_read_by_its_country_first(country: str, written: str, number: str) -> None:
    assert e164(written, country) == number
    assert peer(written, country) == number
    assert known_as(written, country) == number


@pytest.mark.parametrize(
    ("country", "written", "number"),
    [
        ("US", "6592234568", "+16592234568"),  # Alabama, although Singapore has +65 9223 4568
        ("DE", "13035550177", "+13035550177"),
        ("US", "442079460958", "+442079460958"),
        ("US", "4915112345679", "+4915112345679"),
        ("BR", "12025550143", "+12025550143"),
        ("FR", "+15555550123", "+15555550123"),  # a range that is not given out, yet possible
        ("MX", "5215512345678", "+525512345678"),
        ("US", "+52 1 55 1234 5678", "+525512345678"),
        ("US", "١٢٠٢٥٥٥٠١٤٣", "+12025550143"),
        ("IT", "02 1234 5678", "+390212345678"),
    ],
)
def test_a_number_of_another_country_is_read_by_its_code(
    country: str, written: str, number: str
) -> None:
    assert e164(written, country) == number


@pytest.mark.parametrize(
    ("country", "written"),
    [("US", "555-0143"), ("US", "5550143"), ("GB", "1234"), ("CA", "555 0123"), ("DE", "0")],
)
def test_a_number_without_its_area_code_is_refused_with_the_remedy(
    country: str, written: str
) -> None:
    for read in (e164, peer):
        with pytest.raises(NumberError, match=r"with its country code, such as \+12025550143"):
            read(written, country)


@pytest.mark.parametrize("written", ["555-0143", "5550143"])
def test_what_is_only_locally_possible_is_not_looked_for_either(written: str) -> None:
    with pytest.raises(NumberError, match="area code is missing"):
        known_as(written, "US")


@pytest.mark.parametrize(
    "written",
    ["365Bank", "1-800-FLOWERS", "12025550143x5", "12025550143 ext. 5", "+12025550143;ext=5"],
)
def test_letters_are_never_decoded(written: str) -> None:
    with pytest.raises(NumberError):
        e164(written, "US")
    assert peer(written, "US") == written, "what has letters is a name"


@pytest.mark.parametrize("written", ["", " ", "+++", "+72404", "900123456", "+1202555014", "#"])
def test_what_is_no_number_is_refused_where_one_is_typed(written: str) -> None:
    for read in (e164, peer):
        with pytest.raises(NumberError):
            read(written, "US")


@pytest.mark.parametrize(
    ("country", "code"),
    [("US", "72404"), ("US", "262966"), ("GB", "60777"), ("DE", "82442"), ("IN", "56161")],
)
def test_a_short_code_stays_one(country: str, code: str) -> None:
    assert peer(code, country) == code


@pytest.mark.parametrize("kept", ["+72404", "900123456", "O'Reilly", "someone@example.com"])
def test_an_odd_sender_can_be_looked_for_as_it_is_kept(kept: str) -> None:
    assert known_as(kept, "US") == kept


@pytest.mark.parametrize(("country", "code"), [("GB", "1234"), ("CN", "72404"), ("DE", "11833")])
def test_a_short_code_that_has_written_can_be_looked_for(country: str, code: str) -> None:
    assert sender(code, country) == known_as(code, country) == code
