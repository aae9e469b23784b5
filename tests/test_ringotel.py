"""Ringotel: texts into its app and answers out of it, against a Ringotel that checks."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import responses
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select, update

from app import create_app
from blueprints.ringotel.webhook import webhook_url
from services.config import variables
from services.core.errors import Kind, PushError
from services.core.messages import Attachment, Device, Message, Status
from services.gateway import Gateway
from services.http.client import Http, NotSent
from services.operations.login_throttle import Attempts
from services.push.ringotel.api import Api
from services.push.ringotel.channel import Ringotel
from services.store import (
    attachments,
    circuit_breakers,
    conversations,
    dead_letters,
    jobs,
    messages,
    statuses,
)
from services.store.database.schema import jobs as job_table
from services.store.database.schema import messages as message_table
from services.store.jobs import JobKind
from tests.conftest import DESK, NUMBER, PEER, settings_file
from tests.databases import add_tables
from tests.fakes.bandwidth import Answer
from tests.fakes.ringotel import ORG, TOKEN, FakeRingotel
from tests.pictures import jpeg
from tests.test_cli import Terminal
from tests.test_gateway import receive, work

OTHER = "+12025550199"
PAYLOADS = Path(__file__).parent / "payloads" / "ringotel"
EVENTS = json.loads((PAYLOADS / "events.json").read_text("utf-8"))
ERRORS = json.loads((PAYLOADS / "errors.json").read_text("utf-8"))
PICTURE = jpeg()


@pytest.fixture
def ringotel() -> Iterator[FakeRingotel]:
    with FakeRingotel() as running:
        yield running


class Office:
    """A Textbridge with Ringotel, and Ringotel's side of the webhook."""

    def __init__(self, app: Flask) -> None:
        self.gateway: Gateway = app.extensions["gateway"]
        self.client: FlaskClient = app.test_client()
        self.path = "/" + webhook_url(self.gateway.environment).split("/", 3)[3]

    def post(self, event: dict[str, Any], **more: Any) -> Any:
        body = {"api_key": TOKEN, **json.loads(json.dumps(event).replace("@org", ORG)), **more}
        return self.client.post(self.path, json=body)

    def said(self, content: str = "On my way", **params: Any) -> Any:
        told = {"orgid": ORG, "messageid": "m-1", "from": "201", "to": PEER, "type": 1}
        return self.post({"method": "message", "params": {**told, "content": content, **params}})

    def kept(self, direction: str = "out") -> list[Message]:
        found = self.gateway.store.read(lambda tx: messages.find(tx, limit=100))
        return [message for message in found if message.direction == direction]

    def work(self) -> None:
        """Do everything that is or will be due, as if no time had to pass."""
        work(self.gateway)
        self.gateway.store.write(lambda tx: tx.execute(update(job_table).values(due=0.0)))
        self.gateway.store.write(circuit_breakers.resume_all)
        work(self.gateway)


Open = Callable[..., Office]


@pytest.fixture
def office(tmp_path: Path, ringotel: FakeRingotel) -> Iterator[Open]:
    """Open services with Ringotel; the arguments are entries of Message Settings."""
    opened: list[Office] = []

    def make(*numbers: dict[str, Any], **env: str) -> Office:
        file = tmp_path / "message_settings.json"
        file.write_text(settings_file(*(numbers or (DESK,))), "utf-8")
        base = {"APP_ENV": "local", "STORAGE_PATH": str(tmp_path)}
        add_tables(tmp_path)
        opened.append(Office(create_app({**base, **ringotel.env, **env})))
        return opened[-1]

    yield make
    for each in opened:
        each.gateway.close()


def test_a_text_is_shown_and_its_answer_goes_out_once(
    office: Open, ringotel: FakeRingotel, database: str
) -> None:
    desk = office(DATABASE_URL=database)
    receive(desk.gateway, "Are you open?")
    work(desk.gateway)
    assert ringotel.shown == [("201", PEER, 1, "Are you open?")]
    for _ in range(3):
        assert desk.said("Until six.").status_code == 200
    (sent,) = desk.kept()
    assert (sent.number, sent.peer, sent.text, sent.extension) == (
        NUMBER,
        PEER,
        "Until six.",
        "201",
    )
    assert desk.said("Until six.").json == {"result": "repeated"}
    assert desk.said("Another text under the same id.").json == {"result": "repeated"}
    assert len(desk.kept()) == 1


def test_the_number_is_shown_to_an_extension_that_has_several(
    office: Open, ringotel: FakeRingotel
) -> None:
    desk = office(DESK, DESK | {"number": OTHER})
    receive(desk.gateway, "one", number=OTHER)
    work(desk.gateway)
    assert ringotel.shown == [("201", PEER, 1, f"To {OTHER}: one")]


def test_a_group_is_shown(office: Open, ringotel: FakeRingotel) -> None:
    desk = office()
    receive(desk.gateway, "all of you", participants=(PEER, "+13035550178"))
    assert "all of you" not in str(ringotel.shown)
    work(desk.gateway)
    [shown] = ringotel.shown
    assert shown[3].endswith("all of you")


def test_an_answer_leaves_from_the_number_of_the_last_text(office: Open) -> None:
    desk = office(DESK, DESK | {"number": OTHER})
    assert desk.said("hello", messageid="m-0").json == {"result": "taken"}
    receive(desk.gateway, "from here", number=OTHER)
    desk.said("there", messageid="m-1")
    receive(desk.gateway, "and from here", number=NUMBER)
    desk.said("back", messageid="m-2")
    assert [message.number for message in desk.kept()] == [NUMBER, OTHER, NUMBER]


def test_files_are_shown_before_their_text_once_they_are_here(
    office: Open, ringotel: FakeRingotel
) -> None:
    desk = office()
    [file] = [Attachment(source_url="https://carrier.example/a")]
    receive(desk.gateway, "look", media=(file,))
    message = desk.kept("in")[0]
    desk.gateway.delivery.deliver(
        "w", lambda name: int(name.startswith("push")), desk.gateway.delivery.perform
    )
    assert ringotel.shown == []  # the file may still come
    kept = desk.gateway.media.save(
        [PICTURE], file_id=message.media[0].id, declared="image/jpeg", name="a", max_bytes=1000
    )

    def fetched(tx: Any) -> None:
        attachments.keep(tx, message.media[0].id, kept.content_type, kept.name, kept.size)
        fetch = job_table.c.kind == str(JobKind.FETCH)
        tx.execute(update(job_table).where(fetch).values(state="done"))

    desk.gateway.store.write(fetched)
    desk.work()
    assert [(kind, peer) for _, peer, kind, _ in ringotel.shown] == [(7, PEER), (1, PEER)]
    assert ringotel.shown[1][3] == "look"
    link = ringotel.shown[0][3]
    assert link.startswith("http://127.0.0.1:8000/media/")
    with desk.client.get(link.partition(":8000")[2]) as answer:
        assert answer.data == PICTURE


def test_a_file_that_never_comes_is_told(office: Open, ringotel: FakeRingotel) -> None:
    desk = office()
    receive(desk.gateway, "look", media=(Attachment(source_url="https://carrier.example/a"),))
    desk.work()
    assert ringotel.shown == [("201", PEER, 1, "look\n(1 file did not come through.)")]


def test_an_extension_that_ringotel_does_not_know_is_left_in_peace(
    office: Open, ringotel: FakeRingotel
) -> None:
    desk = office(DESK | {"extensions": ["201", "299"]})
    receive(desk.gateway)
    work(desk.gateway)
    assert [extension for extension, *_ in ringotel.shown] == ["201"]
    found = desk.gateway.store.read(lambda tx: jobs.of(tx, desk.kept("in")[0].id))
    assert {job.state for job in found} == {"done"}
    assert ringotel.calls.count("getChatUsers") == 1


@pytest.mark.parametrize("name", EVENTS)
def test_what_ringotel_may_post(office: Open, ringotel: FakeRingotel, name: str) -> None:
    case = EVENTS[name]
    desk = office()
    answer = desk.post(case["event"])
    assert answer.status_code == case["status"], answer.text
    if case["status"] == 200:
        assert answer.json == {"result": case["result"]}
    assert [[message.peer, message.text] for message in desk.kept()] == case.get("sent", [])
    assert [list(shown) for shown in ringotel.shown] == ([case["told"]] if "told" in case else [])


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"null", b'"x"', b"{", b"\xff\xfe", b"[" * 50_000, b'{"api_key": NaN}', b"1e999"],
)
def test_a_body_that_is_none_is_refused_without_a_fault(office: Open, body: bytes) -> None:
    desk = office()
    answer = desk.client.post(desk.path, data=body, content_type="application/json")
    assert answer.status_code in (401, 422)


def test_odd_values_make_no_fault(office: Open) -> None:
    desk = office()
    values = (
        *(None, 5, -1.5, True, [], {}, "", "\x00", "\ud800", "x" * 50_000, "٣", 10**400),
        *("https://", "https://[", "https://\x00/", "https://a\\b/", "//x", "https://x:99999/"),
    )
    for kind in (1, 2):
        for name in ("messageid", "from", "to", "content", "type", "sessionid", "orgid"):
            for method in ("message", "read"):
                for value in values:
                    params = EVENTS["text"]["event"]["params"] | {"type": kind, name: value}
                    params["messageid"] = params["messageid"] if name == "messageid" else "m"
                    answer = desk.post({"method": method, "params": params})
                    assert answer.status_code < 500, (method, name, value, answer.text)


def test_who_is_not_ringotel_is_refused(office: Open, ringotel: FakeRingotel) -> None:
    desk = office()
    good = json.loads(json.dumps(EVENTS["text"]["event"]).replace("@org", ORG))
    for key in ("", None, TOKEN + "x", TOKEN[:-1], 5, [TOKEN], {"a": 1}, "\udcff"):
        assert desk.post(good, api_key=key).status_code == 401
    for path in (desk.path[:-1], desk.path + "x", "/webhook/ringotel/", desk.path.swapcase()):
        assert desk.client.post(path, json={**good, "api_key": TOKEN}).status_code == 404
    assert desk.client.get(desk.path).status_code == 405
    assert desk.client.post(desk.path, data=b"x" * 65_537).status_code == 413
    assert desk.kept() == []
    assert ringotel.calls == []


def test_a_text_over_the_limit_is_refused_in_the_chat(office: Open, ringotel: FakeRingotel) -> None:
    desk = office(SEND_PER_DAY="1")
    assert desk.said("one", messageid="m-1").json == {"result": "taken"}
    assert desk.said("two", messageid="m-2").json == {"result": "refused"}
    assert desk.said("one", messageid="m-1").json == {"result": "repeated"}
    (shown,) = ringotel.shown
    assert "Extension 201 may send 1 message a day. Try again in 24 hours." in shown[3]
    assert [message.text for message in desk.kept()] == ["one"]


def test_who_guesses_the_key_or_the_address_has_to_wait(
    office: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = Attempts("token", each=((4, 60.0),), all=((100, 60.0),))
    monkeypatch.setattr("services.gateway.TOKENS", few)
    desk = office()
    event = json.loads(json.dumps(EVENTS["text"]["event"]).replace("@org", ORG))
    assert [desk.post(event, api_key=f"wrong{n}").status_code for n in range(2)] == [401] * 2
    wrong = [desk.client.post(f"/webhook/ringotel/{n}", json=event) for n in range(3)]
    assert [answer.status_code for answer in wrong] == [404, 404, 429]
    refused = desk.post(event, api_key="wrong")
    assert refused.status_code == 429
    assert int(refused.headers["Retry-After"]) > 0
    assert desk.said("one").json == {"result": "taken"}


def test_without_ringotel_there_is_no_door(make_gateway: Callable[..., Gateway]) -> None:
    gateway = make_gateway(DESK)
    app = Flask(__name__)
    from blueprints import ringotel as door

    door.register(app, gateway)
    assert not [rule for rule in app.url_map.iter_rules() if "ringotel" in rule.rule]


def test_a_refusal_that_cannot_be_told_is_the_answer(office: Open, ringotel: FakeRingotel) -> None:
    desk = office()
    ringotel.next(Answer(502, b"<html>"))
    assert desk.said(to="MTN").status_code == 422
    assert desk.kept() == []


def test_a_file_from_the_app_goes_out(office: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    desk = office()
    address = "https://files.example.com/x/holiday.jpg?sig=1"
    with responses.RequestsMock() as web:
        web.get("https://files.example.com/x/moved.jpg", status=302, headers={"Location": address})
        web.get(address, body=PICTURE, content_type="text/html")
        for _ in range(2):
            answer = desk.said("https://files.example.com/x/moved.jpg", type=2)
        assert answer.json == {"result": "repeated"}
    (sent,) = desk.kept()
    assert (sent.text, [file.content_type for file in sent.media]) == ("", ["image/jpeg"])
    assert desk.gateway.media.open(sent.media[0].id).read_bytes() == PICTURE


@pytest.mark.parametrize("location", ["https://127.0.0.1/a", "https://other.example/", "http://x/"])
def test_a_file_that_moved_elsewhere_is_not_followed(office: Open, location: str) -> None:
    desk = office()
    with responses.RequestsMock(assert_all_requests_are_fired=False) as web:
        web.add_passthru("http://127.0.0.1")
        web.get("https://files.example.com/a", status=302, headers={"Location": location})
        web.get(location, body=PICTURE)
        assert desk.said("https://files.example.com/a", type=2).json == {"result": "refused"}
        assert len(web.calls) == 1
    assert desk.kept() == []


def test_the_internet_does_not_lead_to_this_machine(ringotel: FakeRingotel) -> None:
    internet = Http(public_only=True)
    port = ringotel.env["RINGOTEL_API_URL"].split(":")[2]
    for address in (f"https://127.0.0.1:{port}", f"http://127.0.0.1:{port}", "file:///etc/passwd"):
        with pytest.raises(NotSent):
            internet.request("GET", address)
    assert ringotel.calls == []


def outcome(desk: Office, status: Status, reason: str | None = None) -> None:
    """Let the carrier tell what became of the reply."""
    (sent,) = desk.kept()

    def tell(tx: Any) -> None:
        statuses.advance(tx, sent.id, status, code="30003" if reason else None, reason=reason)
        told = messages.by_id(tx, sent.id)
        assert told is not None
        jobs.add(tx, desk.gateway.router.update_jobs(told, str(status)))

    desk.gateway.store.write(tell)
    work(desk.gateway)


def test_what_became_of_an_answer_is_told_to_its_writer(
    office: Open, ringotel: FakeRingotel
) -> None:
    desk = office(DESK | {"extensions": ["201", "202"]})
    desk.said("Until six.", messageid="m-7")
    work(desk.gateway)
    outcome(desk, Status.DELIVERED)
    assert ringotel.delivered == ["m-7"]
    assert ringotel.shown == []


def test_a_mark_that_ringotel_does_not_want_is_no_dead_letter(
    office: Open, ringotel: FakeRingotel
) -> None:
    desk = office()
    desk.said("Until six.")
    work(desk.gateway)
    ringotel.next(Answer(200, {"error": {"message": "No such message"}}))
    outcome(desk, Status.DELIVERED)
    assert ringotel.calls == ["delivered"]
    assert desk.gateway.store.read(lambda tx: dead_letters.newest(tx, 10)) == []


def test_a_failed_answer_is_told_to_its_writer(office: Open, ringotel: FakeRingotel) -> None:
    desk = office(DESK | {"extensions": ["201", "202"]})
    desk.said("Until six.")
    work(desk.gateway)
    outcome(desk, Status.FAILED, "The phone is off.")
    assert ringotel.shown == [("201", PEER, 1, "Not sent: “Until six.” The phone is off.")]


def test_what_was_written_elsewhere_is_not_told_in_ringotel(
    office: Open, ringotel: FakeRingotel
) -> None:
    from services.messaging.compose import Reply

    desk = office()
    desk.gateway.composer.submit(
        Device(id="d", extension="201"), Reply(text="x", to=(PEER,), client_id="7")
    )
    work(desk.gateway)
    outcome(desk, Status.FAILED, "The phone is off.")
    assert ringotel.calls == []


def test_what_is_read_in_ringotel_is_read_here(
    office: Open, ringotel: FakeRingotel, database: str
) -> None:
    desk = office(DESK, DESK | {"number": OTHER}, DATABASE_URL=database)
    receive(desk.gateway, "one")
    receive(desk.gateway, "two", number=OTHER)
    work(desk.gateway)
    ids = [message.conversation_id for message in desk.kept("in")]
    assert len(set(ids)) == 2
    read = {"method": "read", "params": {"orgid": ORG, "sessionid": f"s-201-{PEER}"}}
    assert desk.post(read).json == {"result": "read"}
    assert desk.post(read).json == {"result": "ignored"}
    unread = desk.gateway.store.read(lambda tx: messages.unread(tx, "201", ids))
    assert sum(unread.values()) == 0
    receive(desk.gateway, "three")
    unread = desk.gateway.store.read(lambda tx: messages.unread(tx, "201", ids))
    assert sum(unread.values()) == 1
    work(desk.gateway)  # shown in the same chat
    assert desk.post(read).json == {"result": "read"}
    unread = desk.gateway.store.read(lambda tx: messages.unread(tx, "201", ids))
    assert sum(unread.values()) == 0
    marks = desk.gateway.store.read(lambda tx: conversations.read_marks(tx, "202", ids))
    assert marks == {}


@pytest.mark.parametrize("name", ERRORS)
def test_what_follows_from_an_answer(office: Open, ringotel: FakeRingotel, name: str) -> None:
    case = ERRORS[name]
    desk = office()
    channel = desk.gateway.channels["ringotel"]
    body = case["body"]
    ringotel.next(Answer(case["status"], body if isinstance(body, dict) else body.encode()))
    assert isinstance(channel, Ringotel)
    with pytest.raises(PushError) as caught:
        channel.show_sentence("201", PEER, "x")
    error = caught.value
    assert (error.kind, error.retry_after) == (Kind(case["kind"]), case.get("wait"))
    assert TOKEN not in error.reason


def test_a_ringotel_that_does_not_answer_is_tried_again(
    office: Open, ringotel: FakeRingotel, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = office(RINGOTEL_API_URL="http://127.0.0.1:9/api")
    with pytest.raises(PushError) as caught:
        list(desk.gateway.channels["ringotel"].check([]))
    assert caught.value.kind is Kind.RETRY
    assert Api.seconds <= 10


def test_a_wrong_key_pauses_the_channel_and_loses_nothing(
    office: Open, ringotel: FakeRingotel
) -> None:
    desk = office(RINGOTEL_TOKEN="another-key")
    receive(desk.gateway)
    work(desk.gateway)
    [pause] = desk.gateway.store.read(circuit_breakers.unwell)
    assert (pause.name, pause.config) == ("push:ringotel", True)
    assert "RINGOTEL_TOKEN" in pause.reason
    statement = select(message_table.c.status)
    assert desk.gateway.store.read(lambda tx: tx.execute(statement).scalar()) == "received"


def test_the_commands_print_the_address_and_check_the_key(
    office: Open, ringotel: FakeRingotel
) -> None:
    desk = office(DESK | {"extensions": ["201", "299"]})
    terminal = Terminal(desk.gateway)
    [address] = [a for a in terminal.json("webhooks") if a["carrier"] == "ringotel"]
    assert address["url"].endswith(desk.path)
    assert address["hint"]
    found = terminal.json("push", "check", code=1)["ringotel"]
    assert [finding["ok"] for finding in found] == [True, False]
    assert "299" in found[1]["text"]
    ringotel.users.append({"phone": 299})
    assert "MEND" not in terminal.flask("push", "check").output
    ringotel.next(Answer(401, b""))
    assert "RINGOTEL_TOKEN" in terminal.flask("push", "check", code=1).output


def test_settings_are_checked_and_the_key_is_hidden() -> None:
    env = {"RINGOTEL_TOKEN": "two words", "RINGOTEL_API_URL": "x"}
    settings, problems = variables.load(Ringotel.Settings, "RINGOTEL_", env)
    assert settings is None
    named = [problem.variable for problem in problems]
    assert named == ["RINGOTEL_TOKEN", "RINGOTEL_API_URL", "RINGOTEL_ORG_ID"]
    assert "two words" not in str(problems)
