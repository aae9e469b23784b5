"""Send limits: per day and month, by country, and storage; how each endpoint refuses."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from app import create_app
from services.core.errors import ConfigError, RequestRefused
from services.core.messages import Attachment, Device, Message
from services.gateway import Gateway, load_environment
from services.messaging.compose import Reply
from services.store import attachments, devices
from services.store.database import clock
from services.store.maintenance import people
from tests.conftest import NUMBER, NUMBER_ENTRY, PEER, settings_file
from tests.message_steps import receive_call, receive_text, run_due_jobs, stored_messages
from tests.pictures import jpeg_of_size

Make = Callable[..., Gateway]
PHONE = Device(id="d", extension="201")
OTHER = "+13035550178"
HALF_MB = jpeg_of_size(500_000)


@pytest.fixture
def at(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The database's clock, moved by hand."""
    now = [1_800_000_000.0]
    monkeypatch.setattr(clock, "now", lambda _: now[0])
    return now


def send(gateway: Gateway, text: str = "hi", to: str = PEER, **more: Any) -> str:
    """``sent``, or the code of the refusal."""
    try:
        gateway.composer.submit(PHONE, Reply(text=text, to=(to,), **more))
    except RequestRefused as error:
        return error.code
    return "sent"


def refusal(gateway: Gateway, **more: Any) -> RequestRefused:
    with pytest.raises(RequestRefused) as caught:
        gateway.composer.submit(PHONE, Reply(**{"text": "hi", "to": (PEER,), **more}))
    return caught.value


# How much


def test_a_limit_begins_anew_when_its_span_is_over(
    make_gateway: Make, database: str, at: list[float]
) -> None:
    gateway = make_gateway(
        NUMBER_ENTRY, DATABASE_URL=database, SEND_PER_MINUTE="3", SEND_PER_DAY="5"
    )
    assert [send(gateway) for _ in range(5)] == ["sent"] * 3 + ["limit_reached"] * 2
    at[0] += 20
    error = refusal(gateway)
    assert (error.status, error.retry_after) == (429, 40.0)
    assert error.reason == ("Extension 201 may send 3 messages a minute. Try again in 40 seconds.")
    at[0] += 40
    assert [send(gateway) for _ in range(3)] == ["sent"] * 2 + ["limit_reached"]
    assert refusal(gateway).reason.endswith("5 messages a day. Try again in 24 hours.")
    at[0] += 86_400
    assert send(gateway) == "sent"
    assert len(stored_messages(gateway)) == 6


def test_a_repeat_counts_once_and_is_answered_when_nothing_is_left(
    make_gateway: Make, database: str
) -> None:
    gateway = make_gateway(NUMBER_ENTRY, DATABASE_URL=database, SEND_PER_DAY="2")
    assert [send(gateway, client_id="a") for _ in range(5)] == ["sent"] * 5
    assert send(gateway, client_id="b") == "sent"
    assert send(gateway, client_id="c") == "limit_reached"
    assert send(gateway, client_id="a") == "sent"
    assert len(stored_messages(gateway)) == 2


def test_one_extension_does_not_use_up_what_another_may_send(make_gateway: Make) -> None:
    entry = NUMBER_ENTRY | {"extensions": ["201", "202"]}
    gateway = make_gateway(entry, SEND_PER_MINUTE="1")
    assert [send(gateway) for _ in range(2)] == ["sent", "limit_reached"]
    gateway.composer.submit(Device(id="e", extension="202"), Reply(text="hi", to=(PEER,)))


def test_nobody_is_flooded_by_all_extensions_together(
    make_gateway: Make, database: str, at: list[float]
) -> None:
    entry = NUMBER_ENTRY | {"extensions": ["201", "202"]}
    env = {"SEND_PER_PEER_HOUR": "2", "SEND_PER_PEER_DAY": "3", "DATABASE_URL": database}
    gateway = make_gateway(entry, **env)
    gateway.composer.submit(Device(id="e", extension="202"), Reply(text="hi", to=(PEER, OTHER)))
    assert [send(gateway) for _ in range(2)] == ["sent", "limit_reached"]
    assert (
        refusal(gateway).reason
        == f"{PEER} may be sent 2 messages an hour. Try again in 60 minutes."
    )
    assert [send(gateway, to=OTHER) for _ in range(2)] == ["sent", "limit_reached"]
    at[0] += 3600
    assert [send(gateway) for _ in range(2)] == ["sent", "limit_reached"]


def test_a_long_text_counts_as_the_messages_that_it_becomes(make_gateway: Make) -> None:
    gateway = make_gateway(NUMBER_ENTRY, SEND_PER_MINUTE="4")
    most = gateway.providers["sandbox"].limits.text
    error = refusal(gateway, text="x" * (4 * most + 1))
    assert (error.code, error.status) == ("too_much_at_once", 422)
    assert "and this is 5 messages" in error.reason
    assert send(gateway, "x" * (3 * most)) == "sent"
    assert send(gateway, "x" * (2 * most)) == "limit_reached"
    assert send(gateway) == "sent"
    assert send(gateway) == "limit_reached"


def test_a_zero_is_no_limit(make_gateway: Make) -> None:
    off = dict.fromkeys(
        ("SEND_PER_MINUTE", "SEND_PER_DAY", "SEND_PER_PEER_HOUR", "SEND_PER_PEER_DAY"), "0"
    )
    gateway = make_gateway(NUMBER_ENTRY, **off)
    assert {send(gateway) for _ in range(150)} == {"sent"}


def test_what_is_refused_for_another_reason_counts_nothing(make_gateway: Make) -> None:
    gateway = make_gateway(NUMBER_ENTRY, SEND_PER_MINUTE="1")
    assert [send(gateway, ""), send(gateway, to="+442079460958"), send(gateway, to=NUMBER)] == [
        "empty",
        "country_not_allowed",
        "same_number",
    ]
    assert send(gateway) == "sent"


# Where to


@pytest.mark.parametrize(
    ("env", "to", "outcome"),
    [
        ({}, "+14165550143", "sent"),
        ({}, "+17875550143", "sent"),
        ({}, "72404", "sent"),
        ({}, "+18005550143", "sent"),
        ({}, "+18765550143", "country_not_allowed"),
        ({}, "+19005550143", "country_not_allowed"),
        ({}, "+442079460958", "country_not_allowed"),
        ({}, "+881612345678", "country_not_allowed"),
        ({"SEND_COUNTRIES": "us, gb"}, "+442079460958", "sent"),
        ({"SEND_COUNTRIES": "us, gb"}, "+14165550143", "country_not_allowed"),
        ({"SEND_COUNTRIES": "*"}, "+18765550143", "sent"),
        ({"SEND_COUNTRIES": "*"}, "+881612345678", "sent"),
        ({"SEND_COUNTRIES": ""}, "+442079460958", "country_not_allowed"),
        ({"DEFAULT_COUNTRY": "GB"}, "+442079460958", "sent"),
        ({"DEFAULT_COUNTRY": "GB"}, "+14165550143", "country_not_allowed"),
    ],
)
def test_texts_go_to_the_countries_that_are_allowed(
    make_gateway: Make, env: dict[str, str], to: str, outcome: str
) -> None:
    assert send(make_gateway(NUMBER_ENTRY, **env), to=to) == outcome


def test_a_refusal_names_the_variable_and_the_country(make_gateway: Make) -> None:
    gateway = make_gateway(NUMBER_ENTRY)
    error = refusal(gateway, to=("+18765550143",))
    assert (error.status, error.field, error.retry_after) == (403, "to", None)
    assert "SEND_COUNTRIES=CA,PR,US,VI,JM in .env" in error.reason
    assert "premium" in refusal(gateway, to=("+19005550143",)).reason
    assert "in no country" in refusal(gateway, to=("+881612345678",)).reason


def test_an_answer_abroad_is_refused_too(make_gateway: Make) -> None:
    """Also in a conversation, and to one of many."""
    gateway = make_gateway(NUMBER_ENTRY)
    receive_text(gateway, peer="+442079460958")
    (message,) = stored_messages(gateway)
    error = refusal(gateway, to=(), conversation_id=message.conversation_id)
    assert error.code == "country_not_allowed"
    assert refusal(gateway, to=(PEER, "+18765550143")).code == "country_not_allowed"


def test_a_country_that_is_none_is_named_at_the_start() -> None:
    with pytest.raises(ConfigError, match=r"SEND_COUNTRIES.*UK is not a country"):
        load_environment({"APP_ENV": "local", "SEND_COUNTRIES": "US UK"})


# How much is kept


def attachment_state(gateway: Gateway, index: int, peer: str, file: Attachment) -> tuple[str, str]:
    """State and reason of the file of a text that comes in."""
    provider = gateway.providers["sandbox"]
    told = Message(direction="in", number=NUMBER, peer=peer, provider_id=f"m{index}", text="look")
    with_file = replace(told, media=(file,))
    with patch.object(provider, "parse", lambda _: [with_file]):
        receive_call(gateway, provider, provider.example(told))
    run_due_jobs(gateway)
    newest = stored_messages(gateway)[0]
    assert newest.provider_id == told.provider_id
    return newest.media[0].state, newest.media[0].reason or ""


@pytest.mark.parametrize("inside", [True, False], ids=["inside the call", "fetched"])
def test_of_one_sender_only_so_much_is_kept_a_day(
    make_gateway: Make,
    database: str,
    at: list[float],
    monkeypatch: pytest.MonkeyPatch,
    inside: bool,
) -> None:
    gateway = make_gateway(NUMBER_ENTRY, DATABASE_URL=database, RECEIVED_MB_PER_DAY="1")
    fetches: list[str] = []

    def fetch(http: Any, url: str, headers: Any, **more: Any) -> Any:
        fetches.append(url)
        more.pop("redirects")
        return gateway.media.save([HALF_MB], declared="image/gif", **more)

    monkeypatch.setattr(gateway.media, "fetch", fetch)
    sandbox: Any = gateway.providers["sandbox"]
    monkeypatch.setattr(sandbox, "media_headers", lambda url, **_: {})

    def file() -> Attachment:
        if inside:
            return Attachment(content_type="image/gif", name="a.gif", content=HALF_MB)
        return Attachment(source_url="https://files.example.com/a.gif", state="pending")

    assert [attachment_state(gateway, n, PEER, file()) for n in range(2)] == [("kept", "")] * 2
    state, reason = attachment_state(gateway, 2, "(303) 555-0177", file())
    assert state == "failed"
    assert reason.startswith(f"{PEER} has sent more than 1 MB of files within a day")
    assert len(fetches) == (0 if inside else 2), "what is not kept is not fetched either"
    assert attachment_state(gateway, 3, OTHER, file()) == ("kept", "")
    at[0] += 86_400
    assert attachment_state(gateway, 4, PEER, file()) == ("kept", "")


def test_what_was_counted_for_a_forgotten_person_is_forgotten(make_gateway: Make) -> None:
    gateway = make_gateway(NUMBER_ENTRY, SEND_PER_PEER_DAY="1")
    assert [send(gateway), send(gateway, to=OTHER)] == ["sent", "sent"]
    gateway.store.write(lambda tx: people.forget_rest(tx, PEER, ()))
    assert [send(gateway), send(gateway, to=OTHER)] == ["sent", "limit_reached"]


# The endpoints


@pytest.fixture
def app(tmp_path: Path, database: str) -> Iterator[Any]:
    (tmp_path / "message_settings.json").write_text(settings_file(NUMBER_ENTRY), encoding="utf-8")
    env = {"APP_ENV": "local", "STORAGE_PATH": str(tmp_path), "DATABASE_URL": database}
    limits = {"SEND_PER_DAY": "1", "UPLOAD_MB_PER_DAY": "1"}
    app = create_app({**env, **limits})
    yield app
    app.extensions["gateway"].close()


def test_the_api_and_an_acrobits_app_are_told_when_to_try_again(app: Any) -> None:
    gateway: Gateway = app.extensions["gateway"]
    client = app.test_client()
    token = gateway.store.write(lambda tx: devices.add(tx, "201", "Phone"))[1]
    headers = {"Authorization": f"Bearer {token}"}
    asked = {"to": [PEER], "text": "hi"}
    assert client.post("/api/v1/messages", json=asked, headers=headers).status_code == 202
    refused = client.post("/api/v1/messages", json=asked, headers=headers)
    assert (refused.status_code, refused.json["code"]) == (429, "limit_reached")
    assert refused.mimetype == "application/problem+json"
    assert 86_000 < int(refused.headers["Retry-After"]) <= 86_400
    call = {"username": "201", "password": token, "to": PEER, "body": "hi"}
    told = client.post("/acrobits/send", json=call)
    assert told.status_code == 429
    assert told.json == {
        "message": "Extension 201 may send 1 message a day. Try again in 24 hours."
    }
    assert int(told.headers["Retry-After"]) > 0
    assert len(stored_messages(gateway)) == 1


def test_uploads_have_a_limit_and_what_is_over_it_is_not_kept(app: Any) -> None:
    gateway: Gateway = app.extensions["gateway"]
    token = gateway.store.write(lambda tx: devices.add(tx, "201", "Phone"))[1]
    headers = {"Authorization": f"Bearer {token}"}

    def upload() -> Any:
        data = {"file": (BytesIO(HALF_MB), "a.gif")}
        return app.test_client().post("/api/v1/media", data=data, headers=headers)

    first = [upload() for _ in range(2)]
    assert [answer.status_code for answer in first] == [201, 201]
    refused = upload()
    assert (refused.status_code, refused.json["code"]) == (429, "limit_reached")
    assert "Extension 201 may upload 1 MB a day" in refused.json["detail"]
    assert int(refused.headers["Retry-After"]) > 0
    media = gateway.environment.service.storage_path / "media"
    assert len([path for path in media.rglob("*") if path.is_file()]) == 2
    ids = [answer.json["id"] for answer in first]
    assert len(gateway.store.read(lambda tx: attachments.uploads(tx, "201", ids))) == 2
