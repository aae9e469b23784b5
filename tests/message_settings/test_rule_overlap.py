"""Rules that can never decide, as an earlier rule decides in their place."""

from fnmatch import fnmatchcase
from itertools import product

import pytest

from services.message_settings.rule_overlap import _is_wider, never_deciding
from services.message_settings.rules import InboundRule, When

NIGHT = (When.OUTSIDE, "office")
DAY = (When.INSIDE, "office")
ALL = InboundRule("first")


@pytest.mark.parametrize(
    ("first", "then", "never"),
    [
        (ALL, InboundRule("then", to=("+1",), keywords=("price",)), True),
        (InboundRule("first", continues=True), ALL, False),
        (InboundRule("first", to=("+1", "+2")), InboundRule("then", to=("+2",)), True),
        (InboundRule("first", to=("+1",)), InboundRule("then", to=("+1", "+2")), False),
        (InboundRule("first", to=("+1",)), ALL, False),
        (InboundRule("first", when=NIGHT), InboundRule("then", when=NIGHT, to=("+1",)), True),
        (InboundRule("first", when=NIGHT), InboundRule("then", when=DAY), False),
        (InboundRule("first", when=NIGHT), InboundRule("then"), False),
        (InboundRule("first", keywords=("price",)),
         InboundRule("then", keywords=("price list", "price")), True),
        (InboundRule("first", keywords=("price list",)),
         InboundRule("then", keywords=("price",)), False),
        (InboundRule("first", keywords=("price",)), InboundRule("then"), False),
        (InboundRule("first", senders=("+44*",)),
         InboundRule("then", senders=("+4420*", "whatsapp:+4479460958")), True),
        (InboundRule("first", senders=("+44?",)), InboundRule("then", senders=("+44*",)), False),
        (InboundRule("first", senders=("+44*",)), InboundRule("then", senders=("+4*",)), False),
        (InboundRule("first", senders=("+44*",)), InboundRule("then"), False),
    ],
)  # fmt: skip
def test_a_rule_below_one_with_the_same_or_wider_conditions(
    first: InboundRule, then: InboundRule, never: bool
) -> None:
    assert list(never_deciding([first, then])) == ([(then, first)] if never else [])


def test_the_earlier_rule_that_decides_is_named_not_one_that_never_does() -> None:
    last = InboundRule("last", to=("+1",))
    rules = [ALL, InboundRule("middle", to=("+1",)), last]
    assert [earlier.name for _, earlier in never_deciding(rules)] == ["first", "first"]


def test_a_mask_that_counts_as_wider_fits_all_that_the_other_fits() -> None:
    masks = ["".join(one) for n in (1, 2, 3) for one in product("a?*", repeat=n)]
    words = ["".join(one) for n in (1, 2, 3, 4) for one in product("ab", repeat=n)]
    fits = {mask: {word for word in words if fnmatchcase(word, mask)} for mask in masks}
    wider = [(one, other) for one in masks for other in masks if _is_wider(one, other)]
    assert all(fits[other] <= fits[one] for one, other in wider)
    assert ("a*", "a?") in wider
    assert ("a?", "a*") not in wider
