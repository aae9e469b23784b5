"""Recovery: texts that the carrier lists and we missed are received once."""

from collections.abc import Callable

import pytest

from services.core.messages import Message
from services.gateway import Gateway
from tests.conftest import NUMBER, NUMBER_ENTRY, PEER
from tests.fakes.receiver import Receiver
from tests.message_steps import receive_text, run_due_jobs, stored_messages

Make = Callable[..., Gateway]


def test_missed_texts_are_received_once(
    make_gateway: Make, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    gateway = make_gateway(NUMBER_ENTRY, **receiver.env)
    provider = gateway.providers["sandbox"]
    receive_text(gateway, "by webhook", provider_id="1")
    (came,) = (m.provider_id for m in stored_messages(gateway))
    missed = [
        Message("in", NUMBER, PEER, text="by webhook", provider_id=came),
        Message("in", NUMBER, PEER, text="missed", provider_id="2"),
    ]
    monkeypatch.setattr(type(provider), "keeps_inbound", True)
    monkeypatch.setattr(provider, "missed", lambda _since: missed, raising=False)
    gateway.recovery.recover_all()  # the very first time only notes the time
    assert len(stored_messages(gateway)) == 1
    gateway.recovery.recover_all()
    gateway.recovery.recover_all()
    run_due_jobs(gateway)
    assert [p["data"]["message"]["text"] for p in receiver.wait_for(2)] == ["by webhook", "missed"]
    assert len(stored_messages(gateway)) == 2
