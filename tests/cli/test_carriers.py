"""``flask carriers``: what is paused and why."""

import time

from services.store import circuit_breakers
from tests.cli.conftest import Terminal


def test_carriers_are_listed_with_what_is_paused_and_why(terminal: Terminal) -> None:
    assert "Nothing is paused." in terminal.flask("carriers", "list").output
    until = time.time() + 600
    terminal.gateway.store.write(
        lambda tx: circuit_breakers.pause(
            tx, "send:sandbox", until, "It does not accept the password.", config=True
        )
    )
    assert "It does not accept the password." in terminal.flask("carriers", "list").output
    told = terminal.json("carriers", "list")
    assert {"carrier": "sandbox", "title": "Sandbox", "on": True} in told["carriers"]
    assert {"carrier": "bandwidth", "title": "Bandwidth", "on": False} in told["carriers"]
    assert [pause["destination"] for pause in told["paused"]] == ["send:sandbox"]
    assert told["paused"][0]["needs_operator"] is True


def test_the_sandbox_is_checked_without_credentials(terminal: Terminal) -> None:
    output = terminal.flask("carriers", "check").output
    assert output.splitlines() == ["Sandbox", "  ok  The sandbox needs no credentials."]
