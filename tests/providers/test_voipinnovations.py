"""VoIP Innovations provider, over real connections to a fake; attachments inside its calls."""

import base64
import json
import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import requests
from sqlalchemy import update

from app import create_app
from services.config import variables
from services.core.errors import Kind, RequestRefused, SendError
from services.core.messages import Attachment, Message, WebhookCall
from services.gateway import Gateway
from services.http.client import Answer as HttpAnswer
from services.http.client import Http
from services.providers.base import ProviderContext
from services.providers.voipinnovations import VoipInnovations
from services.store import inbox, jobs, messages, quarantine
from services.store.database.schema import messages as message_table
from services.store.database.schema import quarantine as quarantine_table
from services.store.jobs import JobKind
from services.store.messages import REPEAT_SECONDS
from tests.fakes.bandwidth import Answer, Trouble
from tests.fakes.voipinnovations import FakeVoipInnovations
from tests.message_steps import receive_call

OURS, PEER = "+12025550143", "+13035550177"
TEXT = Message("out", OURS, PEER, text="Yes, until 6 😀 & later + more")


@pytest.fixture(autouse=True)
def _just_written(monkeypatch: pytest.MonkeyPatch) -> None:
    """The text is written when the test runs: carriers are asked for a time."""
    now = time.time()
    written = replace(TEXT, created_at=now, updated_at=now)
    monkeypatch.setitem(globals(), "TEXT", written)


LINK = "https://sms.example.com/media/019cae42-8f2b-7c31-9d0e-3b1f5a7c9e22?exp=1&sig=a"
PICTURE = replace(TEXT, media=(Attachment(source_url=LINK), Attachment(source_url=LINK + "b")))
JPEG = b"\xff\xd8\xff\xe0 a roof"


class HastyHttp(Http):
    """The way out, with less patience."""

    def request(self, *args: Any, **more: Any) -> HttpAnswer:
        return super().request(*args, **{"seconds": 0.5, **more})


def carrier(fake: FakeVoipInnovations, http: Http | None = None, **env: str) -> VoipInnovations:
    settings, problems = variables.load(VoipInnovations.Settings, "APIDAZE_", {**fake.env, **env})
    assert settings is not None, problems
    around = ProviderContext(http or Http(), "a-webhook-token", "https://sms.example.com")
    return VoipInnovations(settings, around)


@pytest.fixture
def fake() -> Iterator[FakeVoipInnovations]:
    with FakeVoipInnovations() as server:
        yield server


# Sending


def test_a_text_is_taken_as_it_was_written(fake: FakeVoipInnovations) -> None:
    sent = carrier(fake).send(TEXT)

    [taken] = fake.accepted
    assert (taken["uuid"], taken["body"]) == (sent, TEXT.text)
    assert (taken["from"], taken["to"]) == ("12025550143", "13035550177")


def test_pictures_are_offered_by_their_links_even_without_words(fake: FakeVoipInnovations) -> None:
    carrier(fake).send(replace(PICTURE, text=""))

    [taken] = fake.accepted
    assert (taken["message_type"], taken["file_urls[0]"]) == ("MMS", LINK)
    assert taken["file_urls[1]"] == LINK + "b"


WRONG = [
    ({"APIDAZE_API_SECRET": "another/secret&1"}, 401),
    ({"APIDAZE_API_KEY": "another-key"}, 404),
]


@pytest.mark.parametrize(("env", "status"), WRONG)
def test_wrong_credentials_stop_the_carrier(
    fake: FakeVoipInnovations, env: Any, status: int
) -> None:
    with pytest.raises(SendError, match="APIDAZE_API_SECRET") as caught:
        carrier(fake, **env).send(TEXT)

    assert (caught.value.kind, caught.value.code) == (Kind.CONFIG, str(status))
    assert fake.accepted == []


TROUBLES = [
    (Trouble.CUT, Kind.UNKNOWN, 1),
    (Trouble.HANG, Kind.UNKNOWN, 1),
    (Trouble.DROP, Kind.UNKNOWN, 0),
    (Answer(503, b"<html>busy</html>"), Kind.UNKNOWN, 0),
    (Answer(200, b"<html>fine</html>"), Kind.UNKNOWN, 0),
    (Answer(200, {"ok": False, "message": "no"}), Kind.REFUSED, 0),
    (Answer(400, {"error": "no"}), Kind.REFUSED, 0),
    (Answer(301, b"", {"Location": "https://elsewhere.example.com/"}), Kind.CONFIG, 0),
    (Answer(429, b""), Kind.RETRY, 0),
]


@pytest.mark.parametrize(("trouble", "kind", "taken"), TROUBLES)
def test_what_follows_from_each_trouble(
    fake: FakeVoipInnovations, trouble: Any, kind: Kind, taken: int
) -> None:
    fake.next(trouble)

    with pytest.raises(SendError) as caught:
        carrier(fake, HastyHttp()).send(TEXT)

    assert caught.value.kind is kind
    assert len(fake.accepted) == taken


def test_a_dead_address_can_be_tried_again(fake: FakeVoipInnovations) -> None:
    with pytest.raises(SendError) as caught:
        carrier(fake, APIDAZE_BASE_URL="http://127.0.0.1:1").send(TEXT)

    assert caught.value.kind is Kind.RETRY


def test_the_secret_shows_in_no_error_and_no_log(
    fake: FakeVoipInnovations, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    provider = carrier(fake, HastyHttp())
    secret = fake.api_secret
    echo = Answer(400, {"error": f"POST /sms/send?api_secret={secret} by {secret}: no"})
    fake.next(echo, Trouble.CUT, Trouble.HANG, Answer(500, echo.body), Answer(200, b"x"))

    errors = []
    for _ in range(5):
        with pytest.raises(SendError) as caught:
            provider.send(TEXT)
        errors.append(str(caught.value))
    with pytest.raises(SendError) as caught:
        carrier(fake, APIDAZE_BASE_URL="http://127.0.0.1:1").send(TEXT)
    shown = " ".join([*errors, str(caught.value), repr(caught.value), caplog.text])

    assert secret not in shown
    assert secret[:16] not in shown
    assert repr(provider.api).find(secret) == -1


def test_a_check_says_whether_the_credentials_work(fake: FakeVoipInnovations) -> None:
    good = list(carrier(fake).check([OURS]))
    assert [finding.ok for finding in good] == [True, True]
    assert OURS in good[1].text

    [bad] = carrier(fake, APIDAZE_API_SECRET="another secret").check([OURS])
    assert not bad.ok
    assert "APIDAZE_API_SECRET" in bad.text

    fake.next(Answer(500, b""))
    with pytest.raises(SendError):
        carrier(fake).check([OURS])
    assert fake.accepted == []


GOOD = {"from": "12025550143", "to": "13035550177", "body": "x"}
ILL_FORMED = {
    "a plus": {**GOOD, "to": "+13035550177"},
    "a national number": {**GOOD, "from": "2025550143"},
    "no sender": {"to": "13035550177", "body": "x"},
    "nothing": {**GOOD, "body": ""},
    "a picture without files": {**GOOD, "message_type": "MMS"},
    "files without a picture": {**GOOD, "file_urls[0]": LINK},
    "a file from here": {**GOOD, "message_type": "MMS", "file_urls[0]": "/etc/passwd"},
    "an unknown key": {**GOOD, "subject": "x"},
}


@pytest.mark.parametrize("form", ILL_FORMED.values(), ids=ILL_FORMED)
def test_the_fake_takes_no_message_that_the_carrier_would_refuse(
    fake: FakeVoipInnovations, form: dict[str, str]
) -> None:
    url, params = f"{fake.base_url}/{fake.api_key}/sms/send", {"api_secret": fake.api_secret}

    with requests.Session() as session:
        assert session.post(url, data=form, params=params).status_code == 400
        assert session.post(url, json=GOOD, params=params).status_code == 415
        assert session.post(url, data=GOOD).status_code == 401
        assert session.post(url, data=GOOD, params=params).status_code == 200
    assert len(fake.accepted) == 1


# Inbound, through the whole service

ENV = {
    "APIDAZE_API_KEY": "k3y0fixture",
    "APIDAZE_API_SECRET": "not-a-real-secret",
    "DATABASE_URL": "",
}
NUMBER_ENTRY = {"number": OURS, "carrier": "voipinnovations", "extensions": ["201"]}
Make = Callable[..., Gateway]


def incoming(gateway: Gateway, **changes: Any) -> WebhookCall:
    """A call as the carrier makes it; ``files`` are bytes by name."""
    told = {
        "type": "incomingWebhookSMS",
        "caller_id_number": "13035550177",
        "destination_number": "12025550143",
        "text": "Look",
        **changes,
    }
    files = told.get("files")
    if isinstance(files, dict):
        written = {name: base64.b64encode(content).decode() for name, content in files.items()}
        told |= {"type": "incomingWebhookMMS", "files": repr(written)}
    token = gateway.providers["voipinnovations"].webhook_token
    headers = {"content-type": "application/json"}
    return WebhookCall("POST", headers, f"token={token}", json.dumps(told).encode())


def receive(gateway: Gateway, **changes: Any) -> None:
    receive_call(gateway, gateway.providers["voipinnovations"], incoming(gateway, **changes))


def stored_messages(gateway: Gateway) -> list[Message]:
    """The oldest first."""
    return gateway.store.read(lambda tx: messages.find(tx, limit=100))[::-1]


def on_disk(folder: Path) -> int:
    return sum(path.is_file() for path in (folder / "media").glob("**/*"))


def age(gateway: Gateway, seconds: float) -> None:
    """Let everything have come so much earlier."""
    gateway.store.write(
        lambda tx: tx.execute(
            update(message_table).values(created_at=message_table.c.created_at - seconds)
        )
    )


def test_a_picture_inside_the_call_is_on_disk_when_the_carrier_hears_so(
    make_gateway: Make, tmp_path: Path, database: str
) -> None:
    gateway = make_gateway(
        NUMBER_ENTRY | {"emails": ["desk@example.com"]}, **ENV | {"DATABASE_URL": database}
    )
    receive(gateway, files={"../IMG_1.jpg": JPEG, "x.smil": b"<smil/>", "notes.csv": b"a;b"})

    [message] = stored_messages(gateway)
    assert [(f.name, f.content_type, f.state, f.size) for f in message.media] == [
        ("_IMG_1.jpg", "image/jpeg", "kept", len(JPEG)),
        ("notes.csv", "text/csv", "kept", 3),
    ]
    assert gateway.media.open(message.media[0].id).read_bytes() == JPEG
    assert on_disk(tmp_path) == 2
    work = gateway.store.read(lambda tx: jobs.of(tx, message.id))
    [mail] = [job for job in work if job.kind is JobKind.EMAIL]
    assert JobKind.FETCH not in {job.kind for job in work}
    assert mail.due <= mail.created_at  # it has nothing to wait for


def test_a_file_that_is_too_large_has_failed_and_its_text_has_not(
    make_gateway: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.messaging.call_files.MEDIA_BYTES", 10)
    gateway = make_gateway(NUMBER_ENTRY, **ENV)
    receive(gateway, files={"a.jpg": JPEG, "b.txt": b"small"})

    [message] = stored_messages(gateway)
    assert message.text == "Look"
    assert [(file.state, bool(file.reason)) for file in message.media] == [
        ("failed", True),
        ("kept", False),
    ]
    assert on_disk(tmp_path) == 1


def test_the_same_call_again_is_kept_once_and_leaves_no_files(
    make_gateway: Make, tmp_path: Path, database: str
) -> None:
    gateway = make_gateway(NUMBER_ENTRY, **ENV | {"DATABASE_URL": database})
    for _ in range(3):
        receive(gateway, files={"a.jpg": JPEG})

    assert len(stored_messages(gateway)) == 1
    assert on_disk(tmp_path) == 1


def test_what_differs_is_no_repeat(make_gateway: Make) -> None:
    gateway = make_gateway(NUMBER_ENTRY, **ENV)
    receive(gateway)
    receive(gateway, text="look")
    receive(gateway, caller_id_number="13035550122")
    receive(gateway, destination_number="12025550144")
    receive(gateway, files={"a.jpg": JPEG})
    receive(gateway, files={"a.jpg": JPEG + b"!"})
    receive(gateway, uuid="0d706ee2-5dab-4c7c-8203-a56d735f9772")
    receive(gateway, uuid="8a7a1c1e-77aa-4f5f-8a6e-0a0d7cbb9c11")

    assert len(stored_messages(gateway)) == 8


def test_the_same_words_much_later_are_a_text_of_their_own(make_gateway: Make) -> None:
    gateway = make_gateway(NUMBER_ENTRY, **ENV)
    receive(gateway)
    age(gateway, REPEAT_SECONDS - 30)
    receive(gateway)
    assert len(stored_messages(gateway)) == 1

    age(gateway, 40)
    receive(gateway)
    assert len(stored_messages(gateway)) == 2


def test_a_call_that_cannot_be_kept_leaves_no_files(make_gateway: Make, tmp_path: Path) -> None:
    gateway = make_gateway(NUMBER_ENTRY, **ENV)
    receive(gateway, destination_number="%%%", files={"a.jpg": JPEG})

    assert stored_messages(gateway) == []
    assert gateway.store.read(quarantine.count) == 1
    assert on_disk(tmp_path) == 0


def test_a_call_waits_for_a_disk_that_fails(
    make_gateway: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gateway = make_gateway(NUMBER_ENTRY, **ENV)
    (tmp_path / "media").write_text("in the way")
    monkeypatch.setattr("services.messaging.process.FILES_RETRY_SECONDS", 0.0)
    call = incoming(gateway, files={"a.jpg": JPEG})
    gateway.receiver.receive(gateway.providers["voipinnovations"], call)
    gateway.processor.process_batch(gateway.processor.lease_names)
    assert (stored_messages(gateway), gateway.store.read(inbox.count)) == ([], 1)

    (tmp_path / "media").unlink()
    gateway.processor.process_all()
    assert [file.state for file in stored_messages(gateway)[0].media] == ["kept"]


def test_quarantined_calls_are_read_again_with_their_files_and_their_times(
    make_gateway: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gateway = make_gateway(NUMBER_ENTRY, **ENV)
    for _ in range(3):
        receive(gateway, type="somethingNew", files=None)
        receive(gateway, type="somethingNew", files=repr({"a.jpg": "/9j/4A=="}))
    hours = quarantine_table.c.received_at - 3600 * (quarantine_table.c.id % 3)
    gateway.store.write(lambda tx: tx.execute(update(quarantine_table).values(received_at=hours)))
    waiting = gateway.store.read(quarantine.waiting)
    with pytest.raises(RequestRefused, match="somethingNew"):
        gateway.replay.replay(waiting[0].id)

    monkeypatch.setattr(
        "services.providers.voipinnovations.webhook.INBOUND", {"somethingnew", "incomingwebhookmms"}
    )
    for row in waiting:
        assert [outcome for outcome, _ in gateway.replay.replay(row.id)] == ["received"]
    assert len(stored_messages(gateway)) == 6
    assert on_disk(tmp_path) == sum(len(message.media) for message in stored_messages(gateway))
    assert gateway.store.read(quarantine.count) == 0


def test_a_text_does_not_wait_for_a_picture_that_cannot_be_read(make_gateway: Make) -> None:
    gateway = make_gateway(NUMBER_ENTRY, **ENV)
    receive(gateway, files="{'a.jpg': ")

    [message] = stored_messages(gateway)
    assert (message.text, [file.state for file in message.media]) == ("Look", ["failed"])
    [row] = gateway.store.read(quarantine.waiting)
    assert b"a.jpg" in row.body
    with pytest.raises(RequestRefused):
        gateway.replay.replay(row.id)
    assert len(stored_messages(gateway)) == 1


def test_large_pictures_are_accepted_and_endless_ones_refused(tmp_path: Path) -> None:
    app = create_app(ENV | {"APP_ENV": "local", "STORAGE_PATH": str(tmp_path)})
    gateway: Gateway = app.extensions["gateway"]
    address = f"/webhook/voipinnovations/sms?token={incoming(gateway).query[6:]}"
    for size, status in ((3_000_000, 200), (8_000_000, 413)):
        call = incoming(gateway, files={"a.jpg": JPEG + b"\0" * size})
        answer = app.test_client().post(address, data=call.body, headers=dict(call.headers))
        assert answer.status_code == status
    gateway.processor.process_all()
    [message] = stored_messages(gateway)
    assert message.media[0].size == 3_000_000 + len(JPEG)
    gateway.close()
