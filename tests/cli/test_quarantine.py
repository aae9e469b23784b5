"""``flask quarantine``: list, show, replay."""

import pytest

from services.core.messages import Message, WebhookCall
from services.gateway import Gateway
from tests.cli.conftest import Terminal
from tests.conftest import NUMBER, PEER
from tests.message_steps import receive_call


def quarantined(gateway: Gateway, body: bytes) -> None:
    """Let something come in that the sandbox cannot read."""
    provider = gateway.providers["sandbox"]
    token = gateway.environment.webhook_token("sandbox")
    receive_call(gateway, provider, WebhookCall("POST", {}, f"token={token}", body))


def test_quarantine_is_listed_and_shown_without_playing_with_the_terminal(
    terminal: Terminal,
) -> None:
    empty = terminal.flask("quarantine", "list").output
    assert empty == "No unreadable carrier messages.\n"
    quarantined(terminal.gateway, b'{"id":\x1b[2J \xff\n "to": 3')
    [row] = terminal.json("quarantine", "list")
    assert row["carrier"] == "sandbox"
    assert str(row["id"]) in terminal.flask("quarantine", "list").output
    shown = terminal.flask("quarantine", "show", str(row["id"])).output
    assert '{"id":\\x1b[2J �\n "to": 3' in shown
    assert "token" not in shown
    assert "There is no call" in terminal.flask("quarantine", "show", "77", code=1).stderr


def test_what_can_be_read_by_now_is_replayed(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    quarantined(terminal.gateway, b"still nonsense")
    quarantined(terminal.gateway, b"understood by the next version")
    before = [row["id"] for row in terminal.json("quarantine", "list")]
    sandbox = terminal.gateway.providers["sandbox"]
    understood = Message(direction="in", number=NUMBER, peer=PEER, provider_id="q-1", text="Hello")
    parse = sandbox.parse
    monkeypatch.setattr(
        sandbox, "parse", lambda call: [understood] if b"next" in call.body else parse(call)
    )
    result = terminal.flask("quarantine", "replay", "--all", code=1)
    assert f"{before[1]}: received" in result.stdout
    assert "1 of 2 could be read." in result.stdout
    assert f"{before[0]}: " in result.stderr
    assert [row["id"] for row in terminal.json("quarantine", "list")] == before[:1]
    assert terminal.json("messages", "list")[0]["text"] == "Hello"
    terminal.flask("quarantine", "replay", str(before[0]), code=1)
    terminal.flask("quarantine", "replay", str(before[1]), code=1)  # it was replayed already


@pytest.mark.parametrize("arguments", [[], ["1", "--all"], ["first"], ["9" * 30]])
def test_replay_wants_one_call_or_all(terminal: Terminal, arguments: list[str]) -> None:
    terminal.flask("quarantine", "replay", *arguments, code=2)
