"""``flask bulksends``, and what ``flask people`` knows of bulk sends."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from services.messaging.bulk_recipients import recipient
from services.messaging.bulk_sending import BulkRequest
from tests.cli.conftest import Terminal
from tests.conftest import NUMBER_ENTRY, PEER

ANN = "+13035550188"


@pytest.fixture
def terminal(make_terminal: Callable[..., Terminal]) -> Terminal:
    return make_terminal(NUMBER_ENTRY, BULK_SENDING="true")


def make(terminal: Terminal, *numbers: str) -> str:
    listed = tuple(recipient(line, number, {}) for line, number in enumerate(numbers, 1))
    asked = BulkRequest("Closed", "no\x1b[2Jon", listed)
    return terminal.gateway.bulk_sending.create("201", asked, "extension 201")[0].id


def test_they_are_listed_shown_and_cancelled(terminal: Terminal) -> None:
    assert "There is no bulk send." in terminal.flask("bulksends", "list").output
    made = make(terminal, PEER, ANN)
    assert "2 scheduled" in terminal.flask("bulksends", "list").output
    [listed] = terminal.json("bulksends", "list")
    assert (listed["id"], listed["counts"]) == (made, {"scheduled": 2})
    shown = terminal.flask("bulksends", "show", made).output
    assert PEER in shown
    assert "\x1b" not in shown
    assert terminal.json("bulksends", "show", made, "--state", "sent")["rows"] == []
    terminal.gateway.bulk_release.release_due()
    said = terminal.flask("bulksends", "cancel", made)
    assert "queued" in said.stdout
    assert "on its way" in said.stderr
    rows = terminal.json("bulksends", "show", made)["rows"]
    assert {row["state"] for row in rows} <= {"queued", "cancelled"}
    terminal.flask("bulksends", "show", made[:-4] + "0000", code=1)
    terminal.flask("bulksends", "cancel", made[:-4] + "0000", code=1)
    terminal.flask("bulksends", "show", "12", code=1)


def test_people_know_where_they_were_left_out(terminal: Terminal, tmp_path: Path) -> None:
    terminal.flask("optouts", "add", PEER, "--reason", "by letter")
    made = make(terminal, PEER, ANN)
    terminal.flask("people", "export", PEER, str(tmp_path / "them"))
    person = json.loads((tmp_path / "them" / "person.json").read_text("utf-8"))
    [left_out] = person["left_out_of_bulk_sends"]
    assert (left_out["name"], left_out["code"]) == ("Closed", "opted_out")
    terminal.flask("people", "forget", PEER, "--yes")
    rows = terminal.json("bulksends", "show", made)["rows"]
    assert [row["number"] for row in rows] == [ANN]
