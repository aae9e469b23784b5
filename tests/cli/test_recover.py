"""``flask messages recover`` asks every carrier, although one cannot be asked."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from services.core.errors import Kind, SendError
from services.core.messages import Message
from tests.cli.conftest import PRODUCTION, Terminal
from tests.conftest import NUMBER, PEER
from tests.message_steps import stored_messages
from tests.payload_files import settings

TEXT = Message("in", NUMBER, PEER, text="missed", provider_id="sms:77")


@pytest.mark.parametrize("failing", ["twilio", "voipms"])
def test_every_carrier_is_asked_although_one_fails(
    make_terminal: Callable[..., Terminal], monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    terminal = make_terminal(
        {"number": NUMBER, "carrier": "twilio", "extensions": ["201"]},
        **PRODUCTION,
        **settings("twilio"),
        **settings("voipms"),
    )
    providers = terminal.gateway.providers

    def fail(_since: float) -> list[Message]:
        raise SendError("The list cannot be read now.", Kind.RETRY)

    for name in ("twilio", "voipms"):
        listed = [replace(TEXT, provider=name)]
        answer = fail if name == failing else (lambda _since, listed=listed: listed)
        monkeypatch.setattr(providers[name], "missed", answer)

    told = terminal.flask("messages", "recover", "--since", "2026-11-20", code=1)

    other = {"twilio", "voipms"} - {failing}
    assert f"{providers[other.pop()].title}: 1 recovered" in told.output
    assert f"{providers[failing].title}: The list cannot be read now." in told.output
    assert f"Not fetched from {providers[failing].title}." in told.output
    assert [message.text for message in stored_messages(terminal.gateway)] == ["missed"]


@pytest.mark.parametrize(
    "since", ["0001-01-01", "1969-12-31", "2201-01-01", "9999-12-31T23:59-14:00"]
)
def test_a_time_of_no_usual_year_is_refused(
    make_terminal: Callable[..., Terminal], since: str
) -> None:
    terminal = make_terminal(**PRODUCTION, **settings("twilio"), **settings("voipms"))
    told = terminal.flask("messages", "recover", "--since", since, code=2).stderr
    assert "--since: Write a day or a time of 1970 to 2200" in told
