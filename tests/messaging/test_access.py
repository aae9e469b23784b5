"""Access to conversations: who may have those of a number, and that one module decides it."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from services.gateway import Gateway
from services.messaging.access import ConversationAccess

ROOT = Path(__file__).parents[2]
DESK, SHOP, RESTING = "+12025550101", "+12025550102", "+12025550103"
NOWHERE = "+12025550199"
NUMBERS = (
    {"number": DESK, "carrier": "sandbox", "extensions": ["201", "202"], "emails": ["A@x.example"]},
    {"number": SHOP, "carrier": "sandbox", "extensions": ["201"]},
    {
        "number": RESTING,
        "carrier": "sandbox",
        "extensions": ["201"],
        "emails": ["a@x.example"],
        "enabled": False,
    },
)


@pytest.fixture
def access(make_gateway: Callable[..., Gateway]) -> ConversationAccess:
    return make_gateway(*NUMBERS).access


@pytest.mark.parametrize(
    ("extension", "number", "may"),
    [
        ("201", DESK, True),
        ("202", DESK, True),
        ("201", SHOP, True),
        ("202", SHOP, False),
        ("201", RESTING, False),
        ("201", NOWHERE, False),
        ("203", DESK, False),
        ("", DESK, False),
    ],
)
def test_an_extension_may_have_the_conversations_of_its_enabled_numbers(
    access: ConversationAccess, extension: str, number: str, may: bool
) -> None:
    assert access.extension_may(extension, number) is may
    assert (extension in access.extensions(number)) is may
    assert (number in [setting.number for setting in access.numbers(extension)]) is may
    assert bool(access.lost_by_extension(extension, number)) is not may


@pytest.mark.parametrize(
    ("address", "number", "may"),
    [
        ("A@x.example", DESK, True),
        ("a@X.example", DESK, True),
        ("b@x.example", DESK, False),
        ("a@x.example", SHOP, False),
        ("a@x.example", RESTING, False),
        ("a@x.example", NOWHERE, False),
    ],
)
def test_an_address_may_have_the_messages_of_its_enabled_numbers(
    access: ConversationAccess, address: str, number: str, may: bool
) -> None:
    assert access.address_may(address, number) is may
    assert bool(access.lost_by_address(address, number)) is not may


def test_the_reason_names_the_extension_or_address_and_the_number(
    access: ConversationAccess,
) -> None:
    assert access.lost_by_extension("202", SHOP) == f"Extension 202 no longer has {SHOP}."
    assert access.lost_by_address("b@x.example", DESK) == (
        f"b@x.example no longer gets the messages of {DESK}."
    )
    assert access.lost_by_extension("201", RESTING) == (
        f"Extension 201 no longer has {RESTING}: the number is switched off in Message Settings."
    )


def test_a_change_of_message_settings_counts_at_once(
    access: ConversationAccess, tmp_path: Path, make_gateway: Callable[..., Gateway]
) -> None:
    gateway = make_gateway()
    assert gateway.access.extension_may("201", SHOP)
    gateway.settings.remove(SHOP)
    assert not gateway.access.extension_may("201", SHOP)
    assert SHOP not in json.dumps([setting.number for setting in gateway.access.numbers("201")])


def test_only_this_module_asks_message_settings_for_the_numbers_of_an_extension() -> None:
    asking = {
        str(path.relative_to(ROOT))
        for folder in ("services", "blueprints")
        for path in (ROOT / folder).rglob("*.py")
        if re.search(r"\bfor_extension\(", path.read_text("utf-8"))
    }
    assert asking == {
        "services/message_settings/settings.py",  # the index itself
        "services/messaging/access.py",
    }


def test_an_edit_at_another_node_counts_before_anything_is_withheld(
    make_gateway: Callable[..., Gateway], postgres_url: str
) -> None:
    """A process reads Message Settings once a second; a push in between is not given up."""
    here, there = (make_gateway(DATABASE_URL=postgres_url) for _ in range(2))
    assert not here.access.extension_may("201", SHOP)
    there.settings.put({"number": SHOP, "carrier": "sandbox", "extensions": ["201"]})
    assert here.access.lost_by_extension("201", SHOP) == ""
    assert here.access.lost_by_extension("202", SHOP) != ""
