"""``flask optouts``, ``flask blocked``, and what ``flask people`` says of them."""

import csv
import json
from functools import partial
from pathlib import Path

from sqlalchemy import Connection, Table

from services.store import opt_outs
from services.store.database.schema import opt_out_flags
from services.store.database.schema import opt_outs as opt_out_table
from tests.cli.conftest import Terminal
from tests.conftest import NUMBER, PEER
from tests.message_steps import receive_text, run_due_jobs

SECOND = "+13035550188"


def empty(tx: Connection, table: Table) -> None:
    tx.execute(table.delete())


def listed(terminal: Terminal, *options: str) -> list[tuple[str, str, str]]:
    found = terminal.json("optouts", "list", *options)
    return [(one["peer"], one["number"], one["source"]) for one in found]


def test_the_operator_records_and_takes_back_with_a_reason(terminal: Terminal) -> None:
    assert "Missing option" in terminal.flask("optouts", "add", PEER, code=2).output
    terminal.flask("optouts", "add", "(303) 555-0177", "--reason", "He called us")
    again = terminal.flask("optouts", "add", PEER, "--reason", "again")
    assert "already" in again.output
    assert listed(terminal) == [(PEER, "*", "operator")]
    terminal.flask("optouts", "add", SECOND, "--number", NUMBER, "--reason", "by letter")
    assert listed(terminal, "--person", SECOND) == [(SECOND, NUMBER, "operator")]
    taken_back = terminal.flask("optouts", "remove", PEER, "--reason", "signed a form")
    assert "carrier" in taken_back.output + taken_back.stderr
    assert listed(terminal) == [(SECOND, NUMBER, "operator")]
    [old] = [one for one in terminal.json("optouts", "list", "--all") if one["lifted_at"]]
    assert (old["lifted_by"], old["lift_reason"]) == ("administrator", "signed a form")
    terminal.flask("optouts", "remove", PEER, "--reason", "x", code=1)


def test_what_is_exported_can_be_imported(terminal: Terminal, tmp_path: Path) -> None:
    terminal.flask("optouts", "add", PEER, "--reason", "=He called")
    terminal.flask("optouts", "add", SECOND, "--reason", "x")
    terminal.flask("optouts", "remove", SECOND, "--reason", "y")
    file = tmp_path / "out.csv"
    terminal.flask("optouts", "export", str(file))
    rows = list(csv.DictReader(file.read_text(encoding="utf-8").splitlines()))
    assert [row["peer"].lstrip("'") for row in rows] == [SECOND, PEER]
    assert rows[1]["detail"] == "'=He called"
    terminal.gateway.store.write(partial(empty, table=opt_out_table))
    assert "1 were recorded" in terminal.flask("optouts", "import", str(file)).output
    assert "1 were known" in terminal.flask("optouts", "import", str(file)).output
    [back] = terminal.gateway.store.read(lambda tx: opt_outs.of(tx, PEER))
    assert (back.number, back.detail) == ("*", "=He called")
    file.write_text("peer,at\n3035550100,2026-01-02\nnonsense!,\n,\n", encoding="utf-8")
    assert "Line 4" in terminal.flask("optouts", "import", str(file), code=1).stderr
    assert len(listed(terminal)) == 1


def test_a_scan_finds_stop_in_what_was_stored_before(terminal: Terminal) -> None:
    for text, peer in (
        ("STOP", PEER), ("hi", PEER), ("Stop", SECOND), ("START", SECOND),
        ("Liked “STOP”", "+13035550100"), ("stop by?", "+13035550101"),
    ):  # fmt: skip
        receive_text(terminal.gateway, text, peer=peer)
    before = terminal.gateway.store.read(lambda tx: opt_outs.of(tx, PEER))
    for table in (opt_out_table, opt_out_flags):
        terminal.gateway.store.write(partial(empty, table=table))
    assert PEER in terminal.flask("optouts", "scan").output
    assert listed(terminal) == []
    terminal.flask("optouts", "scan", "--apply")
    assert listed(terminal) == [(PEER, NUMBER, "scan")]
    [found] = terminal.gateway.store.read(lambda tx: opt_outs.of(tx, PEER))
    assert (found.message_id, found.at) == (before[0].message_id, before[0].at)
    assert terminal.json("optouts", "scan", "--apply") == []
    terminal.flask("optouts", "remove", PEER, "--reason", "agreed again")
    assert terminal.json("optouts", "scan", "--apply") == []


def test_senders_are_blocked_and_no_longer(terminal: Terminal) -> None:
    terminal.flask("blocked", "add", PEER, "--number", NUMBER)
    found = terminal.json("blocked", "list")
    assert [(one["sender"], one["number"]) for one in found] == [(PEER, NUMBER)]
    terminal.flask("blocked", "remove", PEER, code=1)
    terminal.flask("blocked", "remove", PEER, "--number", NUMBER)
    assert terminal.json("blocked", "list") == []


def test_the_proof_is_in_the_export_of_a_person_and_outlives_forgetting(
    terminal: Terminal, tmp_path: Path
) -> None:
    receive_text(terminal.gateway, "STOP", peer=PEER)
    run_due_jobs(terminal.gateway)
    terminal.flask("blocked", "add", PEER)
    terminal.flask("people", "export", PEER, str(tmp_path / "person"))
    content = json.loads((tmp_path / "person" / "person.json").read_text(encoding="utf-8"))
    assert content["opt_outs"][0]["detail"] == "STOP"
    assert content["blocked_for"] == ["*"]
    forgotten = terminal.flask("people", "forget", PEER, "--yes")
    assert "HMAC" in forgotten.output + forgotten.stderr
    assert terminal.json("blocked", "list") == []
    [left] = terminal.json("optouts", "list")
    assert left["peer"].startswith("hmac:")
    assert left["message_id"] is None
    assert PEER not in json.dumps(left)
    again = terminal.flask("optouts", "add", PEER, "--number", NUMBER, "--reason", "x")
    assert "already" in again.output
