"""``flask extensions``: who they are, and their names."""

import json
from pathlib import Path

from services.messaging.compose import Reply
from services.store import devices
from tests.cli.conftest import Terminal


def kept(terminal: Terminal) -> object:
    """The extensions as they stand in the document."""
    return json.loads(terminal.gateway.settings.document()).get("extensions")


def test_extensions_are_named_and_listed(terminal: Terminal) -> None:
    terminal.gateway.store.write(lambda tx: devices.add(tx, "1001", "Phone"))
    assert (
        "201 is Ann Example." in terminal.flask("extensions", "name", "201", " Ann Example ").output
    )
    assert kept(terminal) == {"201": {"name": "Ann Example"}}
    listed = terminal.json("extensions", "list")
    assert [(one["extension"], one["name"]) for one in listed] == [
        ("201", "Ann Example"),
        ("1001", None),
    ]
    assert listed[0]["numbers"] == ["+12025550100"]
    assert (listed[0]["devices"], listed[1]["devices"]) == (0, 1)
    assert "Ann Example" in terminal.flask("extensions", "list").output
    for query in ("ann", "2025550100", "201 exam"):
        found = terminal.json("extensions", "list", "--search", query)
        assert [one["extension"] for one in found] == ["201"], query
    assert "No such" in terminal.flask("extensions", "list", "--search", "bob").output
    assert "has no name now" in terminal.flask("extensions", "name", "201", "").output
    assert kept(terminal) is None


def test_a_name_is_checked_as_in_the_document(terminal: Terminal) -> None:
    for extension, name, words in (
        ("201", "x" * 81, "up to 80 characters"),
        ("201", "Ann\nExample", "in one line"),
        ("2 01", "Ann", "32 letters"),
    ):
        assert words in terminal.flask("extensions", "name", extension, name, code=1).stderr
    assert kept(terminal) is None
    terminal.flask("extensions", "name", "201", "Ann \u202e\ud83d")
    assert "\u202e" not in terminal.flask("extensions", "list").output


def test_names_stand_in_lists_and_exports(terminal: Terminal, tmp_path: Path) -> None:
    terminal.flask("extensions", "name", "201", "=Ann Example")
    device = terminal.gateway.store.write(lambda tx: devices.add(tx, "201", "Desk"))[0]
    assert "201 =Ann Example" in terminal.flask("devices", "list").output
    assert terminal.json("devices", "list")[0]["extension_name"] == "=Ann Example"
    reply = Reply(text="Hi", to=("+13035550177",))
    message = terminal.gateway.composer.submit(device, reply)[0]
    assert "=Ann Example (201)" in terminal.flask("messages", "show", message.id).output
    shown = terminal.json("messages", "show", message.id)
    assert shown["extension_name"] == "=Ann Example"
    file = tmp_path / "texts.csv"
    terminal.flask("messages", "export", str(file))
    assert ",'=Ann Example" in file.read_text("utf-8")
