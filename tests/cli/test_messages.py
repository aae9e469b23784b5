"""``flask messages``: list, show, retry, settle, export."""

import csv
import io
import json
import time
from pathlib import Path
from typing import Any

import pytest

from services.core.messages import DeliveryStatus, Message, Status, WebhookCall
from services.gateway import Gateway
from services.messaging.compose import Reply
from services.store import jobs, statuses
from services.store.jobs import Job, JobKind
from tests.cli.conftest import DEVICE, NASTY, Terminal, inbound
from tests.conftest import NUMBER, PEER


def given_up(gateway: Gateway, status: Status = Status.FAILED) -> Message:
    """A sent text whose job was given up."""
    message, _ = gateway.composer.submit(DEVICE, Reply(text="Yes", to=(PEER,)))

    def give_up(tx: Any) -> None:
        claimed = jobs.lease(tx, "worker", "send:sandbox", 1, time.time() + 1)
        jobs.give_up(tx, claimed[0], "The number is not in service.")
        statuses.advance(tx, message.id, status, code="4720", reason="Not in service.")

    gateway.store.write(give_up)
    return message


def test_messages_are_listed_by_what_is_asked_for(desk: Terminal) -> None:
    came = inbound(desk.gateway, "first")
    lost = inbound(desk.gateway, "nobody's", "+12025550109")
    sent, _ = desk.gateway.composer.submit(DEVICE, Reply(text="back", to=("+13035550178",)))

    def ids(*options: str) -> list[str]:
        return [message["id"] for message in desk.json("messages", "list", *options)]

    assert ids() == [sent.id, lost.id, came.id]
    assert ids("--limit", "1") == [sent.id]
    assert ids("--unrouted") == [lost.id]
    assert ids("--status", "queued") == [sent.id]
    assert ids("--number", "(202) 555-0100") == [sent.id, came.id]
    assert ids("--peer", "303 555 0178") == [sent.id]
    assert ids("--peer", "72404") == []
    assert ids("--text", "FIRS") == [came.id]
    assert ids("--text", "nobody") == ids("--text", "nobody", "--number", "2025550109") == [lost.id]
    assert ids("--text", "nobody", "--number", NUMBER) == ids("--text", "!") == []
    table = desk.flask("messages", "list").output.splitlines()
    assert [line.split()[0] for line in table[1:]] == [sent.id, lost.id, came.id]
    assert "unrouted" in table[2]


@pytest.mark.parametrize(
    ("options", "code"),
    [
        (["--number", "nonsense"], 1),
        (["--status", "gone"], 2),
        (["--limit", "0"], 2),
        (["--dead", "--unrouted"], 2),
        (["--dead", "--text", "x"], 2),
        (["--since", "yesterday"], 1),
        (["--direction", "up"], 2),
        (["--carrier", "nobody"], 2),
    ],
)
def test_a_question_that_makes_no_sense_is_refused(
    desk: Terminal, options: list[str], code: int
) -> None:
    assert "Error: " in desk.flask("messages", "list", *options, code=code).stderr


def test_a_text_cannot_play_with_the_terminal(desk: Terminal) -> None:
    message = inbound(desk.gateway, NASTY)
    listed = desk.flask("messages", "list").output
    shown = desk.flask("messages", "show", message.id).output
    scripted = desk.flask("messages", "list", "--json").output
    for output in (listed, shown, scripted):
        assert not any(character in output for character in "\x1b\x9b\u202e\r")
    assert "pay\\u202egpj.exe\\x1b[2J\\nnow" in listed
    assert "  pay\\u202egpj.exe\\x1b[2J\n  now" in shown
    assert json.loads(scripted)[0]["text"] == NASTY


def test_emoji_stay_whole(desk: Terminal) -> None:
    inbound(desk.gateway, "family 👩‍👧 ❤️")
    assert "family 👩‍👧 ❤️" in desk.flask("messages", "list").output


def test_a_message_is_shown_with_its_attempts_and_receipts(desk: Terminal) -> None:
    message = given_up(desk.gateway)
    told = DeliveryStatus(
        Status.FAILED, "refused", None, message.id, PEER, "4720", "Not in service."
    )
    desk.gateway.store.write(lambda tx: statuses.record_status(tx, "sandbox", told))
    shown = desk.flask("messages", "show", message.id).output
    for words in (message.id, "outbound", "4720 Not in service.", "given up", "refused", "  Yes\n"):
        assert words in shown
    content = desk.json("messages", "show", message.id)
    assert content["error"] == {"code": "4720", "reason": "Not in service."}
    [job] = content["jobs"]
    assert (job["kind"], job["state"], job["attempts"]) == ("send", "dead", 1)
    assert job["error"] == "The number is not in service."
    [receipt] = content["receipts"]
    assert (receipt["event"], receipt["code"], receipt["peer"]) == ("refused", "4720", PEER)


def test_a_message_that_is_not_there_is_said_so(desk: Terminal) -> None:
    for command in ("show", "retry"):
        assert "There is no" in desk.flask("messages", command, "nothing", code=1).stderr


def test_what_was_given_up_is_listed_and_tried_again(desk: Terminal) -> None:
    assert "Nothing was given up" in desk.flask("messages", "list", "--dead").output
    message = given_up(desk.gateway)
    assert "The number is not in service." in desk.flask("messages", "list", "--dead").output
    [letter] = desk.json("messages", "list", "--dead")
    assert (letter["message_id"], letter["error"]) == (message.id, "The number is not in service.")
    assert "Due again: send" in desk.flask("messages", "retry", message.id).output
    assert desk.json("messages", "list", "--dead") == []
    assert desk.json("messages", "show", message.id)["status"] == "queued"
    assert "Nothing was given up" in desk.flask("messages", "retry", message.id).output


def test_what_may_have_been_sent_is_sent_again_only_on_request(desk: Terminal) -> None:
    message = given_up(desk.gateway, Status.UNKNOWN)
    refused = desk.flask("messages", "retry", message.id, code=1).stderr
    assert "--resend-unknown" in refused
    assert len(desk.json("messages", "list", "--dead")) == 1
    desk.flask("messages", "retry", message.id, "--resend-unknown")
    assert desk.json("messages", "list", "--dead") == []


def test_one_part_or_everything_of_a_kind_is_tried_again(desk: Terminal) -> None:
    first, second = given_up(desk.gateway), given_up(desk.gateway)
    doubtful = given_up(desk.gateway, Status.UNKNOWN)
    dead = {one["message_id"]: str(one["id"]) for one in desk.json("messages", "list", "--dead")}
    part = ("--job", dead[first.id])
    assert "Nothing" in desk.flask("messages", "retry", second.id, *part).output
    assert "Due again" in desk.flask("messages", "retry", first.id, *part).output
    desk.flask("messages", "retry", "--all", "send", code=1)  # asked first, and nobody answers
    assert len(desk.json("messages", "list", "--dead")) == 2
    told = desk.flask("messages", "retry", "--all", "send", "--yes").output
    assert told.endswith("Due again: 1. Left alone: 1.\n")
    assert [one["message_id"] for one in desk.json("messages", "list", "--dead")] == [doubtful.id]


@pytest.mark.parametrize(
    "arguments",
    [
        ("retry",),
        ("retry", "x", "--all", "send"),
        ("retry", "--all", "nothing"),
        ("settle", "x"),
    ],
)
def test_what_to_set_right_must_be_said(desk: Terminal, arguments: tuple[str, ...]) -> None:
    desk.flask("messages", *arguments, code=2)


def test_what_may_have_been_sent_is_settled(desk: Terminal) -> None:
    sent, again = (given_up(desk.gateway, Status.UNKNOWN) for _ in range(2))
    assert "it was sent" in desk.flask("messages", "settle", sent.id, "--sent").output
    assert "sent again" in desk.flask("messages", "settle", again.id, "--send-again").output
    shown = desk.json("messages", "show", sent.id)
    assert shown["status"] == "sent"
    assert shown["timeline"][-1]["title"] == "The operator says that it was sent"
    assert desk.json("messages", "show", again.id)["status"] == "queued"
    for way in ("--sent", "--send-again"):
        assert "It is known" in desk.flask("messages", "settle", sent.id, way, code=1).stderr


def test_what_waits_for_a_number_is_delivered(desk: Terminal) -> None:
    inbound(desk.gateway, number="+12025550109")
    assert desk.json("messages", "route") == {"delivered": 0}
    desk.flask("settings", "set", "2025550109", "--carrier", "sandbox", "--extension", "202")
    assert desk.flask("messages", "route").output.splitlines()[-1] == "1 delivered."


def test_messages_are_exported_as_they_were_chosen(desk: Terminal, tmp_path: Path) -> None:
    inbound(desk.gateway, "=1+1")
    desk.gateway.composer.submit(DEVICE, Reply(text="mine", to=(PEER,)))
    target = tmp_path / "out.csv"
    desk.flask("messages", "export", str(target), "--direction", "in")
    rows = list(csv.DictReader(io.StringIO(target.read_text("utf-8-sig"), newline="")))
    assert [(row["direction"], row["number"], row["text"]) for row in rows] == [
        ("in", NUMBER, "'=1+1")
    ]
    written = desk.flask("messages", "export", "-", "--json", "--text", "mine").stdout
    assert [message["text"] for message in json.loads(written)] == ["mine"]


def test_a_call_is_dropped_after_a_question(desk: Terminal) -> None:
    provider = desk.gateway.providers["sandbox"]
    query = f"token={provider.webhook_token}"
    desk.gateway.receiver.receive(provider, WebhookCall("POST", {}, query, b'["odd"]'))
    [row] = desk.json("quarantine", "list")
    desk.flask("quarantine", "drop", str(row["id"]), code=1)
    assert desk.json("quarantine", "list") == [row]
    desk.flask("quarantine", "drop", str(row["id"]), "--yes")
    assert desk.json("quarantine", "list") == []
    desk.flask("quarantine", "drop", str(row["id"]), "--yes", code=1)


def test_a_job_of_every_kind_can_be_shown(desk: Terminal) -> None:
    message = inbound(desk.gateway)
    every = [Job(kind, message.id, "somewhere", target=f"t-{kind}") for kind in JobKind]
    desk.gateway.store.write(lambda tx: jobs.add(tx, every))
    shown = desk.flask("messages", "show", message.id).output
    for words in ("Handing it to somewhere", "Push to", "Mail to t-email", "Fetching t-fetch"):
        assert words in shown
    assert "Asking somewhere what became of it: due" in shown
