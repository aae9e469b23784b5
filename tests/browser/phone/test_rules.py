"""Rules in the phone app: the night extension and its automatic answer, a group with turns."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.browser.phone.world import SALES, SHARED_NUMBER, World, enter, row, said, spoken, write
from tests.message_steps import hours_from_now
from tests.server import UNLIMITED, Server, running_server
from tests.waiting import eventually

Open = Callable[..., Any]
TEAM = ("201", "202", "203")
CLOSED = "We open at 8. This is an automatic answer."


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server whose office is closed now, and whose sales texts go to three people in turn."""
    storage = tmp_path_factory.mktemp("rules") / "storage"
    storage.mkdir()
    office = {"timezone": "UTC", "mon-sun": [hours_from_now(2, 4)]}
    document = {
        "version": 2,
        "numbers": [
            {"number": SHARED_NUMBER, "carrier": "sandbox", "extensions": ["201"]},
            {"number": SALES, "carrier": "sandbox"},
        ],
        "hours": {"office": office},
        "groups": {"sales": {"extensions": TEAM, "assign": "round-robin"}},
        "inbound": [
            {"name": "Sales", "to": [SALES], "deliver": {"group": "sales"}},
            {
                "name": "Night",
                "to": [SHARED_NUMBER],
                "when": "outside office",
                "deliver": {"extensions": ["209"]},
                "reply": CLOSED,
            },
        ],
    }
    (storage / "message_settings.json").write_text(json.dumps(document), "utf-8")
    with running_server(storage, UNLIMITED) as running:
        yield running


def test_at_night_a_text_is_answered_once_and_goes_to_the_night_extension(
    phone: Open, world: World
) -> None:
    peer, night = world.peer(), phone("209")
    world.text(peer, "Are you open?")
    row(night, spoken(peer)).wait_for()
    enter(night, spoken(peer))
    said(night, "Are you open?").wait_for()
    said(night, CLOSED).get_by_text("Sent", exact=True).wait_for()
    world.text(peer, "Hello?")
    said(night, "Hello?").wait_for()
    write(night, "I am awake. What is it?")
    said(night, "I am awake. What is it?").get_by_text("Sent", exact=True).wait_for()
    words = [one["text"] for one in world.messages(peer, extension="209")]
    assert words == ["Are you open?", CLOSED, "Hello?", "I am awake. What is it?"]
    shown = world.server.flask("messages", "list", "--json", "--number", SHARED_NUMBER)
    asked = [one for one in json.loads(shown.stdout) if one["from"] == peer]
    assert [one["rule"] for one in asked] == ["Night", "Night"]


def test_three_phones_get_the_next_person_in_turn(phone: Open, world: World) -> None:
    phones = {extension: phone(extension) for extension in TEAM}
    peers = [world.peer() for _ in range(4)]
    owners = []
    for peer in peers:
        world.text(peer, "I want to buy one", to=SALES)
        found = eventually(lambda peer=peer: world.conversation(peer, SALES))  # type: ignore[misc]
        owners.append(found["owner"])
    assert sorted(owners[:3]) == list(TEAM)
    assert owners[3] == owners[0]
    for extension, page in phones.items():
        for peer, owner in zip(peers[:3], owners, strict=False):
            enter(page, spoken(peer))
            words = "yours" if owner == extension else f"extension {owner} answers"
            page.locator(".talk-under", has_text=words).wait_for()
    first = phones[owners[0]]
    enter(first, spoken(peers[0]))
    write(first, "With pleasure")
    said(first, "With pleasure").get_by_text("Sent", exact=True).wait_for()
    assert world.conversation(peers[0], SALES)["owner"] == owners[0]
