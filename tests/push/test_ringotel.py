"""Ringotel: texts to its app and answers from it, with a fake Ringotel that checks."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import responses
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select, update

from app import create_app
from blueprints import ringotel as ringotel_blueprint
from blueprints.ringotel.webhook import webhook_url
from services.config import variables
from services.core.errors import Kind, PushError
from services.core.messages import Attachment, Device, Message, Status
from services.gateway import Gateway
from services.http.client import Http, NotSent
from services.messaging.compose import Reply
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
from tests.cli.conftest import Terminal
from tests.conftest import NUMBER, NUMBER_ENTRY, PEER, settings_file
from tests.databases import add_tables
from tests.fakes.bandwidth import Answer
from tests.fakes.ringotel import ORG, TOKEN, FakeRingotel
from tests.message_steps import receive_text, run_due_jobs
from tests.pictures import jpeg

OTHER = "+12025550199"
PAYLOADS = Path(__file__).parents[1] / "payloads" / "ringotel"
EVENTS = json.loads((PAYLOADS / "events.json").read_text("utf-8"))
ERRORS = json.loads((PAYLOADS / "errors.json").read_text("utf-8"))
PICTURE = jpeg()


@pytest.fixture
def ringotel() -> Iterator[FakeRingotel]:
    with FakeRingotel() as running:
        yield running


class Installation:
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
        run_due_jobs(self.gateway)
        self.gateway.store.write(lambda tx: tx.execute(update(job_table).values(due=0.0)))
        self.gateway.store.write(circuit_breakers.resume_all)
        run_due_jobs(self.gateway)


MakeInstallation = Callable[..., Installation]


@pytest.fixture
def make_installation(tmp_path: Path, ringotel: FakeRingotel) -> Iterator[MakeInstallation]:
    """Open services with Ringotel; the arguments are entries of Message Settings."""
    opened: list[Installation] = []

    def make(*numbers: dict[str, Any], **env: str) -> Installation:
        file = tmp_path / "message_settings.json"
        file.write_text(settings_file(*(numbers or (NUMBER_ENTRY,))), "utf-8")
        base = {"APP_ENV": "local", "STORAGE_PATH": str(tmp_path)}
        add_tables(tmp_path)
        opened.append(Installation(create_app({**base, **ringotel.env, **env})))
        return opened[-1]

    yield make
    for each in opened:
        each.gateway.close()


def test_a_text_is_shown_and_its_answer_goes_out_once(
    make_installation: MakeInstallation, ringotel: FakeRingotel, database: str
) -> None:
    installation = make_installation(DATABASE_URL=database)
    receive_text(installation.gateway, "Are you open?")
    run_due_jobs(installation.gateway)
    assert ringotel.shown == [("201", PEER, 1, "Are you open?")]
    for _ in range(3):
        assert installation.said("Until six.").status_code == 200
    (sent,) = installation.kept()
    assert (sent.number, sent.peer, sent.text, sent.extension) == (
        NUMBER,
        PEER,
        "Until six.",
        "201",
    )
    assert installation.said("Until six.").json == {"result": "repeated"}
    assert installation.said("Another text under the same id.").json == {"result": "repeated"}
    assert len(installation.kept()) == 1


def test_the_number_is_shown_to_an_extension_that_has_several(
    make_installation: MakeInstallation, ringotel: FakeRingotel
) -> None:
    installation = make_installation(NUMBER_ENTRY, NUMBER_ENTRY | {"number": OTHER})
    receive_text(installation.gateway, "one", number=OTHER)
    run_due_jobs(installation.gateway)
    assert ringotel.shown == [("201", PEER, 1, f"To {OTHER}: one")]


def test_a_group_is_shown(make_installation: MakeInstallation, ringotel: FakeRingotel) -> None:
    installation = make_installation()
    receive_text(installation.gateway, "all of you", participants=(PEER, "+13035550178"))
    assert "all of you" not in str(ringotel.shown)
    run_due_jobs(installation.gateway)
    [shown] = ringotel.shown
    assert shown[3].endswith("all of you")


def test_an_answer_leaves_from_the_number_of_the_last_text(
    make_installation: MakeInstallation,
) -> None:
    installation = make_installation(NUMBER_ENTRY, NUMBER_ENTRY | {"number": OTHER})
    assert installation.said("hello", messageid="m-0").json == {"result": "taken"}
    receive_text(installation.gateway, "from here", number=OTHER)
    installation.said("there", messageid="m-1")
    receive_text(installation.gateway, "and from here", number=NUMBER)
    installation.said("back", messageid="m-2")
    assert [message.number for message in installation.kept()] == [NUMBER, OTHER, NUMBER]


def test_files_are_shown_before_their_text_once_they_are_here(
    make_installation: MakeInstallation, ringotel: FakeRingotel
) -> None:
    installation = make_installation()
    [file] = [Attachment(source_url="https://carrier.example/a")]
    receive_text(installation.gateway, "look", media=(file,))
    message = installation.kept("in")[0]
    installation.gateway.delivery.deliver(
        "w", lambda name: int(name.startswith("push")), installation.gateway.delivery.perform
    )
    assert ringotel.shown == []  # the file may still come
    kept = installation.gateway.media.save(
        [PICTURE], file_id=message.media[0].id, declared="image/jpeg", name="a", max_bytes=1000
    )

    def fetched(tx: Any) -> None:
        file = message.media[0]
        attachments.keep(
            tx,
            replace(file, content_type=kept.content_type, name=kept.name, size=kept.size),
        )
        fetch = job_table.c.kind == str(JobKind.FETCH)
        tx.execute(update(job_table).where(fetch).values(state="done"))

    installation.gateway.store.write(fetched)
    installation.work()
    assert [(kind, peer) for _, peer, kind, _ in ringotel.shown] == [(7, PEER), (1, PEER)]
    assert ringotel.shown[1][3] == "look"
    link = ringotel.shown[0][3]
    assert link.startswith("http://127.0.0.1:8000/media/")
    with installation.client.get(link.partition(":8000")[2]) as answer:
        assert answer.data == PICTURE


def test_a_file_that_never_comes_is_told(
    make_installation: MakeInstallation, ringotel: FakeRingotel
) -> None:
    installation = make_installation()
    receive_text(
        installation.gateway, "look", media=(Attachment(source_url="https://carrier.example/a"),)
    )
    installation.work()
    assert ringotel.shown == [("201", PEER, 1, "look\n(1 file did not come through.)")]


def test_an_extension_that_ringotel_does_not_know_is_left_in_peace(
    make_installation: MakeInstallation, ringotel: FakeRingotel
) -> None:
    installation = make_installation(NUMBER_ENTRY | {"extensions": ["201", "299"]})
    receive_text(installation.gateway)
    run_due_jobs(installation.gateway)
    assert [extension for extension, *_ in ringotel.shown] == ["201"]
    found = installation.gateway.store.read(lambda tx: jobs.of(tx, installation.kept("in")[0].id))
    assert {job.state for job in found} == {"done"}
    assert ringotel.calls.count("getChatUsers") == 1


@pytest.mark.parametrize("name", EVENTS)
def test_what_ringotel_may_post(
    make_installation: MakeInstallation, ringotel: FakeRingotel, name: str
) -> None:
    case = EVENTS[name]
    installation = make_installation()
    answer = installation.post(case["event"])
    assert answer.status_code == case["status"], answer.text
    if case["status"] == 200:
        assert answer.json == {"result": case["result"]}
    assert [[message.peer, message.text] for message in installation.kept()] == case.get("sent", [])
    assert [list(shown) for shown in ringotel.shown] == ([case["told"]] if "told" in case else [])


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"null", b'"x"', b"{", b"\xff\xfe", b"[" * 50_000, b'{"api_key": NaN}', b"1e999"],
)
def test_a_body_that_is_none_is_refused_without_a_fault(
    make_installation: MakeInstallation, body: bytes
) -> None:
    installation = make_installation()
    answer = installation.client.post(installation.path, data=body, content_type="application/json")
    assert answer.status_code in (401, 422)


def test_odd_values_make_no_fault(make_installation: MakeInstallation) -> None:
    installation = make_installation()
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
                    answer = installation.post({"method": method, "params": params})
                    assert answer.status_code < 500, (method, name, value, answer.text)


def test_who_is_not_ringotel_is_refused(
    make_installation: MakeInstallation, ringotel: FakeRingotel
) -> None:
    installation = make_installation()
    good = json.loads(json.dumps(EVENTS["text"]["event"]).replace("@org", ORG))
    for key in ("", None, TOKEN + "x", TOKEN[:-1], 5, [TOKEN], {"a": 1}, "\udcff"):
        assert installation.post(good, api_key=key).status_code == 401
    for path in (
        installation.path[:-1],
        installation.path + "x",
        "/webhook/ringotel/",
        installation.path.swapcase(),
    ):
        assert installation.client.post(path, json={**good, "api_key": TOKEN}).status_code == 404
    assert installation.client.get(installation.path).status_code == 405
    assert installation.client.post(installation.path, data=b"x" * 65_537).status_code == 413
    assert installation.kept() == []
    assert ringotel.calls == []


def test_a_text_over_the_limit_is_refused_in_the_chat(
    make_installation: MakeInstallation, ringotel: FakeRingotel
) -> None:
    installation = make_installation(SEND_PER_DAY="1")
    assert installation.said("one", messageid="m-1").json == {"result": "taken"}
    assert installation.said("two", messageid="m-2").json == {"result": "refused"}
    assert installation.said("one", messageid="m-1").json == {"result": "repeated"}
    (shown,) = ringotel.shown
    assert "Extension 201 may send 1 message a day. Try again in 24 hours." in shown[3]
    assert [message.text for message in installation.kept()] == ["one"]


def test_a_text_to_an_emergency_number_is_refused_in_the_chat(
    make_installation: MakeInstallation, ringotel: FakeRingotel
) -> None:
    installation = make_installation()
    assert installation.said("Help", to="911").json == {"result": "refused"}
    (shown,) = ringotel.shown
    assert "cannot send texts to emergency services. Call 911." in shown[3]
    assert installation.kept() == []


def test_who_guesses_the_key_or_the_address_has_to_wait(
    make_installation: MakeInstallation, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = Attempts("token", each=((4, 60.0),), all=((100, 60.0),))
    monkeypatch.setattr("services.gateway.TOKENS", few)
    installation = make_installation()
    event = json.loads(json.dumps(EVENTS["text"]["event"]).replace("@org", ORG))
    assert [installation.post(event, api_key=f"wrong{n}").status_code for n in range(2)] == [
        401
    ] * 2
    wrong = [installation.client.post(f"/webhook/ringotel/{n}", json=event) for n in range(3)]
    assert [answer.status_code for answer in wrong] == [404, 404, 429]
    refused = installation.post(event, api_key="wrong")
    assert refused.status_code == 429
    assert int(refused.headers["Retry-After"]) > 0
    assert installation.said("one").json == {"result": "taken"}


def test_without_ringotel_there_is_no_route(make_gateway: Callable[..., Gateway]) -> None:
    gateway = make_gateway(NUMBER_ENTRY)
    app = Flask(__name__)
    ringotel_blueprint.register(app, gateway)
    assert not [rule for rule in app.url_map.iter_rules() if "ringotel" in rule.rule]


def test_a_refusal_that_cannot_be_told_is_the_answer(
    make_installation: MakeInstallation, ringotel: FakeRingotel
) -> None:
    installation = make_installation()
    ringotel.next(Answer(502, b"<html>"))
    assert installation.said(to="MTN").status_code == 422
    assert installation.kept() == []


def test_a_file_from_the_app_goes_out(
    make_installation: MakeInstallation, monkeypatch: pytest.MonkeyPatch
) -> None:
    installation = make_installation()
    address = "https://files.example.com/x/holiday.jpg?sig=1"
    with responses.RequestsMock() as web:
        web.get("https://files.example.com/x/moved.jpg", status=302, headers={"Location": address})
        web.get(address, body=PICTURE, content_type="text/html")
        for _ in range(2):
            answer = installation.said("https://files.example.com/x/moved.jpg", type=2)
        assert answer.json == {"result": "repeated"}
    (sent,) = installation.kept()
    assert (sent.text, [file.content_type for file in sent.media]) == ("", ["image/jpeg"])
    assert installation.gateway.media.open(sent.media[0].id).read_bytes() == PICTURE


@pytest.mark.parametrize("location", ["https://127.0.0.1/a", "https://other.example/", "http://x/"])
def test_a_file_that_moved_elsewhere_is_not_followed(
    make_installation: MakeInstallation, location: str
) -> None:
    installation = make_installation()
    with responses.RequestsMock(assert_all_requests_are_fired=False) as web:
        web.add_passthru("http://127.0.0.1")
        web.get("https://files.example.com/a", status=302, headers={"Location": location})
        web.get(location, body=PICTURE)
        assert installation.said("https://files.example.com/a", type=2).json == {
            "result": "refused"
        }
        assert len(web.calls) == 1
    assert installation.kept() == []


def test_the_internet_does_not_lead_to_this_machine(ringotel: FakeRingotel) -> None:
    internet = Http(public_only=True)
    port = ringotel.env["RINGOTEL_API_URL"].split(":")[2]
    for address in (f"https://127.0.0.1:{port}", f"http://127.0.0.1:{port}", "file:///etc/passwd"):
        with pytest.raises(NotSent):
            internet.request("GET", address)
    assert ringotel.calls == []


def outcome(installation: Installation, status: Status, reason: str | None = None) -> None:
    """Let the carrier tell what became of the reply."""
    (sent,) = installation.kept()

    def tell(tx: Any) -> None:
        statuses.advance(tx, sent.id, status, code="30003" if reason else None, reason=reason)
        told = messages.by_id(tx, sent.id)
        assert told is not None
        jobs.add(tx, installation.gateway.router.update_jobs(told, str(status)))

    installation.gateway.store.write(tell)
    run_due_jobs(installation.gateway)


def test_the_status_of_an_answer_is_told_to_its_author(
    make_installation: MakeInstallation, ringotel: FakeRingotel
) -> None:
    installation = make_installation(NUMBER_ENTRY | {"extensions": ["201", "202"]})
    installation.said("Until six.", messageid="m-7")
    run_due_jobs(installation.gateway)
    outcome(installation, Status.DELIVERED)
    assert ringotel.delivered == ["m-7"]
    assert ringotel.shown == []


def test_a_mark_that_ringotel_does_not_want_is_no_dead_letter(
    make_installation: MakeInstallation, ringotel: FakeRingotel
) -> None:
    installation = make_installation()
    installation.said("Until six.")
    run_due_jobs(installation.gateway)
    ringotel.next(Answer(200, {"error": {"message": "No such message"}}))
    outcome(installation, Status.DELIVERED)
    assert ringotel.calls == ["delivered"]
    assert installation.gateway.store.read(lambda tx: dead_letters.newest(tx, 10)) == []


def test_a_failed_answer_is_told_to_its_writer(
    make_installation: MakeInstallation, ringotel: FakeRingotel
) -> None:
    installation = make_installation(NUMBER_ENTRY | {"extensions": ["201", "202"]})
    installation.said("Until six.")
    run_due_jobs(installation.gateway)
    outcome(installation, Status.FAILED, "The phone is off.")
    assert ringotel.shown == [("201", PEER, 1, "Not sent: “Until six.” The phone is off.")]


def test_what_was_written_elsewhere_is_not_told_in_ringotel(
    make_installation: MakeInstallation, ringotel: FakeRingotel
) -> None:
    installation = make_installation()
    installation.gateway.composer.submit(
        Device(id="d", extension="201"), Reply(text="x", to=(PEER,), client_id="7")
    )
    run_due_jobs(installation.gateway)
    outcome(installation, Status.FAILED, "The phone is off.")
    assert ringotel.calls == []


def test_what_is_read_in_ringotel_is_read_here(
    make_installation: MakeInstallation, ringotel: FakeRingotel, database: str
) -> None:
    installation = make_installation(
        NUMBER_ENTRY, NUMBER_ENTRY | {"number": OTHER}, DATABASE_URL=database
    )
    receive_text(installation.gateway, "one")
    receive_text(installation.gateway, "two", number=OTHER)
    run_due_jobs(installation.gateway)
    ids = [message.conversation_id for message in installation.kept("in")]
    assert len(set(ids)) == 2
    read = {"method": "read", "params": {"orgid": ORG, "sessionid": f"s-201-{PEER}"}}
    assert installation.post(read).json == {"result": "read"}
    assert installation.post(read).json == {"result": "ignored"}
    unread = installation.gateway.store.read(lambda tx: messages.unread(tx, "201", ids))
    assert sum(unread.values()) == 0
    receive_text(installation.gateway, "three")
    unread = installation.gateway.store.read(lambda tx: messages.unread(tx, "201", ids))
    assert sum(unread.values()) == 1
    run_due_jobs(installation.gateway)  # shown in the same chat
    assert installation.post(read).json == {"result": "read"}
    unread = installation.gateway.store.read(lambda tx: messages.unread(tx, "201", ids))
    assert sum(unread.values()) == 0
    marks = installation.gateway.store.read(lambda tx: conversations.read_marks(tx, "202", ids))
    assert marks == {}


@pytest.mark.parametrize("name", ERRORS)
def test_what_follows_from_an_answer(
    make_installation: MakeInstallation, ringotel: FakeRingotel, name: str
) -> None:
    case = ERRORS[name]
    installation = make_installation()
    channel = installation.gateway.channels["ringotel"]
    body = case["body"]
    ringotel.next(Answer(case["status"], body if isinstance(body, dict) else body.encode()))
    assert isinstance(channel, Ringotel)
    with pytest.raises(PushError) as caught:
        channel.show_sentence("201", PEER, "x")
    error = caught.value
    assert (error.kind, error.retry_after) == (Kind(case["kind"]), case.get("wait"))
    assert TOKEN not in error.reason


def test_a_ringotel_that_does_not_answer_is_tried_again(
    make_installation: MakeInstallation, ringotel: FakeRingotel, monkeypatch: pytest.MonkeyPatch
) -> None:
    installation = make_installation(RINGOTEL_API_URL="http://127.0.0.1:9/api")
    with pytest.raises(PushError) as caught:
        list(installation.gateway.channels["ringotel"].check([]))
    assert caught.value.kind is Kind.RETRY
    assert Api.seconds <= 10


def test_a_wrong_key_pauses_the_channel_and_loses_nothing(
    make_installation: MakeInstallation, ringotel: FakeRingotel
) -> None:
    installation = make_installation(RINGOTEL_TOKEN="another-key")
    receive_text(installation.gateway)
    run_due_jobs(installation.gateway)
    [pause] = installation.gateway.store.read(circuit_breakers.unwell)
    assert (pause.name, pause.config) == ("push:ringotel", True)
    assert "RINGOTEL_TOKEN" in pause.reason
    statement = select(message_table.c.status)
    assert installation.gateway.store.read(lambda tx: tx.execute(statement).scalar()) == "received"


def test_the_commands_print_the_address_and_check_the_key(
    make_installation: MakeInstallation, ringotel: FakeRingotel
) -> None:
    installation = make_installation(NUMBER_ENTRY | {"extensions": ["201", "299"]})
    terminal = Terminal(installation.gateway)
    [address] = [a for a in terminal.json("webhooks") if a["carrier"] == "ringotel"]
    assert address["url"].endswith(installation.path)
    assert address["hint"]
    found = terminal.json("push", "check", code=1)["ringotel"]
    assert [finding["ok"] for finding in found] == [True, False]
    assert "299" in found[1]["text"]
    ringotel.users.append({"phone": 299})
    assert "FIX" not in terminal.flask("push", "check").output
    ringotel.next(Answer(401, b""))
    assert "RINGOTEL_TOKEN" in terminal.flask("push", "check", code=1).output


def test_settings_are_checked_and_the_key_is_hidden() -> None:
    env = {"RINGOTEL_TOKEN": "two words", "RINGOTEL_API_URL": "x"}
    settings, problems = variables.load(Ringotel.Settings, "RINGOTEL_", env)
    assert settings is None
    named = [problem.variable for problem in problems]
    assert named == ["RINGOTEL_TOKEN", "RINGOTEL_API_URL", "RINGOTEL_ORG_ID"]
    assert "two words" not in str(problems)
