"""Countries of phone numbers, area codes of the North American plan, and where texts may go."""

import pytest
from phonenumbers import (
    SUPPORTED_REGIONS,
    PhoneNumberFormat,
    PhoneNumberType,
    country_code_for_region,
    example_number_for_type,
    format_number,
)

from services.core.phone_numbers import destination, home_countries, is_country

KINDS = (PhoneNumberType.MOBILE, PhoneNumberType.FIXED_LINE, PhoneNumberType.TOLL_FREE)
ALL = sorted(SUPPORTED_REGIONS)

# https://www.nanpa.com: the area codes of +1 that are neither the United States' nor Canada's.
ABROAD = {
    "AG": (268,), "AI": (264,), "AS": (684,), "BB": (246,), "BM": (441,), "BS": (242,),
    "DM": (767,), "DO": (809, 829, 849), "GD": (473,), "GU": (671,), "JM": (658, 876),
    "KN": (869,), "KY": (345,), "LC": (758,), "MP": (670,), "MS": (664,), "PR": (787, 939),
    "SX": (721,), "TC": (649,), "TT": (868,), "VC": (784,), "VG": (284,), "VI": (340,),
}  # fmt: skip
SHARED = ("+1800", "+7800")  # free numbers of all countries with +1 and with +7
EXCHANGES = (200, 222, 345, 456, 555, 678, 700, 888, 999)


def examples(region: str) -> list[str]:
    """A mobile, a fixed and a free number of a country, as far as it has them of its own."""
    found = [example_number_for_type(region, kind) for kind in KINDS]
    written = [format_number(each, PhoneNumberFormat.E164) for each in found if each is not None]
    return [number for number in written if not number.startswith(SHARED)]


def test_in_the_united_states_no_foreign_country_is_allowed_by_default() -> None:
    home = home_countries("US")
    wrong = {
        (region, number)
        for region in ALL
        for number in examples(region)
        if (destination(number) in home) != (region in ("US", "CA", "PR", "VI"))
    }
    assert not wrong
    assert len([number for region in ALL for number in examples(region)]) > 550


def test_at_home_anywhere_only_what_is_home_is_allowed() -> None:
    reached = {region: {destination(number) for number in examples(region)} for region in ALL}
    for country in ALL:
        home = home_countries(country)
        assert reached[country] <= home, country
        code = country_code_for_region(country)
        others = [region for region in ALL if country_code_for_region(region) != code]
        assert not [region for region in others if reached[region] & home], country


def test_every_area_code_of_the_north_american_plan_is_in_its_country() -> None:
    known = {code: country for country, codes in ABROAD.items() for code in codes}
    wrong = []
    for code in range(200, 1000):
        for exchange in EXCHANGES:
            found = destination(f"+1{code}{exchange}0143")
            expected = (known[code],) if code in known else ("US", "CA")
            if code == 900:
                expected = ("premium",)
            if found not in expected:
                wrong.append((code, exchange, found))
    assert not wrong


@pytest.mark.parametrize(
    ("number", "country"),
    [
        ("+12029765550", "premium"),
        ("+19005550143", "premium"),
        ("+449098790000", "premium"),
        ("+881612345678", "001"),
        ("+883510012345", "001"),
        ("+77710009998", "KZ"),
        ("+79123456789", "RU"),
        ("+447797712345", "JE"),
        ("+12995550143", "US"),  # an area code that nobody has yet
    ],
)
def test_numbers_that_look_like_others(number: str, country: str) -> None:
    assert destination(number) == country


def test_russia_and_kazakhstan_are_two_countries() -> None:
    assert home_countries("RU") == {"RU"}
    assert home_countries("KZ") == {"KZ"}
    assert home_countries("JM") == {"JM", "US", "CA", "PR", "VI"}
    assert home_countries("XX") == {"XX"}
    assert not is_country("UK")
