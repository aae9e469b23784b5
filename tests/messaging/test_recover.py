"""Texts that the carrier has and we missed are taken in once."""

from collections.abc import Callable

import pytest

from services.core.messages import Message
from services.gateway import Gateway
from tests.conftest import DESK, NUMBER, PEER
from tests.fakes.receiver import Receiver
from tests.message_steps import kept, receive, work

Make = Callable[..., Gateway]


def test_what_was_missed_is_taken_in_once(
    make_gateway: Make, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    gateway = make_gateway(DESK, **receiver.env)
    provider = gateway.providers["sandbox"]
    receive(gateway, "by webhook", provider_id="1")
    (came,) = (m.provider_id for m in kept(gateway))
    missed = [
        Message("in", NUMBER, PEER, text="by webhook", provider_id=came),
        Message("in", NUMBER, PEER, text="missed", provider_id="2"),
    ]
    monkeypatch.setattr(type(provider), "keeps_inbound", True)
    monkeypatch.setattr(provider, "missed", lambda _since: missed, raising=False)
    gateway.recovery.recover_all()  # the very first time only notes the time
    assert len(kept(gateway)) == 1
    gateway.recovery.recover_all()
    gateway.recovery.recover_all()
    work(gateway)
    assert [p["data"]["message"]["text"] for p in receiver.wait_for(2)] == ["by webhook", "missed"]
    assert len(kept(gateway)) == 2
