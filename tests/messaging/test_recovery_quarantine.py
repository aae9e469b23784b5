"""Recovery: entries of a carrier's list that cannot be read go into quarantine, each once."""

import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import update

from services.core.errors import Kind, RequestRefused, SendError
from services.core.messages import Message, Unreadable
from services.gateway import Gateway
from services.messaging import recover as recovery
from services.providers.base import Provider
from services.providers.voipms import lookup as voipms_lookup
from services.store import counters, messages, quarantine
from services.store.database import schema
from services.store.quarantine import Quarantined
from tests.conftest import NUMBER, NUMBER_ENTRY, PEER
from tests.fakes.twilio import FakeTwilio
from tests.fakes.voipms import FakeVoipMs
from tests.fakes.wavix import FakeWavix

Make = Callable[..., Gateway]
NO_NUMBER = "+1"
PEER_DIGITS, NUMBER_DIGITS = PEER.removeprefix("+"), NUMBER.removeprefix("+")


def recover(gateway: Gateway, provider: Provider, runs: int = 1) -> list[str]:
    """The outcomes of the last of several recoveries."""
    found: list[tuple[str, str]] = []
    for _ in range(runs):
        found = gateway.recovery.recover(provider, time.time() - 3600)
    return [outcome for outcome, _ in found]


def quarantined(gateway: Gateway) -> list[Quarantined]:
    return gateway.store.read(quarantine.waiting)


def stored(gateway: Gateway) -> list[Message]:
    return gateway.store.read(lambda tx: messages.find(tx, limit=100))


@pytest.fixture
def wavix(make_gateway: Make, database: str) -> Any:
    """A gateway with Wavix, and the Wavix that it asks."""
    with FakeWavix() as fake:
        setting = NUMBER_ENTRY | {"carrier": "wavix"}
        yield make_gateway(setting, DATABASE_URL=database, **fake.env), fake


def test_unreadable_entries_are_quarantined_once(wavix: tuple[Gateway, FakeWavix]) -> None:
    gateway, fake = wavix
    provider = gateway.providers["wavix"]
    fake.arrive("good", sender=PEER_DIGITS, to=NUMBER_DIGITS)
    fake.arrive("no sender", sender=PEER_DIGITS, to=NUMBER_DIGITS)
    fake.inbound[-1]["from"] = None
    fake.arrive("bad number", sender=PEER_DIGITS, to=NO_NUMBER)

    assert sorted(recover(gateway, provider)) == ["quarantined", "quarantined", "received"]
    assert recover(gateway, provider, runs=3) == ["repeated"] * 3

    rows = quarantined(gateway)
    assert sorted(json.loads(row.body)["message_body"]["text"] for row in rows) == [
        "bad number",
        "no sender",
    ]
    assert len(stored(gateway)) == 1


def test_an_entry_that_was_dropped_does_not_come_back(wavix: tuple[Gateway, FakeWavix]) -> None:
    gateway, fake = wavix
    provider = gateway.providers["wavix"]
    fake.arrive("bad number", sender=PEER_DIGITS, to=NO_NUMBER)
    recover(gateway, provider)
    (row,) = quarantined(gateway)
    gateway.operator_actions.drop(row.id)

    assert recover(gateway, provider, runs=2) == ["repeated"]
    assert quarantined(gateway) == []


def test_an_unreadable_entry_is_counted(wavix: tuple[Gateway, FakeWavix]) -> None:
    gateway, fake = wavix
    fake.arrive("bad number", sender=PEER_DIGITS, to=NO_NUMBER)
    recover(gateway, gateway.providers["wavix"], runs=3)
    assert gateway.audit.check(thorough=True) == []


def test_an_entry_is_forgotten_long_after_it_was_listed(
    wavix: tuple[Gateway, FakeWavix],
) -> None:
    gateway, _ = wavix
    provider = gateway.providers["wavix"]
    gateway.store.write(lambda tx: counters.put(tx, "unreadable:wavix:x", 1))
    gateway.store.write(lambda tx: counters.put(tx, "unreadable:other:x", 1))
    recover(gateway, provider)
    assert gateway.store.read(lambda tx: counters.value(tx, "unreadable:wavix:x")) is None
    assert gateway.store.read(lambda tx: counters.value(tx, "unreadable:other:x")) == 1


def test_entries_are_known_after_a_long_pause_in_each_batch(
    wavix: tuple[Gateway, FakeWavix], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a carrier still lists is not forgotten before its batch was stored."""
    gateway, fake = wavix
    provider = gateway.providers["wavix"]
    for text in ("one", "two", "three"):
        fake.arrive(text, sender=PEER_DIGITS, to=NO_NUMBER)
    monkeypatch.setattr(recovery, "BATCH", 1)
    recover(gateway, provider)
    named = schema.counters.c.name.startswith("unreadable:wavix:")
    gateway.store.write(lambda tx: tx.execute(update(schema.counters).where(named).values(value=1)))

    assert recover(gateway, provider) == ["repeated"] * 3
    assert len(quarantined(gateway)) == 3


def test_a_listed_message_can_be_replayed(
    wavix: tuple[Gateway, FakeWavix], monkeypatch: pytest.MonkeyPatch
) -> None:
    gateway, fake = wavix
    fake.arrive("later", sender=PEER_DIGITS, to=NO_NUMBER)
    recover(gateway, gateway.providers["wavix"])
    (row,) = quarantined(gateway)

    monkeypatch.setattr("services.messaging.store_parts.own_number", lambda *_: NUMBER)
    assert [outcome for outcome, _ in gateway.replay.replay(row.id)] == ["received"]

    assert [message.text for message in stored(gateway)] == ["later"]
    assert quarantined(gateway) == []


def test_a_row_of_voipms_keeps_its_list_and_can_be_replayed(
    make_gateway: Make, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with FakeVoipMs() as fake:
        setting = NUMBER_ENTRY | {"carrier": "voipms"}
        gateway = make_gateway(setting, DATABASE_URL=database, **fake.env)
        provider = gateway.providers["voipms"]
        fake.keep("sms", "1", NUMBER[2:], PEER[2:], "text")["id"] = None
        recover(gateway, provider)
        assert recover(gateway, provider) == ["repeated"]
        (call,) = quarantined(gateway)
        assert json.loads(call.body)["list"] == "sms"
        with pytest.raises(RequestRefused, match="“id” is missing"):
            gateway.replay.replay(call.id)

        read = voipms_lookup.read
        monkeypatch.setattr(voipms_lookup, "read", lambda row, kind: read(row | {"id": "7"}, kind))
        assert [outcome for outcome, _ in gateway.replay.replay(call.id)] == ["received"]
        assert [message.provider_id for message in stored(gateway)] == ["sms:7"]


def test_a_row_of_twilio_can_be_replayed(make_gateway: Make, database: str) -> None:
    with FakeTwilio() as fake:
        setting = NUMBER_ENTRY | {"carrier": "twilio"}
        gateway = make_gateway(setting, DATABASE_URL=database, **fake.env)
        provider = gateway.providers["twilio"]
        fake.receive("text", sender=PEER, to=NUMBER, tell=False)
        good = json.dumps(fake.listed[0]).encode()
        fake.listed[0]["sid"] = None
        assert recover(gateway, provider, runs=2) == ["repeated"]
        (call,) = quarantined(gateway)
        assert json.loads(call.body)["body"] == "text"
        with pytest.raises(RequestRefused, match="“sid” is missing"):
            gateway.replay.replay(call.id)
        (message,) = provider.parse_listed(good)
        assert isinstance(message, Message)
        assert (message.text, message.number) == ("text", NUMBER)


def test_a_replay_says_that_the_carrier_cannot_be_asked(
    wavix: tuple[Gateway, FakeWavix], monkeypatch: pytest.MonkeyPatch
) -> None:
    gateway, fake = wavix
    provider = gateway.providers["wavix"]
    fake.arrive("x", sender=PEER_DIGITS, to=NUMBER_DIGITS)
    fake.inbound[-1]["from"] = None
    recover(gateway, provider)
    (row,) = quarantined(gateway)

    def unreachable(_: bytes) -> list[Unreadable]:
        raise SendError("Wavix cannot be reached.", Kind.RETRY)

    monkeypatch.setattr(provider, "parse_listed", unreachable)
    with pytest.raises(RequestRefused, match="cannot be reached"):
        gateway.replay.replay(row.id)
    assert quarantined(gateway) == [row]
