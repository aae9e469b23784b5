"""``flask why``: finds a message by what is in hand, and asks the carrier only with ``--ask``."""

import json
import time
from collections.abc import Sequence
from typing import Any

import pytest

from services.core.errors import InvalidWebhook, Kind, SendError
from services.core.messages import (
    DeliveryStatus,
    Finding,
    Message,
    Parsed,
    Status,
    Unreadable,
    WebhookCall,
)
from services.messaging.compose import Reply
from services.store import quarantine, sightings, statuses, workers
from services.store.database import clock
from services.store.sightings import Subject
from tests.cli.conftest import BANDWIDTH, DEVICE, NASTY, Terminal, inbound
from tests.conftest import NUMBER, PEER
from tests.message_steps import failing, run_due_jobs

STRANGER = "+13035550199"


def sent(terminal: Terminal, *errors: SendError, to: str = PEER, text: str = "See you") -> Message:
    gateway = terminal.gateway
    gateway.store.write(lambda tx: workers.beat(tx, "w", clock.now(tx)))
    failing(gateway, *errors)
    message, _ = gateway.composer.submit(DEVICE, Reply(text=text, to=(to,)))
    run_due_jobs(gateway)
    return message


def code(terminal: Terminal, *typed: str) -> str:
    verdict: str = terminal.json("why", *typed)["verdict"]["code"]
    return verdict


def test_one_message_is_found_by_what_is_in_hand(terminal: Terminal) -> None:
    message = sent(terminal)
    for typed in (message.id, message.id.upper(), f"id-{message.id}", PEER, "(303) 555-0177"):
        assert terminal.json("why", typed)["message"]["id"] == message.id
    assert terminal.json("why", "see", "you")["message"]["id"] == message.id
    assert terminal.json("why", "See yo…")["message"]["id"] == message.id
    shown = terminal.flask("why", message.id).output
    for words in ("Sandbox has accepted it", "Next step:", "Who:           the carrier", "See you"):
        assert words in shown
    assert "Code:          sent" in shown


def test_of_several_the_newest_is_first_and_how_to_choose_is_said(terminal: Terminal) -> None:
    inbound(terminal.gateway, "Hello first")
    last = inbound(terminal.gateway, "Hello last")
    shown = terminal.flask("why", "hello")
    assert shown.stdout.splitlines()[1].startswith(last.id[-8:])
    assert "flask why ID" in shown.stderr
    listed = terminal.json("why", PEER)
    assert [one["text"] for one in listed["matches"]] == ["Hello last", "Hello first"]
    assert listed["more"] is False


def test_of_many_ten_are_listed(terminal: Terminal) -> None:
    for count in range(12):
        inbound(terminal.gateway, f"Hello {count}")
    listed = terminal.json("why", PEER)
    assert (len(listed["matches"]), listed["more"]) == (10, True)
    assert "There are older ones" in terminal.flask("why", PEER).stderr


def test_a_text_cannot_play_with_the_terminal(terminal: Terminal) -> None:
    message = inbound(terminal.gateway, NASTY)
    shown = terminal.flask("why", message.id).output
    assert not any(character in shown for character in "\x1b\x9b\u202e\r")


@pytest.mark.parametrize("typed", ["", " ", "\x00", "%", "🙂", "0" * 400, "x" * 5000, "+", "--"])
def test_what_finds_nothing_ends_with_1(terminal: Terminal, typed: str) -> None:
    assert "Traceback" not in terminal.flask("why", "--", typed, code=1).output


def test_nothing_typed_is_refused(terminal: Terminal) -> None:
    terminal.flask("why", code=2)


def test_what_may_have_kept_a_text_out_is_said(make_terminal: Any) -> None:
    terminal = make_terminal({"number": NUMBER, "carrier": "bandwidth"}, **BANDWIDTH)
    gateway = terminal.gateway
    assert code_of_nothing(terminal) == "webhook_silent"
    gateway.stray_webhooks.note("/webhook/bandwith/sms")
    assert code_of_nothing(terminal) == "webhook_elsewhere"
    gateway.store.write(lambda tx: sightings.forget(tx, Subject.WEBHOOK, "bandwidth"))
    provider = gateway.providers["bandwidth"]
    body = json.dumps([{"type": "message-received"}]).encode()
    with pytest.raises(InvalidWebhook):
        gateway.receiver.receive(provider, WebhookCall("POST", {}, "token=old", body))
    assert code_of_nothing(terminal) == "webhook_refused"
    call = WebhookCall("POST", {}, f"token={provider.webhook_token}", b"{")
    gateway.receiver.receive(provider, call)
    assert code_of_nothing(terminal) == "calls_waiting"
    gateway.processor.process_all()
    assert code_of_nothing(terminal) == "calls_unreadable"
    for row in gateway.store.read(quarantine.waiting):
        gateway.store.write(lambda tx, row=row: quarantine.drop(tx, row.id))
    assert code_of_nothing(terminal) == "nothing_found"


def code_of_nothing(terminal: Terminal) -> str:
    found = terminal.json("why", STRANGER, code=1)
    assert found["message"] is None
    verdict: str = found["verdict"]["code"]
    return verdict


@pytest.fixture
def asked(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The sandbox as a carrier with a list; what is asked of it."""
    calls: list[str] = []
    sandbox = type(terminal.gateway.providers["sandbox"])
    monkeypatch.setattr(sandbox, "lookup_seconds", 3600.0)
    monkeypatch.setattr(sandbox, "keeps_inbound", True)

    def find_sent(_: Any, message: Message) -> DeliveryStatus:
        calls.append(message.id)
        return DeliveryStatus(Status.DELIVERED, "delivered", message_id=message.id)

    monkeypatch.setattr(sandbox, "find_sent", find_sent)
    return calls


def test_the_carrier_is_asked_only_with_the_option(terminal: Terminal, asked: list[str]) -> None:
    message = sent(terminal)
    assert code(terminal, message.id) == "sent"
    assert asked == []
    told = terminal.json("why", message.id, "--ask")
    assert told["verdict"]["code"] == "delivered"
    assert [one["code"] for one in told["also"]] == ["sent"]
    assert asked == [message.id]


@pytest.mark.parametrize(
    ("found", "first", "also"),
    [
        (None, "no_trace", ["sent"]),
        (SendError("Down.", Kind.RETRY), "sent", ["not_answering"]),
        (DeliveryStatus(Status.FAILED, "failed", code="1", reason="No."), "carrier_refused", None),
    ],
)
def test_what_the_carrier_says_decides(
    terminal: Terminal,
    asked: list[str],
    monkeypatch: pytest.MonkeyPatch,
    found: Any,
    first: str,
    also: list[str] | None,
) -> None:
    message = sent(terminal)

    def find_sent(_: Any, __: Message) -> Any:
        if isinstance(found, SendError):
            raise found
        return found

    monkeypatch.setattr(type(terminal.gateway.providers["sandbox"]), "find_sent", find_sent)
    told = terminal.json("why", message.id, "--ask")
    assert told["verdict"]["code"] == first
    assert [one["code"] for one in told["also"]] == (["sent"] if also is None else also)
    assert asked == []


def test_a_text_that_waits_asks_whether_the_credentials_work(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    message = sent(terminal, SendError("The key is wrong.", Kind.CONFIG))
    sandbox = terminal.gateway.providers["sandbox"]

    def check(_: Sequence[str]) -> list[Finding]:
        return [Finding(True, "Fine."), Finding(False, "The key has ended.")]

    monkeypatch.setattr(sandbox, "check", check)
    told = terminal.json("why", message.id, "--ask")
    assert told["verdict"]["code"] == "check_failed"
    assert "The key has ended." in told["verdict"]["sentence"]
    assert [one["code"] for one in told["also"]] == ["carrier_paused"]


def test_texts_that_the_carrier_lists_and_that_are_not_here(
    terminal: Terminal, asked: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    came = inbound(terminal.gateway, "here")
    known = Message("in", NUMBER, PEER, provider_id=came.provider_id)
    lost = Message("in", NUMBER, STRANGER, provider_id="lost-1")
    since: list[float] = []

    def missed(begin: float) -> list[Parsed]:
        since.append(begin)
        return [known, lost, Unreadable("?", b""), Message("in", NUMBER, "x" * 400)]

    monkeypatch.setattr(terminal.gateway.providers["sandbox"], "missed", missed)
    told = terminal.json("why", STRANGER, "--ask", code=1)["verdict"]
    assert told["code"] == "carrier_has_it"
    assert "1 text of +13035550199" in told["sentence"]
    assert "messages recover --since" in told["next"]
    assert since[0] > time.time() - 90_000
    assert terminal.json("why", "+13035550198", "--ask", code=1)["verdict"]["code"] == (
        "nothing_found"
    )
    assert asked == []


def test_a_refused_text_names_the_carriers_id(terminal: Terminal) -> None:
    message = sent(terminal)
    refused = DeliveryStatus(Status.FAILED, "failed", None, message.id, PEER, "77", "Blocked.")
    terminal.gateway.store.write(lambda tx: statuses.record_status(tx, "sandbox", refused))
    told = terminal.json("why", message.id)["verdict"]
    assert told["sentence"] == "Sandbox did not deliver it: Blocked."
    assert told["next"] == f"Ask Sandbox with its id id-{message.id}."
    assert told["who"] == "carrier"
