"""``flask messages``: list, show, retry, settle, export."""

import csv
import io
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from services.core.messages import DeliveryStatus, Message, Status, WebhookCall, rfc3339
from services.gateway import Gateway
from services.messaging.compose import Reply
from services.store import job_leasing, jobs, statuses
from services.store.database import clock
from services.store.jobs import Job, JobKind
from tests.cli.conftest import DEVICE, NASTY, Terminal, inbound
from tests.conftest import NUMBER, NUMBER_ENTRY, PEER
from tests.message_steps import hours_from_now, receive_call


def given_up(gateway: Gateway, status: Status = Status.FAILED) -> Message:
    """A sent text whose job was given up."""
    message, _ = gateway.composer.submit(DEVICE, Reply(text="Yes", to=(PEER,)))

    def give_up(tx: Any) -> None:
        claimed = job_leasing.lease(tx, "worker", "send:sandbox", 1, time.time() + 1)
        jobs.give_up(tx, claimed[0], "The number is not in service.")
        statuses.advance(tx, message.id, status, code="4720", reason="Not in service.")

    gateway.store.write(give_up)
    return message


def test_messages_are_listed_by_what_is_asked_for(terminal: Terminal) -> None:
    came = inbound(terminal.gateway, "first")
    lost = inbound(terminal.gateway, "nobody's", "+12025550109")
    sent, _ = terminal.gateway.composer.submit(DEVICE, Reply(text="back", to=("+13035550178",)))

    def ids(*options: str) -> list[str]:
        return [message["id"] for message in terminal.json("messages", "list", *options)]

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
    table = terminal.flask("messages", "list").output.splitlines()
    assert [line.split()[0] for line in table[1:4]] == [one.id[-8:] for one in (sent, lost, came)]
    assert "unassigned" in table[2]
    assert "unassigned" in terminal.flask("messages", "show", lost.id).output


def test_scheduled_texts_are_listed_with_their_times_and_why_they_wait(
    make_terminal: Callable[..., Terminal],
) -> None:
    hours = f"GB {hours_from_now(2, 4)} UTC"
    env = {"SCHEDULED_COUNTRY_HOURS": hours, "SEND_COUNTRIES": "US, GB"}
    terminal = make_terminal(NUMBER_ENTRY, APP_TIMEZONE="America/New_York", **env)
    gateway = terminal.gateway
    gateway.composer.submit(DEVICE, Reply(text="at once", to=(PEER,)))
    asked = gateway.store.read(clock.now) + 60.0
    for to in (PEER, "+442071838750"):
        gateway.composer.submit(DEVICE, Reply(text="later", to=(to,), send_at=asked))
    listed = terminal.json("messages", "list", "--status", "scheduled")
    assert [one["waits_because"] is None for one in listed] == [False, True]
    assert listed[0]["waits_because"].startswith("Quiet hours in GB until ")
    assert listed[1]["send_at"] == rfc3339(asked)
    heading, *lines = terminal.flask("messages", "list").stdout.splitlines()
    assert "TO BE SENT" in heading
    assert listed[0]["waits_because"] in lines[0]
    assert f"{gateway.local_time.of(asked):%Y-%m-%d %H:%M}" in lines[1]
    assert gateway.local_time.of(asked).strftime("%Z") in ("EST", "EDT")
    assert "Quiet hours" not in lines[1] + lines[2]
    assert "TO BE SENT" not in terminal.flask("messages", "list", "--status", "queued").stdout


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
    terminal: Terminal, options: list[str], code: int
) -> None:
    assert "Error: " in terminal.flask("messages", "list", *options, code=code).stderr


def test_a_text_cannot_play_with_the_terminal(terminal: Terminal) -> None:
    message = inbound(terminal.gateway, NASTY)
    listed = terminal.flask("messages", "list").output
    shown = terminal.flask("messages", "show", message.id).output
    scripted = terminal.flask("messages", "list", "--json").output
    for output in (listed, shown, scripted):
        assert not any(character in output for character in "\x1b\x9b\u202e\r")
    assert "pay\\u202egpj.exe\\x1b[2J\\nnow" in listed
    assert "  pay\\u202egpj.exe\\x1b[2J\n  now" in shown
    assert json.loads(scripted)[0]["text"] == NASTY


def test_emoji_stay_whole(terminal: Terminal) -> None:
    inbound(terminal.gateway, "family 👩‍👧 ❤️")
    assert "family 👩‍👧 ❤️" in terminal.flask("messages", "list").output


def test_a_message_is_shown_with_its_attempts_and_receipts(terminal: Terminal) -> None:
    message = given_up(terminal.gateway)
    told = DeliveryStatus(
        Status.FAILED, "refused", None, message.id, PEER, "4720", "Not in service."
    )
    terminal.gateway.store.write(lambda tx: statuses.record_status(tx, "sandbox", told))
    shown = terminal.flask("messages", "show", message.id).output
    ended = "Handing it to Sandbox: could not be delivered"
    for words in (message.id, "outbound", "4720 Not in service.", ended, "refused", "  Yes\n"):
        assert words in shown
    content = terminal.json("messages", "show", message.id)
    assert content["error"] == {"code": "4720", "reason": "Not in service."}
    [job] = content["jobs"]
    assert (job["kind"], job["state"], job["attempts"]) == ("send", "dead", 1)
    assert job["error"] == "The number is not in service."
    [receipt] = content["receipts"]
    assert (receipt["event"], receipt["code"], receipt["peer"]) == ("refused", "4720", PEER)


def test_a_message_that_is_not_there_is_said_so(terminal: Terminal) -> None:
    for command in ("show", "retry"):
        assert "There is no" in terminal.flask("messages", command, "nothing", code=1).stderr


def test_what_could_not_be_delivered_is_listed_and_tried_again(terminal: Terminal) -> None:
    assert "Everything was delivered" in terminal.flask("messages", "list", "--dead").output
    message = given_up(terminal.gateway)
    assert "The number is not in service." in terminal.flask("messages", "list", "--dead").output
    [letter] = terminal.json("messages", "list", "--dead")
    assert (letter["message_id"], letter["error"]) == (message.id, "The number is not in service.")
    assert "Due again: send" in terminal.flask("messages", "retry", message.id).output
    assert terminal.json("messages", "list", "--dead") == []
    assert terminal.json("messages", "show", message.id)["status"] == "queued"
    assert "left to try again" in terminal.flask("messages", "retry", message.id).output


def test_what_may_have_been_sent_is_sent_again_only_on_request(terminal: Terminal) -> None:
    message = given_up(terminal.gateway, Status.UNKNOWN)
    refused = terminal.flask("messages", "retry", message.id, code=1).stderr
    assert "--resend-unknown" in refused
    assert len(terminal.json("messages", "list", "--dead")) == 1
    terminal.flask("messages", "retry", message.id, "--resend-unknown")
    assert terminal.json("messages", "list", "--dead") == []


def test_one_part_or_everything_of_a_kind_is_tried_again(terminal: Terminal) -> None:
    first, second = given_up(terminal.gateway), given_up(terminal.gateway)
    doubtful = given_up(terminal.gateway, Status.UNKNOWN)
    dead = {
        one["message_id"]: str(one["id"]) for one in terminal.json("messages", "list", "--dead")
    }
    part = ("--job", dead[first.id])
    assert "Nothing" in terminal.flask("messages", "retry", second.id, *part).output
    assert "Due again" in terminal.flask("messages", "retry", first.id, *part).output
    terminal.flask("messages", "retry", "--all", "send", code=1)  # asked first, and nobody answers
    assert len(terminal.json("messages", "list", "--dead")) == 2
    told = terminal.flask("messages", "retry", "--all", "send", "--yes").output
    assert told.endswith("Due again: 1. Left alone: 1.\n")
    assert [one["message_id"] for one in terminal.json("messages", "list", "--dead")] == [
        doubtful.id
    ]


@pytest.mark.parametrize(
    "arguments",
    [
        ("retry",),
        ("retry", "x", "--all", "send"),
        ("retry", "--all", "nothing"),
        ("settle", "x"),
    ],
)
def test_what_to_set_right_must_be_said(terminal: Terminal, arguments: tuple[str, ...]) -> None:
    terminal.flask("messages", *arguments, code=2)


def test_what_may_have_been_sent_is_settled(terminal: Terminal) -> None:
    sent, again = (given_up(terminal.gateway, Status.UNKNOWN) for _ in range(2))
    assert "it was sent" in terminal.flask("messages", "settle", sent.id, "--sent").output
    assert "sent again" in terminal.flask("messages", "settle", again.id, "--send-again").output
    shown = terminal.json("messages", "show", sent.id)
    assert shown["status"] == "sent"
    assert shown["timeline"][-1]["title"] == "The administrator says that it was sent"
    assert terminal.json("messages", "show", again.id)["status"] == "queued"
    for way in ("--sent", "--send-again"):
        assert "It is known" in terminal.flask("messages", "settle", sent.id, way, code=1).stderr


def test_what_waits_for_a_number_is_delivered(terminal: Terminal) -> None:
    inbound(terminal.gateway, number="+12025550109")
    assert terminal.json("messages", "route") == {"delivered": 0}
    terminal.flask("settings", "set", "2025550109", "--carrier", "sandbox", "--extension", "202")
    assert terminal.flask("messages", "route").output.splitlines()[-1] == "1 delivered."


def test_messages_are_exported_as_they_were_chosen(terminal: Terminal, tmp_path: Path) -> None:
    inbound(terminal.gateway, "=1+1")
    terminal.gateway.composer.submit(DEVICE, Reply(text="mine", to=(PEER,)))
    target = tmp_path / "out.csv"
    terminal.flask("messages", "export", str(target), "--direction", "in")
    rows = list(csv.DictReader(io.StringIO(target.read_text("utf-8-sig"), newline="")))
    assert [(row["direction"], row["number"], row["text"]) for row in rows] == [
        ("in", NUMBER, "'=1+1")
    ]
    written = terminal.flask("messages", "export", "-", "--json", "--text", "mine").stdout
    assert [message["text"] for message in json.loads(written)] == ["mine"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_an_export_over_the_file_of_another_user_can_be_read_by_its_maker_alone(
    terminal: Terminal, tmp_path: Path
) -> None:
    target, link = tmp_path / "theirs.csv", tmp_path / "link.csv"
    target.write_text("of yesterday")
    os.chown(target, 65534, 65534)
    link.symlink_to(target)
    terminal.flask("messages", "export", str(link))
    about = target.stat()
    assert (about.st_uid, about.st_gid, about.st_mode & 0o777) == (0, os.getegid(), 0o600)
    assert link.is_symlink()


def test_a_call_is_dropped_after_a_question(terminal: Terminal) -> None:
    provider = terminal.gateway.providers["sandbox"]
    query = f"token={provider.webhook_token}"
    receive_call(terminal.gateway, provider, WebhookCall("POST", {}, query, b'["odd"]'))
    [row] = terminal.json("quarantine", "list")
    terminal.flask("quarantine", "drop", str(row["id"]), code=1)
    assert terminal.json("quarantine", "list") == [row]
    terminal.flask("quarantine", "drop", str(row["id"]), "--yes")
    assert terminal.json("quarantine", "list") == []
    terminal.flask("quarantine", "drop", str(row["id"]), "--yes", code=1)


def test_a_job_of_every_kind_can_be_shown(terminal: Terminal) -> None:
    message = inbound(terminal.gateway)
    every = [Job(kind, message.id, "somewhere", target=f"t-{kind}") for kind in JobKind]
    terminal.gateway.store.write(lambda tx: jobs.add(tx, every))
    shown = terminal.flask("messages", "show", message.id).output
    for words in ("Handing it to somewhere", "Push to", "Mail to t-email", "Fetching t-fetch"):
        assert words in shown
    assert "Asking somewhere what became of it: due" in shown
