"""Acrobits apps: provisioning, push, fetch, send, with a push relay that checks."""

import json
import secrets
import time
import zlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urljoin
from xml.etree.ElementTree import fromstring

import pytest
import responses
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from flask import Flask
from sqlalchemy import update
from werkzeug.test import TestResponse

from app import create_app
from blueprints.acrobits import calls
from services.core.messages import Attachment, Device, Message
from services.gateway import Gateway
from services.operations.login_throttle import Attempts
from services.push.acrobits.files import CONTENT_TYPE
from services.store import attachments, circuit_breakers, conversations, devices, messages
from services.store.database.schema import jobs as job_table
from services.store.database.schema import messages as message_table
from tests.cli.conftest import Terminal
from tests.conftest import NUMBER, NUMBER_ENTRY, PEER, settings_file
from tests.databases import add_tables
from tests.fakes.acrobits import App, FakeRelay
from tests.fakes.push_services import Answer
from tests.message_steps import receive_text, run_due_jobs
from tests.pictures import jpeg

OTHER = "+12025550199"
PAYLOADS = Path(__file__).parents[1] / "payloads" / "acrobits"
FILES = json.loads((PAYLOADS / "files.json").read_text("utf-8"))
PICTURE = jpeg()
PATHS = ("send", "fetch", "push-token", "removed")


@pytest.fixture
def relay() -> Iterator[FakeRelay]:
    with FakeRelay() as running:
        yield running


class Installation:
    """A Textbridge and its operator, who provisions apps."""

    def __init__(self, app: Flask, relay: FakeRelay) -> None:
        self.app = app
        self.relay = relay
        self.gateway: Gateway = app.extensions["gateway"]
        self.client = app.test_client()
        self.terminal = Terminal(self.gateway)

    def provisioned(self, extension: str = "201") -> App:
        """An app with an account, not yet started."""
        told = self.terminal.json("devices", "provision", extension, "--name", "Phone")
        return App(told["account"], self.client)

    def started(self, extension: str = "201") -> App:
        """An app that is pushed to."""
        app = self.provisioned(extension)
        answer = app.start(self.relay.install())
        assert answer.status_code == 200, answer.text
        return app

    def devices(self) -> list[Device]:
        return self.gateway.store.read(devices.of)

    def sent(self) -> list[Message]:
        found = self.gateway.store.read(lambda tx: messages.find(tx, limit=100))
        return [message for message in found if message.direction == "out"]


MakeInstallation = Callable[..., Installation]


@pytest.fixture
def make_installation(tmp_path: Path, relay: FakeRelay) -> Iterator[MakeInstallation]:
    """Open services; the arguments are entries of Message Settings."""
    opened: list[Installation] = []

    def make(*numbers: dict[str, Any], **env: str) -> Installation:
        file = tmp_path / "message_settings.json"
        file.write_text(settings_file(*(numbers or (NUMBER_ENTRY,))), "utf-8")
        base = {"APP_ENV": "local", "STORAGE_PATH": str(tmp_path)}
        base["APP_URL"] = "https://sms.example.com"
        add_tables(tmp_path)
        opened.append(Installation(create_app({**base, **relay.env, **env}), relay))
        return opened[-1]

    yield make
    for each in opened:
        each.gateway.close()


def test_a_text_wakes_the_app_which_fetches_and_answers_it(
    make_installation: MakeInstallation, relay: FakeRelay, database: str
) -> None:
    installation = make_installation(DATABASE_URL=database)
    app = installation.started()
    receive_text(installation.gateway, "Are you open?")
    run_due_jobs(installation.gateway)
    [push] = relay.pushes
    told = app.fetch()
    [text] = told["received_smss"]
    assert text["sms_text"] == "Are you open?"
    assert (text["sender"], text["recipient"]) == (PEER, NUMBER)
    assert (text["content_type"], text["displayed"]) == ("text/plain", False)
    assert (push["Id"], push["ThreadId"]) == (text["sms_id"], text["stream_id"])
    assert (push["UserName"], push["Message"]) == (PEER, "Are you open?")
    assert told["sent_smss"] == []
    answer = app.send(PEER, "Until six. “Ring twice” 😀")
    assert answer.status_code == 200
    assert app.fetch()["received_smss"] == []
    [listed] = app_of(installation, app).fetch()["sent_smss"]
    assert listed["sms_id"] == (answer.json or {})["sms_id"]
    assert listed["sms_text"] == "Until six. “Ring twice” 😀"
    assert (listed["recipient"], listed["sender"]) == (PEER, NUMBER)
    assert listed["stream_id"] == text["stream_id"]
    [device] = installation.devices()
    assert device.last_success_at is not None
    assert "LAST PUSH" in installation.terminal.flask("devices", "list").output


def app_of(installation: Installation, app: App) -> App:
    """The same app after its memory was lost."""
    return App(app.account, installation.client)


def test_account_xml_says_the_same_and_holds_no_secret_in_an_address(
    make_installation: MakeInstallation,
) -> None:
    installation = make_installation()
    result = installation.terminal.flask("devices", "provision", "201", "--name", "Phone", "--xml")
    app = App.of_xml(result.stdout, installation.client)
    printed = installation.terminal.flask("devices", "provision", "201", "--name", "Phone").output
    assert set(app.account) <= set(printed.split())
    assert "tb_" in printed
    for name, value in app.account.items():
        if name.endswith("Url"):
            assert value.startswith("https://sms.example.com/acrobits/")
            assert "tb_" not in value
        if name.endswith("PostData"):
            assert json.loads(value)["password"].startswith("tb_")
    assert app.account["genericSmsPostData"] == app.account["genericSmsSendPostData"]
    assert app.fetch()["received_smss"] == []


@pytest.mark.parametrize(
    ("preview", "there", "absent"),
    [
        ("full", {"UserName", "Message", "ThreadId"}, set()),
        ("sender", {"UserName", "ThreadId"}, {"Message"}),
        ("none", set(), {"UserName", "UserDisplayName", "Message", "ThreadId"}),
    ],
)
def test_a_push_shows_what_the_device_allows(
    make_installation: MakeInstallation,
    relay: FakeRelay,
    preview: Any,
    there: set[str],
    absent: set[str],
) -> None:
    installation = make_installation()
    told = installation.terminal.json(
        "devices", "provision", "201", "--name", "x", "--preview", preview
    )
    App(told["account"], installation.client).start(relay.install())
    receive_text(installation.gateway, "secret")
    run_due_jobs(installation.gateway)
    [push] = relay.pushes
    assert there <= set(push)
    assert not absent & set(push)
    assert ("secret" in str(push)) == (preview == "full")
    assert (PEER in str(push)) == (preview != "none")


def test_a_test_push_arrives(make_installation: MakeInstallation, relay: FakeRelay) -> None:
    installation = make_installation()
    installation.started()
    [device] = installation.devices()
    assert installation.gateway.push_delivery.test(device)[0] == "taken"
    assert "Id" not in relay.pushes[0]


@pytest.mark.parametrize(
    "answer",
    [
        Answer(200, '{"code": 200, "response": "OK"}'),
        Answer(200, "OK"),
        Answer(200, "[]"),
        Answer(200, '{"code": "404"}'),
        Answer(202),
    ],
)
def test_what_counts_as_taken(
    make_installation: MakeInstallation, relay: FakeRelay, answer: Answer
) -> None:
    installation = make_installation()
    installation.started()
    relay.answers.append(answer)
    assert installation.gateway.push_delivery.test(installation.devices()[0])[0] == "taken"


def test_a_dead_token_is_forgotten_until_the_app_starts_again(
    make_installation: MakeInstallation, relay: FakeRelay
) -> None:
    installation = make_installation()
    app = installation.started()
    relay.tokens.clear()
    receive_text(installation.gateway, "one")
    run_due_jobs(installation.gateway)
    [device] = installation.devices()
    assert (device.channel, dict(device.address)) == ("none", {})
    assert "Open it once" in installation.terminal.json("devices", "list")[0]["last_error"]
    receive_text(installation.gateway, "two")
    app.start(relay.install())
    receive_text(installation.gateway, "three")
    run_due_jobs(installation.gateway)
    assert [push["Message"] for push in relay.pushes] == ["three"]
    assert len(app.fetch()["received_smss"]) == 3
    assert installation.devices()[0].last_error is None


def test_a_relay_that_does_not_answer_is_tried_again(
    make_installation: MakeInstallation, relay: FakeRelay
) -> None:
    installation = make_installation(ACROBITS_PUSH_URL="http://127.0.0.1:9/pnm2/send")
    installation.started()
    receive_text(installation.gateway)
    run_due_jobs(installation.gateway)
    [device] = installation.devices()
    assert device.channel == "acrobits"
    assert "did not take the push" in (device.last_error or "")


def test_the_account_that_was_removed_is_pushed_to_no_longer(
    make_installation: MakeInstallation, relay: FakeRelay
) -> None:
    installation = make_installation()
    app = installation.started()
    other = app.words | {"selector": "another account"}
    assert app.call("accountRemovalReporter", other).status_code == 200
    assert installation.devices()[0].channel == "acrobits"
    for _ in range(2):
        assert app.call("accountRemovalReporter", app.words).status_code == 200
    assert installation.devices()[0].channel == "none"
    receive_text(installation.gateway)
    run_due_jobs(installation.gateway)
    assert relay.pushes == []


@pytest.mark.parametrize("word", ["selector", "pushTokenOther", "pushappid_other"])
@pytest.mark.parametrize("value", ["", None, "x" * 1001])
def test_a_report_that_is_incomplete_is_refused(
    make_installation: MakeInstallation, relay: FakeRelay, word: str, value: str | None
) -> None:
    installation = make_installation()
    words = relay.install()
    if value is None:
        del words[word]  # this build of the app does not know the word and leaves it
    else:
        words[word] = value
    answer = installation.provisioned().start(words)
    assert answer.status_code == 422
    assert "not reported as expected" in (answer.json or {})["message"]
    assert installation.devices()[0].channel == "none"


# Fetch


def test_nothing_is_taken_away_and_pages_follow_each_other(
    make_installation: MakeInstallation,
) -> None:
    installation = make_installation()
    first, second = installation.started(), installation.started()
    for number in range(5):
        receive_text(installation.gateway, f"text {number}")
        first.send(PEER, f"answer {number}")
    for app in (first, second):
        told = app.fetch()
        assert [text["sms_text"] for text in told["received_smss"]] == [
            f"text {n}" for n in range(5)
        ]
        assert [text["sms_text"] for text in told["sent_smss"]] == [f"answer {n}" for n in range(5)]
        again = app.fetch()
        assert (again["received_smss"], again["sent_smss"]) == ([], [])


def test_a_long_list_comes_in_pages(
    make_installation: MakeInstallation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("blueprints.acrobits.fetch.PAGE", 2)
    monkeypatch.setattr("blueprints.acrobits.fetch.NEWEST", 3)
    installation = make_installation()
    app = installation.started()
    for number in range(7):
        receive_text(installation.gateway, str(number))
    texts = [text["sms_text"] for text in app.fetch()["received_smss"]]
    assert texts == ["4", "5", "6"]
    app.last_id = "0"
    seen = []
    while page := app.fetch()["received_smss"]:
        assert len(page) <= 2
        seen += [text["sms_text"] for text in page]
    assert seen == [str(number) for number in range(7)]


@pytest.mark.parametrize("known", ["", "x", "-1", "9" * 18, "9" * 40, "1.5", "٣", "%last_known%"])
def test_an_id_that_is_none_gets_the_newest(
    make_installation: MakeInstallation, known: str
) -> None:
    installation = make_installation()
    app = installation.started()
    receive_text(installation.gateway, "hello")
    app.last_id = app.last_sent_id = known
    assert [text["sms_text"] for text in app.fetch()["received_smss"]] == ["hello"]


def test_the_number_is_shown_to_an_extension_that_has_several(
    make_installation: MakeInstallation,
) -> None:
    installation = make_installation(NUMBER_ENTRY, NUMBER_ENTRY | {"number": OTHER})
    app = installation.started()
    receive_text(installation.gateway, "one", number=OTHER)
    [text] = app.fetch()["received_smss"]
    assert (text["sms_text"], text["recipient"]) == (f"To {OTHER}: one", OTHER)
    app.send(PEER, "two")
    [sent] = app.fetch()["sent_smss"]
    assert (sent["sms_text"], sent["sender"], sent["stream_id"]) == ("two", OTHER, PEER)


def test_what_was_read_elsewhere_is_displayed(make_installation: MakeInstallation) -> None:
    installation = make_installation()
    app = installation.started()
    receive_text(installation.gateway, "one")
    message = installation.gateway.store.read(lambda tx: messages.find(tx, limit=1))[0]

    def read(tx: Any) -> None:
        conversations.mark_read(tx, "201", message.conversation_id, message.seq, 99)

    installation.gateway.store.write(read)
    assert [text["displayed"] for text in app.fetch()["received_smss"]] == [True]


def test_another_extensions_texts_are_not_there(make_installation: MakeInstallation) -> None:
    installation = make_installation(
        NUMBER_ENTRY, NUMBER_ENTRY | {"number": OTHER, "extensions": ["202"]}
    )
    app = installation.started()
    receive_text(installation.gateway, "not yours", number=OTHER)
    assert app.fetch()["received_smss"] == []
    assert installation.provisioned("299").fetch()["received_smss"] == []


def test_xml_where_the_app_asks_for_it(make_installation: MakeInstallation) -> None:
    installation = make_installation()
    app = installation.started()
    receive_text(installation.gateway, "a < b & c \x0b \ud83d\ude00")
    answer = app.call("genericSmsFetch", {}, headers={"Accept": "application/xml"})
    assert answer.content_type.startswith("application/xml")
    root = fromstring(answer.data)
    assert root.tag == "response"
    [item] = root.findall("received_smss/item")
    assert item.findtext("sms_text") == "a < b & c \ufffd 😀"
    assert item.findtext("displayed") == "false"
    words = {"sms_to": "MTN", "sms_body": "x", "content_type": ""}
    refused = app.call("genericSmsSend", words, headers={"Accept": "text/xml"})
    assert refused.status_code == 422
    assert "a name, not a number" in (fromstring(refused.data).findtext("message") or "")


def test_a_text_to_an_emergency_number_is_refused(make_installation: MakeInstallation) -> None:
    installation = make_installation()
    refused = installation.started().send("1-911", "Help")
    assert refused.status_code == 422
    assert "cannot send texts to emergency services. Call 911." in refused.text
    assert installation.sent() == []


def test_a_text_waits_for_its_picture_and_comes_with_it(
    make_installation: MakeInstallation, relay: FakeRelay
) -> None:
    installation = make_installation()
    app = installation.started()
    file = Attachment(source_url="https://carrier.example/a")
    receive_text(installation.gateway, "look", media=(file,))
    receive_text(installation.gateway, "afterwards")
    deliver = installation.gateway.delivery.deliver
    deliver("w", lambda name: int(name.startswith("push")), installation.gateway.delivery.perform)
    assert relay.pushes == []
    assert app.fetch()["received_smss"] == []
    run_due_jobs(installation.gateway)  # the sandbox's carrier has no such file: it has failed
    installation.gateway.store.write(lambda tx: tx.execute(update(job_table).values(due=0.0)))
    installation.gateway.store.write(circuit_breakers.resume_all)
    run_due_jobs(installation.gateway)
    assert [text["sms_text"] for text in app.fetch()["received_smss"]] == ["look", "afterwards"]
    assert [push["Message"] for push in relay.pushes] == ["look", "afterwards"]


def test_a_picture_is_listed_with_a_link_that_works(make_installation: MakeInstallation) -> None:
    installation = make_installation()
    app = installation.started()
    picture = Attachment(source_url="https://carrier.example/a", content_type="image/jpeg")
    receive_text(installation.gateway, "look", media=(picture,))
    message = installation.gateway.store.read(lambda tx: messages.find(tx, limit=1))[0]
    file_id = message.media[0].id
    installation.gateway.media.save(
        [PICTURE], file_id=file_id, declared="", name="", max_bytes=9999
    )

    def fetched(tx: Any) -> None:
        file = attachments.by_id(tx, file_id)
        assert file is not None
        is_kept = replace(file, content_type="image/jpeg", name="a.jpg", size=len(PICTURE))
        attachments.keep(tx, is_kept)

    installation.gateway.store.write(fetched)
    [text] = app.fetch()["received_smss"]
    assert text["content_type"] == CONTENT_TYPE
    told = json.loads(text["sms_text"])
    assert told["body"] == "look"
    [shown] = told["attachments"]
    link = shown.pop("content-url")
    assert shown == {
        "content-type": "image/jpeg",
        "content-size": len(PICTURE),
        "filename": "a.jpg",
    }
    with installation.client.get(link.removeprefix("https://sms.example.com")) as answer:
        assert answer.data == PICTURE


def test_a_picture_that_is_late_is_not_waited_for(make_installation: MakeInstallation) -> None:
    installation = make_installation()
    app = installation.started()
    picture = Attachment(source_url="https://carrier.example/a")
    receive_text(installation.gateway, "look", media=(picture,))
    assert app.fetch()["received_smss"] == []
    long_ago = update(message_table).values(created_at=time.time() - 121)
    installation.gateway.store.write(lambda tx: tx.execute(long_ago))
    [text] = app.fetch()["received_smss"]
    [shown] = json.loads(text["sms_text"])["attachments"]
    assert "/media/" in shown["content-url"]  # it works once the picture is here


# Send


def test_the_same_again_is_taken_for_a_repeat(
    make_installation: MakeInstallation, monkeypatch: pytest.MonkeyPatch
) -> None:
    installation = make_installation()
    app, other = installation.started(), installation.started()
    now = time.time()
    clock = "blueprints.acrobits.send.time.time"
    first = app.send(PEER, "ok").json
    for later in range(20):  # over the end of a span, too
        monkeypatch.setattr(clock, lambda later=later: now + later)
        assert app.send(PEER, "ok").json == first
    assert app.send(PEER, "OK").json != first
    assert app.send("+13035550178", "ok").json != first
    assert other.send(PEER, "ok").json != first
    assert len(installation.sent()) == 4
    monkeypatch.setattr(clock, lambda: now + 60)
    assert app.send(PEER, "ok").json != first
    assert len(installation.sent()) == 5


def test_a_list_of_recipients_is_a_group(make_installation: MakeInstallation) -> None:
    installation = make_installation()
    answer = installation.started().send(f"{PEER}, +13035550178", "all of you")
    assert answer.status_code == 200
    [message] = installation.sent()
    assert set(message.recipients) == {PEER, "+13035550178"}


@pytest.mark.parametrize(
    ("to", "body", "content_type", "status", "said"),
    [
        ("", "x", "text/plain", 422, "to whom"),
        (" , ,", "x", "text/plain", 422, "to whom"),
        ("no number!", "x", "text/plain", 422, "a name, not a number"),
        (NUMBER, "x", "text/plain", 422, "cannot text itself"),
        (PEER, "", "text/plain", 422, "Write a text"),
        (PEER, "x", "application/pdf", 415, "cannot be sent"),
        (PEER, "x", CONTENT_TYPE, 422, "cannot be read"),
    ],
)
def test_what_cannot_be_sent_is_said_to_the_user(
    make_installation: MakeInstallation,
    to: str,
    body: str,
    content_type: str,
    status: int,
    said: str,
) -> None:
    installation = make_installation()
    answer = installation.provisioned().send(to, body, content_type)
    assert answer.status_code == status
    assert said in (answer.json or {})["message"]
    assert installation.sent() == []


def test_a_display_notice_of_the_apps_is_no_text(make_installation: MakeInstallation) -> None:
    installation = make_installation()
    kind = "application/x-acro-disposition-notification"
    assert installation.provisioned().send(PEER, "displayed", kind).status_code == 200
    assert installation.sent() == []


def encrypted(content: bytes, key: bytes) -> bytes:
    encryptor = Cipher(algorithms.AES(key), modes.CTR(bytes(16))).encryptor()
    return encryptor.update(content) + encryptor.finalize()


@pytest.mark.parametrize("length", [0, 16, 24, 32])
@pytest.mark.parametrize("caption", ["body", "text"])
def test_files_from_the_app_go_out(
    make_installation: MakeInstallation, length: int, caption: str
) -> None:
    installation = make_installation()
    key = secrets.token_bytes(length)
    offered = {
        "content-type": "image/jpeg",
        "content-url": "https://mmmsg.acrobits.net/old",
        "filename": "a.jpg",
        "hash": str(zlib.crc32(PICTURE)),
    }
    content = encrypted(PICTURE, key) if key else PICTURE
    if key:
        offered["encryption-key"] = key.hex()
    app = installation.provisioned()
    body = json.dumps({caption: "look", "attachments": [offered, offered]})
    with responses.RequestsMock() as web:
        moved = {"Location": "https://eu.mmmsg.acrobits.net/new"}
        web.get("https://mmmsg.acrobits.net/old", status=302, headers=moved)
        web.get("https://eu.mmmsg.acrobits.net/new", body=content)
        first = app.send(PEER, body, CONTENT_TYPE)
        calls_made = len(web.calls)
        assert first.status_code == 200, first.text
        assert app.send(PEER, body, CONTENT_TYPE).json == first.json
        assert len(web.calls) == calls_made
    [sent] = installation.sent()
    assert sent.text == "look"
    assert [(file.name, file.content_type) for file in sent.media] == [("a.jpg", "image/jpeg")] * 2
    for file in sent.media:
        assert installation.gateway.media.open(file.id).read_bytes() == PICTURE
    [listed] = app.fetch()["sent_smss"]
    assert json.loads(listed["sms_text"])["body"] == "look"


@pytest.mark.parametrize("name", FILES)
def test_files_that_cannot_be_taken_are_told(
    make_installation: MakeInstallation, name: str
) -> None:
    case = FILES[name]
    body = case["body"] if isinstance(case["body"], str) else json.dumps(case["body"])
    installation = make_installation()
    with responses.RequestsMock():
        answer = installation.provisioned().send(PEER, body, CONTENT_TYPE)
    assert (answer.status_code, answer.json) == (422, {"message": case["said"]})
    assert installation.sent() == []


@pytest.mark.parametrize("location", ["https://evil.example/a", "http://a.acrobits.net/", "//x/"])
def test_a_redirect_to_another_host_is_not_followed(
    make_installation: MakeInstallation, location: str
) -> None:
    installation = make_installation()
    body = json.dumps({"attachments": [{"content-url": "https://a.acrobits.net/a"}]})
    with responses.RequestsMock(assert_all_requests_are_fired=False) as web:
        web.get("https://a.acrobits.net/a", status=302, headers={"Location": location})
        web.get(urljoin("https://a", location), body=PICTURE)
        answer = installation.provisioned().send(PEER, body, CONTENT_TYPE)
        assert len(web.calls) == 1
    assert answer.json == {"message": "A file could not be fetched. Send it again."}


@pytest.mark.parametrize("change", ["key", "hash", "content"])
def test_a_file_that_is_not_what_was_sent_is_refused(
    make_installation: MakeInstallation, change: str
) -> None:
    installation = make_installation()
    key = secrets.token_bytes(16)
    wrong = secrets.token_bytes(16) if change == "key" else key
    told = {"content-url": "https://a.acrobits.net/a", "encryption-key": wrong.hex()}
    told["hash"] = str(zlib.crc32(PICTURE) ^ (change == "hash"))
    content = encrypted(PICTURE, key)[: -1 if change == "content" else None]
    with responses.RequestsMock() as web:
        web.get("https://a.acrobits.net/a", body=content)
        body = json.dumps({"attachments": [told]})
        answer = installation.provisioned().send(PEER, body, CONTENT_TYPE)
    assert (answer.json or {})["message"].startswith("The file did not arrive as it was sent.")
    assert installation.sent() == []


# Who may call


@pytest.mark.parametrize("path", PATHS)
def test_a_password_in_an_address_is_refused(
    make_installation: MakeInstallation, path: str
) -> None:
    installation = make_installation()
    who = json.loads(installation.provisioned().account["genericSmsFetchPostData"])
    for method in ("GET", "POST"):
        for name in ("password", "cloud_password"):
            query = {"username": "201", name: who["password"]}
            answer = installation.client.open(
                f"/acrobits/{path}", method=method, query_string=query
            )
            assert answer.status_code == 400
            assert "never into the address" in (answer.json or {})["message"]
    assert installation.client.get(f"/acrobits/{path}").status_code == 405


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    "who",
    [
        {},
        {"username": "201"},
        {"password": "@right"},
        {"username": "202", "password": "@right"},
        {"username": "201", "password": "tb_wrong"},
        {"username": "201", "password": ""},
        {"username": "%account[username]%", "password": "%account[password]%"},
    ],
)
def test_who_has_no_password_is_refused(
    make_installation: MakeInstallation, path: str, who: dict[str, str]
) -> None:
    installation = make_installation()
    right = json.loads(installation.provisioned().account["genericSmsFetchPostData"])["password"]
    said = {name: value.replace("@right", right) for name, value in who.items()}
    answer = installation.client.post(f"/acrobits/{path}", json=said | {"to": PEER, "body": "x"})
    assert answer.status_code == 401
    assert installation.sent() == []


def test_a_revoked_device_is_refused(make_installation: MakeInstallation, relay: FakeRelay) -> None:
    installation = make_installation()
    app = installation.started()
    installation.terminal.flask("devices", "revoke", installation.devices()[0].id)
    assert app.send(PEER, "x").status_code == 401
    receive_text(installation.gateway)
    run_due_jobs(installation.gateway)
    assert relay.pushes == []


def test_failures_are_slowed_down_over_processes_and_nobody_is_shut_out(
    make_installation: MakeInstallation, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = Attempts("token", each=((5, 60.0),), all=((600, 60.0),))
    monkeypatch.setattr("services.gateway.TOKENS", few)
    desks = [make_installation(DATABASE_URL=database) for _ in range(2)]

    def attempt(at: int, username: str = "201", address: str = "192.0.2.1") -> TestResponse:
        wrong = {"username": username, "password": "tb_wrong"}
        here = {"REMOTE_ADDR": address}
        return desks[at % 2].client.post("/acrobits/fetch", json=wrong, environ_base=here)

    assert [attempt(n).status_code for n in range(8)] == [401] * 5 + [429] * 3
    assert "Try again in" in attempt(0, "202").json["message"]  # type: ignore[index]
    assert 0 < int(attempt(1).headers["Retry-After"]) <= 60
    assert attempt(0, address="192.0.2.2").status_code == 401
    app = desks[0].provisioned()
    app.client.environ_base["REMOTE_ADDR"] = "192.0.2.1"
    assert app.fetch()["received_smss"] == []


@pytest.mark.parametrize(
    "names",
    [
        ("username", "password", "to", "body", "last_id"),
        ("from", "password", "sms_to", "sms_body", "last_known"),
        ("cloud_username", "cloud_password", "to", "message_body", "last_known_sms_id"),
    ],
)
@pytest.mark.parametrize("form", [True, False])
@pytest.mark.parametrize("in_query", [True, False])
def test_names_of_parameters_in_the_wild(
    make_installation: MakeInstallation, names: tuple[str, ...], form: bool, in_query: bool
) -> None:
    installation = make_installation()
    account = json.loads(installation.provisioned().account["genericSmsFetchPostData"])
    username, password, to, body, last = names
    told = {username: "201", password: account["password"]}
    rest = {to: PEER, body: "Grüße & so", last: "0"}
    query = rest if in_query else {}
    content: dict[str, Any] = told if in_query else told | rest
    options = {"data": content} if form else {"json": content}
    answer = installation.client.post("/acrobits/send", query_string=query, **options)
    assert answer.status_code == 200, answer.text
    assert [message.text for message in installation.sent()] == ["Grüße & so"]
    receive_text(installation.gateway, "hi")
    assert (
        installation.client.post("/acrobits/fetch", query_string=query, **options).status_code
        == 200
    )


@pytest.mark.parametrize("path", PATHS)
def test_odd_bodies_are_refused_without_a_fault(
    make_installation: MakeInstallation, path: str
) -> None:
    installation = make_installation()
    for body in (
        *(b"", b"[]", b"null", b"{", b"{}", b"\xff\xfe", b"{" * 9999, b'{"username": NaN}'),
        *(b"\xef\xbb\xbf{}", b"%", b"=&=", b'{"username": {"a": 1}}', b'{"username": "\\ud800"}'),
    ):
        for kind in (
            "application/json",
            "application/x-www-form-urlencoded",
            "multipart/form-data",
        ):
            answer = installation.client.post(f"/acrobits/{path}", data=body, content_type=kind)
            assert answer.status_code in (400, 401, 429), (body, answer.status_code)
            assert (answer.json or {})["message"]
    big = installation.client.post(f"/acrobits/{path}", data=b"x" * (calls.MOST_BYTES + 1))
    assert big.status_code == 413


@pytest.mark.parametrize("path", PATHS)
def test_odd_values_of_authenticated_callers_make_no_fault(
    make_installation: MakeInstallation, path: str
) -> None:
    installation = make_installation()
    who = json.loads(installation.provisioned().account["genericSmsFetchPostData"])
    right = {"username": who["username"], "password": who["password"]}
    values = (None, 5, -1.5, True, [], {}, "\x00", "\ud800", "x" * 100_000, "%a%", "٣", "1e400")
    for name in calls.NAMES.keys() - right.keys():
        for value in values:
            base = {"to": PEER, "body": "x", "content_type": "text/plain"}
            told = json.dumps(base | {name: value} | right)
            answer = installation.client.post(f"/acrobits/{path}", data=told)
            assert answer.status_code < 500, (name, value, answer.text)
            assert answer.status_code != 401, (name, value)
