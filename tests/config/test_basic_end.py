"""Bandwidth's Basic ends on 2 December 2026: what is said before and after, and what goes on."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from services.config import variables
from services.core.errors import Kind, SendError
from services.core.messages import Message, Status
from services.gateway import Gateway, load_environment
from services.http.client import Http
from services.messaging.compose import Reply
from services.operations.config_findings import ConfigFindings
from services.operations.health import Health
from services.providers.bandwidth import Bandwidth
from services.providers.base import ProviderContext
from tests.fakes.bandwidth import FakeBandwidth
from tests.fakes.twilio import FakeTwilio
from tests.message_steps import PHONE, jobs_of, receive_call, run_due_jobs, stored, stored_messages

BEFORE = datetime(2026, 12, 1, 23, 59, tzinfo=UTC).timestamp()
AFTER = datetime(2026, 12, 2, 0, 0, tzinfo=UTC).timestamp()
TEXT = Message("out", "+12025550143", "+13035550177", text="Yes, until 6")


@pytest.fixture
def fake() -> Iterator[FakeBandwidth]:
    """Bandwidth."""
    with FakeBandwidth() as server:
        yield server


def carrier(fake: FakeBandwidth, now: float, **env: str) -> Bandwidth:
    """Bandwidth by Basic at a time."""
    own = {**fake.env, "BANDWIDTH_AUTH": "basic", **env}
    settings, problems = variables.load(Bandwidth.Settings, "BANDWIDTH_", own)
    assert settings is not None, problems
    context = ProviderContext(Http(), "a-webhook-token", "https://x.example", clock=lambda: now)
    return Bandwidth(settings, context)


@pytest.mark.parametrize(
    ("now", "said"), [(BEFORE, "ends on 2 December"), (AFTER, "has ended on 2 December")]
)
def test_the_configuration_is_taken_and_warned_about(now: float, said: str) -> None:
    env = {
        "APP_ENV": "local",
        "APP_KEY": "a key of the tests, long enough",
        "BANDWIDTH_ACCOUNT_ID": "1",
        "BANDWIDTH_API_TOKEN": "t",
        "BANDWIDTH_API_SECRET": "s",
        "BANDWIDTH_APPLICATION_ID": "a",
    }
    assert load_environment(env).warnings(now) == []
    [warning] = load_environment({**env, "BANDWIDTH_AUTH": "basic"}).warnings(now)
    assert warning.variable == "BANDWIDTH_AUTH"
    assert said in warning.reason
    assert "BANDWIDTH_AUTH=oauth2" in warning.remedy


def test_a_401_under_basic_says_why(fake: FakeBandwidth) -> None:
    with pytest.raises(SendError) as caught:
        carrier(fake, BEFORE, BANDWIDTH_API_SECRET="wrong-of-the-tests").send(TEXT)
    assert caught.value.kind is Kind.CONFIG, "only sending by Bandwidth is paused"
    assert "ends on 2 December" in caught.value.reason
    assert "oauth2" in caught.value.reason
    assert "wrong-of-the-tests" not in caught.value.reason


def test_a_401_after_the_end_says_why(fake: FakeBandwidth) -> None:
    """A file of a webhook is still asked for: that is no sending."""
    ended = carrier(fake, AFTER, BANDWIDTH_API_SECRET="wrong-of-the-tests")
    with pytest.raises(SendError) as caught:
        ended.find_sent(replace(TEXT, provider_id="sent-1"))
    assert caught.value.kind is Kind.CONFIG
    assert "has ended on 2 December" in caught.value.reason
    assert (
        "Basic "
        in ended.media_headers(f"{fake.base_url}/users/{fake.account_id}/media/a")["Authorization"]
    )


def test_nothing_is_handed_over_by_basic_from_its_last_moment_on(fake: FakeBandwidth) -> None:
    assert carrier(fake, AFTER - 1).send(TEXT)
    asked = len(fake.requests)
    with pytest.raises(SendError) as caught:
        carrier(fake, AFTER).send(TEXT)
    assert caught.value.kind is Kind.CONFIG, "messages wait, they do not fail"
    assert "has ended on 2 December" in caught.value.reason
    assert "BANDWIDTH_AUTH=oauth2" in caught.value.reason
    assert len(fake.requests) == asked
    assert carrier(fake, AFTER, BANDWIDTH_AUTH="oauth2").send(TEXT)


def test_the_check_of_the_carrier_says_so(fake: FakeBandwidth) -> None:
    assert [found.ok for found in carrier(fake, BEFORE).check([])] == [True]
    refused, accepted = carrier(fake, AFTER).check([])
    assert not refused.ok
    assert "has ended on 2 December" in refused.text
    assert accepted.ok, "and still asks Bandwidth"


def test_only_sending_by_bandwidth_stops(
    make_gateway: Callable[..., Gateway], fake: FakeBandwidth
) -> None:
    with FakeTwilio() as twilio:
        theirs = "+12025550144"
        twilio.add_number(theirs)
        gateway = make_gateway(
            {"number": TEXT.number, "carrier": "bandwidth", "extensions": ["201"]},
            {"number": theirs, "carrier": "twilio", "extensions": ["201"]},
            **{**fake.env, **twilio.env, "BANDWIDTH_AUTH": "basic"},
        )
        bandwidth = gateway.providers["bandwidth"]
        bandwidth.clock = lambda: AFTER
        sent = {
            number: gateway.composer.submit(PHONE, Reply("Hello", (TEXT.peer,), number))[0]
            for number in (TEXT.number, theirs)
        }
        run_due_jobs(gateway)
        assert fake.accepted == []
        assert [each["To"] for each in twilio.accepted] == [TEXT.peer]
        assert stored(gateway, sent[theirs]).status is Status.SENT
        [waiting] = jobs_of(gateway, sent[TEXT.number])
        assert waiting.state != "dead"
        [paused] = [w for w in gateway.health.warnings() if w.name == "paused"]
        assert paused.about == "send:bandwidth"
        assert "BANDWIDTH_AUTH=oauth2" in paused.reason
        inbound = Message(direction="in", number=TEXT.number, peer=TEXT.peer, text="hi")
        receive_call(gateway, bandwidth, bandwidth.example(inbound))
        assert "hi" in [each.text for each in stored_messages(gateway)]


def test_its_webhooks_go_on_after_the_end(fake: FakeBandwidth) -> None:
    user = {"BANDWIDTH_WEBHOOK_USERNAME": "u", "BANDWIDTH_WEBHOOK_PASSWORD": "of the tests"}
    provider = carrier(fake, AFTER, **user)
    inbound = Message(direction="in", number=TEXT.number, peer=TEXT.peer, text="hi")
    call = provider.example(inbound)
    provider.verify(call)
    assert len(list(provider.parse(call))) == 1


def test_a_refused_sign_in_does_not_recommend_basic_after_the_end(fake: FakeBandwidth) -> None:
    wrong = {"BANDWIDTH_AUTH": "oauth2", "BANDWIDTH_API_SECRET": "wrong"}
    for now, recommended in ((BEFORE, True), (AFTER, False)):
        with pytest.raises(SendError) as caught:
            carrier(fake, now, **wrong).send(TEXT)
        assert ("BANDWIDTH_AUTH=basic" in caught.value.reason) is recommended


def test_health_warns_by_its_clock(make_gateway, tmp_path) -> None:  # type: ignore[no-untyped-def]
    fake_env = {
        "BANDWIDTH_ACCOUNT_ID": "1",
        "BANDWIDTH_API_TOKEN": "t",
        "BANDWIDTH_API_SECRET": "s",
        "BANDWIDTH_APPLICATION_ID": "a",
        "BANDWIDTH_AUTH": "basic",
    }
    gateway = make_gateway(**fake_env)
    health = Health(
        gateway.store,
        gateway.settings,
        gateway.media,
        gateway.environment,
        gateway.proxies,
        ConfigFindings(gateway.environment, gateway.settings, clock=lambda: AFTER),
        gateway.mistakes,
    )
    said = [each.reason for each in health.warnings() if each.name == "configuration"]
    assert len(said) == 1
    assert "has ended" in said[0]
    assert all(check.ok for check in health.checks() if check.name != "worker")
