"""Message pages: list, one message, retry, settle, unassigned and quarantined calls."""

import csv
import io
import json
import re
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import Connection

from services.core.errors import Kind, SendError
from services.core.messages import Attachment, DeliveryStatus, Device, Message, Status, WebhookCall
from services.messaging.compose import Reply
from services.store import (
    attachments,
    attempts,
    contacts,
    dead_letters,
    devices,
    job_leasing,
    jobs,
    messages,
    quarantine,
    statuses,
    workers,
)
from services.store.database import audit_counters
from services.store.database.audit_counters import AuditCounter
from services.store.jobs import Job, JobKind
from services.store.maintenance import invariants
from services.store.search import message_filter
from tests.admin.conftest import Operator, plain
from tests.conftest import NUMBER, NUMBER_ENTRY, PEER
from tests.message_steps import receive_call

Make = Callable[..., Operator]
OTHER = "+12025550199"
PHONE = Device(id="none", extension="201")
HOSTILE = (
    '<script>alert(1)</script><img src=x onerror="alert(2)"></td></table>{{ 7 * 7 }}'
    "\u202egnp.exe\u202c \u2066x\u2069 ''\" \u200f" + "😀" * 2000
)


@pytest.fixture
def operator(make_operator: Make) -> Operator:
    """An operator of a service with one number in the sandbox."""
    return make_operator(NUMBER_ENTRY)


def receive_text(operator: Operator, text: str = "Are you open?", **changes: Any) -> Message:
    """A text that came in through the sandbox."""
    fields = {"number": NUMBER, "peer": PEER} | changes
    provider = operator.gateway.providers["sandbox"]
    message = Message(direction="in", text=text, **fields)
    receive_call(operator.gateway, provider, provider.example(message))
    return operator.gateway.store.read(lambda tx: messages.find(tx, limit=1))[0]


def send_text(
    operator: Operator, text: str = "Until six.", to: tuple[str, ...] = (PEER,)
) -> Message:
    """A text that an app has sent."""
    return operator.gateway.composer.submit(PHONE, Reply(text=text, to=to))[0]


def fail(operator: Operator, kind: Kind, reason: str = "No.", code: str | None = "4720") -> None:
    """The carrier takes nothing: every send that is due fails."""
    provider = operator.gateway.providers["sandbox"]

    def refuse(_: Message) -> str:
        raise SendError(reason, kind, code=code)

    send, provider.send = provider.send, refuse  # type: ignore[method-assign]
    work(operator)
    provider.send = send  # type: ignore[method-assign]


def work(operator: Operator) -> None:
    """Do everything that is due."""
    operator.gateway.store.write(lambda tx: workers.beat(tx, "worker", time.time()))
    operator.gateway.delivery.deliver("worker", lambda _: 100, operator.gateway.delivery.perform)


def add_quarantined(operator: Operator, body: bytes = b'["what is this"]') -> int:
    """A call in quarantine."""
    call = WebhookCall("POST", {"content-type": "x/<b>", "cookie": "s3cret"}, "token=s3cret", body)

    def put(tx: Connection) -> int:
        quarantine.add(tx, "sandbox", call, "It has no event.", body)
        return quarantine.waiting(tx)[-1].id

    return operator.gateway.store.write(put)


def status(operator: Operator, message: Message) -> Status:
    found = operator.gateway.store.read(lambda tx: messages.by_id(tx, message.id))
    assert found is not None
    return found.status


# The list


def test_every_message_stands_in_the_list_and_leads_to_its_page(operator: Operator) -> None:
    operator.gateway.store.write(lambda tx: contacts.put(tx, contacts.Contact(PEER, "Ada <i>")))
    first = receive_text(operator)
    second = send_text(operator)
    page = operator.get("/messages")
    assert page.index(second.id) < page.index(first.id)
    for words in ("Are you open?", "Until six.", "Ada <i>", "+1 303-555-0177", "Queued", "201"):
        assert words in plain(page)
    assert 'data-live="10"' in page
    assert "<i>" not in page


def test_an_empty_list_says_what_will_be_there(make_operator: Make) -> None:
    operator = make_operator()
    page = operator.get("/messages")
    assert "No message yet" in page
    assert 'aria-current="page"' in page
    assert "No message fits" in operator.get("/messages?text=nothing")


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", {"in", "out", "lost", "failed"}),
        ("either=(303) 555-0177", {"in", "out"}),
        ("either=2025550199", {"lost"}),
        ("either=72404", set()),
        ("number=2025550100", {"in", "out", "failed"}),
        ("peer=3035550188", {"failed"}),
        ("text=OPE", {"in"}),
        ("text=open&direction=out", set()),
        ("text=until&either=3035550177", {"out"}),
        ("extension=201", {"in", "out", "failed"}),
        ("extension=999", set()),
        ("state=failed", {"failed"}),
        ("state=unrouted", {"lost"}),
        ("state=unrouted&number=2025550100", set()),
        ("state=queued", {"out"}),
        ("direction=in", {"in", "lost"}),
        ("carrier=sandbox", {"in", "out", "lost", "failed"}),
        ("carrier=twilio", set()),
        ("since=2020-01-01&until=2099-12-31", {"in", "out", "lost", "failed"}),
        ("since=2099-01-01", set()),
        ("until=2020-01-01", set()),
        ("before=2&direction=in", set()),
    ],
)
def test_messages_are_found_by_what_is_known_of_them(
    operator: Operator, query: str, expected: set[str]
) -> None:
    known = {"failed": send_text(operator, "gone", ("+13035550188",))}
    fail(operator, Kind.REFUSED)
    known["in"] = receive_text(operator)
    known["lost"] = receive_text(operator, "for nobody", number=OTHER, peer="+13035550166")
    known["out"] = send_text(operator)
    page = operator.get(f"/messages?{query.replace('+', '%2B')}")
    assert {name for name, message in known.items() if message.id in page} == expected


@pytest.mark.parametrize(
    ("field", "word"),
    [
        ("number", "72404"),
        ("state", "gone"),
        ("state", "received'--"),
        ("direction", "up"),
        ("carrier", "nobody"),
        ("since", "yesterday"),
        ("since", "0000-00-00"),
        ("since", "0001-01-01"),
        ("until", "9999-12-31T23:59-14:00"),
        ("until", "9999-12-31"),
        ("since", "2026-11-20T25:00"),
    ],
)
def test_what_cannot_be_looked_for_is_said_beside_its_field(
    operator: Operator, field: str, word: str
) -> None:
    answer = operator.client.get("/admin/messages", query_string={field: word})
    assert answer.status_code == 422, word
    assert 'class="problem"' in answer.text or 'class="say bad"' in answer.text
    assert "<script>" not in answer.text
    assert operator.client.get("/admin/messages/export.csv", query_string={field: word}).status_code
    assert "data-live" not in answer.text


@pytest.mark.parametrize("before", ["x", "-1", "1" * 30, "²"])
def test_a_page_that_is_none_is_not_found(operator: Operator, before: str) -> None:
    for tab in ("", "/given-up", "/quarantine"):
        answer = operator.client.get(f"/admin/messages{tab}", query_string={"before": before})
        assert answer.status_code == 404


def test_odd_words_find_nothing_and_break_nothing(operator: Operator) -> None:
    for field in ("text", "extension"):
        for word in ("\x00", HOSTILE[:150], "'; --", "%", '"', "🙂" * 100, "a OR b*", "\u202e"):
            assert (
                operator.client.get("/admin/messages", query_string={field: word}).status_code
                == 200
            )


def test_pages_follow_each_other_without_gaps_while_new_texts_come(operator: Operator) -> None:
    known = [receive_text(operator, f"text {index}").id for index in range(60)]
    address, seen = "/messages", []
    while address:
        page = operator.get(address.removeprefix("/admin").replace("&amp;", "&"))
        seen += re.findall(r'/admin/messages/([0-9a-f-]{36})"', page)
        older = re.search(r'href="([^"]+)" rel="next"', page)
        address = older[1] if older else ""
        receive_text(operator, "meanwhile")
    assert seen == known[::-1]
    assert "data-live" not in page
    assert "Newest" in page


def test_a_search_for_something_rare_goes_on_where_it_stopped(
    operator: Operator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(message_filter, "SCAN_RANGE", 5)
    monkeypatch.setattr(message_filter, "SCAN_LIMIT", 5)
    rare = send_text(operator)
    for index in range(40):
        receive_text(operator, f"text {index}")
    address, pages = "/messages?direction=out", 0
    while True:
        page = operator.get(address)
        pages += 1
        if rare.id in page:
            break
        assert "Searched back to" in page
        older = re.search(r'href="/admin([^"]+)" rel="next"', page)
        assert older
        address = older[1].replace("&amp;", "&")
    assert pages > 3
    query = "direction=out&number=2025550100"
    export = operator.client.get(f"/admin/messages/export.json?{query}")
    assert [found["id"] for found in export.json] == [rare.id]


def test_a_group_is_found_by_each_of_its_people(operator: Operator) -> None:
    group = send_text(operator, "all", (PEER, "+13035550178", "+13035550179"))
    alone = receive_text(operator, peer="+13035550178")
    page = operator.get("/messages?either=3035550179")
    assert group.id in page
    assert alone.id not in page
    page = operator.get("/messages?either=3035550178")
    assert group.id in page
    assert alone.id in page


def test_a_text_of_every_kind_is_text_on_every_page(operator: Operator) -> None:
    operator.gateway.store.write(lambda tx: contacts.put(tx, contacts.Contact(PEER, HOSTILE[:90])))
    message = receive_text(
        operator, HOSTILE, media=(Attachment(name=HOSTILE[:80], source_url="http://x/a"),)
    )
    lost = receive_text(operator, HOSTILE, number=OTHER)
    call = add_quarantined(operator, HOSTILE.encode())
    send_text(operator, "x")
    fail(operator, Kind.REFUSED, HOSTILE, HOSTILE[:40])
    device, _ = operator.gateway.store.write(lambda tx: devices.add(tx, "201", HOSTILE[:60]))

    def give_up(tx: Connection) -> None:
        jobs.add(tx, [Job(JobKind.PUSH, message.id, "push:x", target=device.id, about="received")])
        for job in job_leasing.lease(tx, "worker", "push:x", 5, time.time() + 1):
            jobs.give_up(tx, job, HOSTILE)
            attempts.add(tx, job, "refused", HOSTILE, HOSTILE[:20])

    operator.gateway.store.write(give_up)
    pages = [
        "/messages", f"/messages/{message.id}", f"/messages/{lost.id}", "/messages/given-up",
        "/messages/unrouted", "/messages/quarantine", f"/messages/quarantine/{call}",
    ]  # fmt: skip
    for address in pages:
        page = operator.get(address)
        assert "<script>" not in page, address
        assert "<img src=x" not in page, address
        assert page.count("</table>") <= 1, address
    assert "😀" * 2000 in operator.get(f"/messages/{message.id}")
    assert "😀" * 200 not in operator.get("/messages")


# One message


def test_a_message_tells_its_whole_way_in(operator: Operator) -> None:
    device, _ = operator.gateway.store.write(lambda tx: devices.add(tx, "201", "Ada's phone"))
    message = receive_text(operator)

    def push(tx: Connection) -> None:
        jobs.add(tx, [Job(JobKind.PUSH, message.id, "push:x", target=device.id, about="received")])
        (job,) = job_leasing.lease(tx, "worker", "push:x", 5, time.time() + 1)
        jobs.retry(tx, job, time.time(), "Busy.")
        attempts.add(tx, job, "retry", "Busy.", "503")
        (job,) = job_leasing.lease(tx, "worker", "push:x", 5, time.time() + 1)
        jobs.done(tx, job)

    operator.gateway.store.write(push)
    said = plain(operator.get(f"/messages/{message.id}"))
    steps = [
        "Came in from Sandbox and was kept", "For 201, by Message Settings",
        "Push to “Ada's phone” of 201: attempt 1 failed", "503 Busy.",
        "Push to “Ada's phone” of 201: done, at attempt 2",
    ]  # fmt: skip
    assert [said.index(step) for step in steps] == sorted(said.index(step) for step in steps)


def test_a_message_tells_its_whole_way_out(operator: Operator) -> None:
    message = send_text(operator)
    work(operator)
    told = DeliveryStatus(
        Status.FAILED, "message-failed", None, message.id, PEER, "4720", "Not in service."
    )
    operator.gateway.store.write(lambda tx: statuses.record_status(tx, "sandbox", told))
    said = plain(operator.get(f"/messages/{message.id}"))
    for words in (
        "Written by extension 201", "Handing it to Sandbox: done", "Failed",
        "Sandbox said “message-failed”: failed", "4720 Not in service.",
    ):  # fmt: skip
        assert words in said


def test_a_message_that_nobody_receives_says_why(operator: Operator) -> None:
    message = receive_text(operator, number=OTHER)
    said = plain(operator.get(f"/messages/{message.id}"))
    assert "Unassigned" in said
    assert "Add it with the extensions" in said


def test_a_message_that_is_not_there_is_not_found(operator: Operator) -> None:
    operator.get("/messages/00e8d4a5-1000-7000-8000-000000000000", 404)
    operator.get("/messages/nothing", 404)


def test_pictures_are_shown_by_their_signed_links(operator: Operator) -> None:
    message = receive_text(
        operator, media=(Attachment(name="a.png", source_url="http://127.0.0.1/a.png"),)
    )
    file = message.media[0]
    png = b"\x89PNG\r\n\x1a\n" + b"0" * 20
    kept = operator.gateway.media.save(
        [png], file_id=file.id, declared="image/png", name="a.png", max_bytes=999
    )
    operator.gateway.store.write(
        lambda tx: attachments.keep(
            tx,
            replace(file, content_type=kept.content_type, name=kept.name, size=kept.size),
        )
    )
    page = operator.get(f"/messages/{message.id}")
    found = re.search(r'<img src="(/media/[^"]+)"', page)
    assert found
    with operator.client.get(found[1].replace("&amp;", "&")) as answer:
        assert answer.data == png


def test_only_the_part_that_failed_is_tried_again(operator: Operator) -> None:
    message = send_text(operator)
    fail(operator, Kind.REFUSED, "The number is a landline.")
    page = operator.get(f"/messages/{message.id}")
    assert "The number is a landline." in page
    job = re.search(r'name="job" value="([0-9]+)"', page)
    assert job
    said = plain(operator.post(f"/messages/{message.id}/retry", job=job[1]))
    assert "1 part of it will be tried again now." in said
    assert "once more" in said
    assert status(operator, message) is Status.QUEUED
    work(operator)
    assert status(operator, message) is Status.SENT
    assert "nothing to try again" in operator.post(f"/messages/{message.id}/retry")


@pytest.mark.parametrize("job", ["x", "-1", "9" * 30])
def test_a_part_that_is_none_is_not_tried(operator: Operator, job: str) -> None:
    message = send_text(operator)
    fail(operator, Kind.REFUSED)
    operator.post(f"/messages/{message.id}/retry", 404, job=job)
    other = send_text(operator)
    operator.post(f"/messages/{other.id}/retry", job=1)
    assert status(operator, message) is Status.FAILED


def test_who_knows_that_it_was_sent_says_so(operator: Operator) -> None:
    message = send_text(operator)
    fail(operator, Kind.UNKNOWN, "No answer.")
    assert "May not have been sent" in operator.get("/messages?state=unknown")
    operator.post(f"/messages/{message.id}/retry", 409)
    said = plain(operator.post(f"/messages/{message.id}/settle", **{"as": "sent"}))
    assert "The administrator says that it was sent" in said
    assert status(operator, message) is Status.SENT
    work(operator)
    assert operator.gateway.store.read(dead_letters.counts) == {}
    assert operator.gateway.store.read(invariants.check).violations() == []
    operator.post(f"/messages/{message.id}/settle", 409, **{"as": "again"})
    told = DeliveryStatus(Status.DELIVERED, "delivered", None, message.id)
    operator.gateway.store.write(lambda tx: statuses.record_status(tx, "sandbox", told))
    assert status(operator, message) is Status.DELIVERED


def test_what_may_have_been_sent_is_sent_again_only_when_asked_for(operator: Operator) -> None:
    message = send_text(operator)
    fail(operator, Kind.UNKNOWN, "No answer.")
    operator.post(f"/messages/{message.id}/settle", 404, **{"as": "nonsense"})
    assert status(operator, message) is Status.UNKNOWN
    said = plain(operator.post(f"/messages/{message.id}/settle", **{"as": "again"}))
    assert "The administrator had it sent again, though it may have been sent." in said
    work(operator)
    assert status(operator, message) is Status.SENT


# Could not be delivered, unassigned, unreadable


def test_everything_of_a_kind_is_tried_again_but_what_may_have_been_sent(
    operator: Operator,
) -> None:
    refused = [send_text(operator, "x", (f"+130355500{index:02}",)) for index in range(3)]
    fail(operator, Kind.REFUSED, "No such number.")
    doubtful = send_text(operator, "d")
    fail(operator, Kind.UNKNOWN, "No answer.")
    page = operator.get("/messages/given-up?kind=send")
    assert plain(page).count("Try again") == 4
    assert "Try 4 messages again" in plain(page)
    operator.post("/messages/given-up", 404, kind="nonsense")
    operator.post("/messages/given-up", 404)
    said = plain(operator.post("/messages/given-up", kind="send"))
    assert "3 messages will be tried again now. 1 message may have been sent" in said
    work(operator)
    assert {status(operator, message) for message in refused} == {Status.SENT}
    assert status(operator, doubtful) is Status.UNKNOWN
    operator.get("/messages/given-up?kind=nonsense", 404)


def test_given_up_letters_have_pages(operator: Operator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("blueprints.admin.failed_jobs.ROWS", 10)
    for index in range(15):
        send_text(operator, "x", (f"+130355500{index:02}",))
    fail(operator, Kind.REFUSED)
    first = operator.get("/messages/given-up")
    older = re.search(r'href="/admin([^"]+)" rel="next"', first)
    assert older
    second = operator.get(older[1].replace("&amp;", "&"))
    found = [re.findall(r'name="job" value="([0-9]+)"', page) for page in (first, second)]
    assert (len(found[0]), len(found[1])) == (10, 5)
    assert len({*found[0], *found[1]}) == 15


def test_numbers_without_anybody_are_listed_with_why_and_delivered(
    make_operator: Make,
) -> None:
    off = {**NUMBER_ENTRY, "number": "+12025550101", "enabled": False}
    operator = make_operator(NUMBER_ENTRY, off)
    waiting = [receive_text(operator, f"m{index}", number=OTHER) for index in range(2)]
    receive_text(operator, number="+12025550101")
    said = plain(operator.get("/messages/unrouted"))
    assert "+1 202-555-0199 2" in said
    assert "not in Message Settings" in said
    assert "switched off" in said
    assert "Deliver what can be delivered" not in said
    operator.gateway.settings.put({"number": OTHER, "carrier": "sandbox", "extensions": ["202"]})
    assert "Deliver what can be delivered" in plain(operator.get("/messages/unrouted"))
    assert "2 messages delivered." in plain(operator.post("/messages/unrouted"))
    assert "For 202, by Message Settings" in plain(operator.get(f"/messages/{waiting[0].id}"))


def test_quarantine_shows_no_secret_reads_again_and_drops(operator: Operator) -> None:
    call = add_quarantined(operator)
    assert "It has no event." in operator.get("/messages/quarantine")
    page = operator.get(f"/messages/quarantine/{call}")
    assert "what is this" in page
    assert "x/&lt;b&gt;" in page
    assert "s3cret" not in page
    said = operator.post(f"/messages/quarantine/{call}/replay")
    assert "It still cannot be read" in said
    assert "Dropped." in operator.post(f"/messages/quarantine/{call}/drop")
    operator.get(f"/messages/quarantine/{call}", 404)
    operator.post(f"/messages/quarantine/{call}/drop", 404)
    assert "No unreadable carrier messages" in operator.get("/messages/quarantine")
    entered = AuditCounter.ENTERED  # by a webhook; ``strange`` came by none
    operator.gateway.store.write(lambda tx: audit_counters.add(tx, entered))
    assert operator.gateway.store.read(invariants.check).violations() == []
    for number in ("0", "9" * 30):
        operator.get(f"/messages/quarantine/{number}", 404)
        operator.post(f"/messages/quarantine/{number}/drop", 404)
        operator.post(f"/messages/quarantine/{number}/replay", 404)


def test_what_can_be_read_by_now_comes_out_of_quarantine(operator: Operator) -> None:
    body = json.dumps({"id": "q1", "from": PEER, "to": NUMBER, "text": "late"}).encode()
    call = add_quarantined(operator, body)
    assert "Read: received." in operator.post(f"/messages/quarantine/{call}/replay")
    assert "late" in operator.get("/messages")
    operator.post(f"/messages/quarantine/{call}/replay", 404)
    operator.post(f"/messages/quarantine/{call}/drop", 404)


# Files


def test_a_file_has_what_was_asked_for_and_no_formula(operator: Operator) -> None:
    nasty = ["=cmd|' /C calc'!A0", "+1+1", "-2", "@SUM(1)", "\t=1", 'a "b", c\r\nd', "＝1", HOSTILE]
    for text in nasty:
        receive_text(operator, text)
    send_text(operator, "mine")
    answer = operator.client.get("/admin/messages/export.csv?direction=in")
    assert answer.headers["Content-Disposition"].startswith('attachment; filename="messages-')
    assert answer.mimetype == "text/csv"
    rows = list(csv.DictReader(io.StringIO(answer.get_data().decode("utf-8-sig"), newline="")))
    assert [row["text"].removeprefix("'") for row in rows] == nasty[::-1]
    for row in rows:
        assert not row["text"].startswith(tuple("=+-@\t＝"))
        assert (row["number"], row["peer"]) == (NUMBER, PEER)
    listed = operator.client.get("/admin/messages/export.json?direction=out").json
    assert [message["text"] for message in listed] == ["mine"]
    assert operator.client.get("/admin/messages/export.json?text=nothing").json == []
    operator.get("/messages/export.exe", 404)


def test_a_large_file_is_made_piece_by_piece(
    operator: Operator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.operations.message_query.BATCH", 7)
    monkeypatch.setattr("services.operations.export.ROWS", 5)
    known = [receive_text(operator, f"text {index}").id for index in range(30)]
    answer = operator.client.get("/admin/messages/export.csv", buffered=False)
    pieces = list(answer.iter_encoded())
    assert len(pieces) > 5
    rows = list(csv.DictReader(io.StringIO(b"".join(pieces).decode("utf-8-sig"), newline="")))
    assert [row["id"] for row in rows] == known[::-1]


def test_the_page_says_why_and_who_acts(operator: Operator) -> None:
    message = receive_text(operator)
    page = plain(operator.get(f"/messages/{message.id}"))
    assert "extension 201 has no app that could be notified." in page
    assert "devices pair 201`. Who You" in page


def test_a_reason_on_the_page_is_no_markup(operator: Operator) -> None:
    message, _ = operator.gateway.composer.submit(PHONE, Reply(text="hi", to=(PEER,)))
    refused = DeliveryStatus(Status.FAILED, "no", None, message.id, PEER, "1", HOSTILE[:300])
    operator.gateway.store.write(lambda tx: statuses.record_status(tx, "sandbox", refused))
    page = operator.get(f"/messages/{message.id}")
    assert "<script>alert(1)" not in page
    assert "Sandbox did not deliver it" in page
