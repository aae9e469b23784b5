"""Deleting in apps: for all who share the number, told to other apps, never what is being sent."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select, update
from sqlalchemy.exc import IntegrityError

from services.core.errors import StorageUnwell
from services.messaging import deleting
from services.operations import housekeeping
from services.store import deletions, devices, jobs, opt_outs
from services.store.database.schema import attachments, messages
from services.store.database.schema import deletions as deletions_table
from services.store.database.schema import jobs as jobs_table
from services.store.jobs import JobKind
from tests.api.conftest import MINE, PEER, SHARED, Phone, Service
from tests.api.test_media import media_folder, uploaded
from tests.api.test_scheduled import at, refused
from tests.media.conftest import files
from tests.message_steps import run_due_jobs

Make = Callable[..., Service]
ALLOWED = {"ALLOW_DELETE": "true"}


@pytest.fixture
def service(make_service: Make, database: str) -> Service:
    """A service that allows deleting, on SQLite and then on PostgreSQL."""
    return make_service(DATABASE_URL=database, **ALLOWED)


def deleted(phone: Phone, path: str) -> Any:
    return phone.call("DELETE", path)


def violations(service: Service) -> list[str]:
    return [one.reason for one in service.gateway.audit.check(thorough=True)]


def conversation(phone: Phone) -> dict[str, Any]:
    return dict(phone.read("/conversations")["items"][0])


def held(phone: Phone) -> list[str]:
    """The texts of the newest conversation, oldest first."""
    path = f"/conversations/{conversation(phone)['id']}/messages"
    return [one["text"] for one in reversed(phone.read(path)["items"])]


def news(phone: Phone, since: str) -> list[tuple[str, str | None]]:
    events = phone.read("/sync", since=since)["events"]
    return [(one["type"], one.get("message_id")) for one in events if "deleted" in one["type"]]


def test_nobody_deletes_unless_the_operator_allows_it(make_service: Make) -> None:
    service = make_service()
    phone = service.pair("201")
    service.receive(MINE)
    known = conversation(phone)
    assert phone.read("/me")["may_delete"] is False
    for path in (
        f"/conversations/{known['id']}",
        f"/messages/{known['last_message']['id']}?permanently=true",
    ):
        assert refused(deleted(phone, path)) == (403, "deleting_not_allowed")
    assert held(phone) == ["hi"]


def test_a_message_is_deleted_for_all_who_share_the_number(service: Service) -> None:
    phone, colleague, stranger = service.pair("201"), service.pair("202"), service.pair("203")
    service.receive(SHARED, "one")
    service.receive(SHARED, "two")
    run_due_jobs(service.gateway)
    since = colleague.read("/sync")["next"]
    last = conversation(phone)["last_message"]
    path = f"/messages/{last['id']}"
    assert refused(deleted(stranger, f"{path}?permanently=true")) == (404, "not_found")
    assert refused(deleted(phone, path)) == (409, "not_scheduled")  # nothing is deleted by mistake
    assert phone.read("/me")["may_delete"] is True
    assert deleted(phone, f"{path}?permanently=true").status_code == 204
    assert refused(deleted(phone, f"{path}?permanently=true")) == (404, "not_found")
    assert held(colleague) == ["one"]
    assert conversation(colleague)["last_message"]["text"] == "one"
    assert news(colleague, since) == [("message.deleted", last["id"])]
    assert news(stranger, since) == []
    assert violations(service) == []


def test_a_conversation_goes_with_its_files_and_scheduled_texts(service: Service) -> None:
    phone, colleague = service.pair("201"), service.pair("202")
    service.receive(SHARED, "hello")
    file = uploaded(phone)
    sent = phone.send(to=PEER, **{"from": SHARED}, media_ids=[file["id"]])
    run_due_jobs(service.gateway)
    later = phone.send(to=[PEER], **{"from": SHARED}, send_at=at(hours=3))
    known = conversation(phone)
    phone.call("PUT", f"/conversations/{known['id']}/pin")
    since = colleague.read("/sync")["next"]
    answer = deleted(colleague, f"/conversations/{known['id']}")
    assert answer.json == {"deleted": 3, "kept": 0}
    assert phone.read("/conversations")["items"] == []
    assert phone.read("/scheduled")["items"] == []
    assert phone.get(f"/messages/{later['id']}").status_code == 404
    assert files(Path(media_folder(service))) == []
    told = news(phone, since)
    assert told[-1] == ("conversation.deleted", None)
    assert {message_id for _, message_id in told[:-1]} >= {sent["id"], later["id"]}
    assert run_due_jobs(service.gateway) == []
    assert violations(service) == []
    (noted,) = service.gateway.store.read(lambda tx: deletions.newest(tx, 10))
    assert (noted.deleted_by, noted.number, noted.messages) == ("202", SHARED, 3)
    assert noted.is_conversation
    service.receive(SHARED, "again")  # a new conversation begins
    assert conversation(phone)["id"] != known["id"]


def test_what_is_being_sent_stays(service: Service) -> None:
    phone = service.pair("201")
    service.receive(SHARED, "hello")
    run_due_jobs(service.gateway)
    queued = phone.send(to=PEER, **{"from": SHARED}, text="on its way")
    path = f"/messages/{queued['id']}?permanently=true"
    assert refused(deleted(phone, path)) == (409, "being_sent")
    answer = deleted(phone, f"/conversations/{queued['conversation_id']}")
    assert answer.json == {"deleted": 1, "kept": 1}
    assert held(phone) == ["on its way"]
    run_due_jobs(service.gateway)
    assert phone.read(f"/messages/{queued['id']}")["status"] == "sent"
    assert deleted(phone, path).status_code == 204
    assert phone.read("/conversations")["items"] == []
    assert violations(service) == []


def test_pushes_that_wait_are_cancelled_and_one_in_work_stays(service: Service) -> None:
    phone = service.pair("201")
    service.receive(SHARED, "hello")
    message_id = conversation(phone)["last_message"]["id"]
    job = jobs.Job(JobKind.PUSH, message_id, "push:webpush", target=phone.id, lane="lane")
    later = jobs.Job(JobKind.PUSH, message_id, "push:webpush", target="x", lane="lane")
    store = service.gateway.store
    store.write(lambda tx: jobs.add(tx, [job, later]))
    leased = update(jobs_table).where(jobs_table.c.target == phone.id)
    store.write(lambda tx: tx.execute(leased.values(state="leased", owner="w")))
    path = f"/messages/{message_id}?permanently=true"
    assert refused(deleted(phone, path)) == (409, "being_sent")
    store.write(lambda tx: tx.execute(leased.values(state="due", owner=None)))
    assert deleted(phone, path).status_code == 204
    assert store.read(lambda tx: jobs.of(tx, message_id)) == []
    assert violations(service) == []


def test_what_a_carrier_offers_again_stays_deleted(service: Service) -> None:
    phone = service.pair("201")
    carrier_id = service.receive(SHARED, "once")
    run_due_jobs(service.gateway)
    deleted(phone, f"/conversations/{conversation(phone)['id']}")
    service.receive(SHARED, "once", id=carrier_id)
    assert phone.read("/conversations")["items"] == []
    service.receive(SHARED, "once")  # with another id it is another text
    assert held(phone) == ["once"]
    assert violations(service) == []


def test_what_an_app_sends_again_is_not_sent_twice(service: Service) -> None:
    phone = service.pair("201")
    asked = {"to": PEER, "from": SHARED, "client_id": "a", "text": "hello"}
    sent = phone.send(**asked)
    run_due_jobs(service.gateway)
    assert deleted(phone, f"/messages/{sent['id']}?permanently=1").status_code == 204
    assert refused(phone.post("/messages", asked)) == (409, "deleted")
    assert run_due_jobs(service.gateway) == []


def test_an_opt_out_and_its_proof_stay(service: Service) -> None:
    phone = service.pair("201")
    service.receive(SHARED, "STOP")
    run_due_jobs(service.gateway)
    deleted(phone, f"/conversations/{conversation(phone)['id']}")
    assert refused(phone.post("/messages", {"to": PEER, "from": SHARED, "text": "x"})) == (
        403,
        "opted_out",
    )
    found = service.gateway.store.read(lambda tx: opt_outs.of(tx, PEER))
    assert [(one.number, one.source) for one in found] == [(SHARED, "keyword")]


def test_a_long_conversation_is_deleted_in_several_calls(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    phone = service.pair("201")
    for position in range(3):
        service.receive(SHARED, f"text {position}")
    run_due_jobs(service.gateway)
    monkeypatch.setattr(deleting.removal, "BATCH", 2)
    monkeypatch.setattr(deleting, "SECONDS", 0.0)  # one batch a call
    path = f"/conversations/{conversation(phone)['id']}"
    assert deleted(phone, path).json == {"deleted": 2, "kept": 1}
    assert deleted(phone, path).json == {"deleted": 1, "kept": 0}
    assert violations(service) == []


def test_notes_of_deletions_end_and_apps_that_missed_them_load_anew(service: Service) -> None:
    phone = service.pair("201")
    old = phone.read("/sync")["next"]
    service.receive(SHARED, "hello")
    run_due_jobs(service.gateway)
    deleted(phone, f"/conversations/{conversation(phone)['id']}")
    new = phone.read("/sync")["next"]
    store, media = service.gateway.store, service.gateway.media
    housekeeping.remove_leftovers(store, media)
    count = select(func.count()).select_from(deletions_table)
    assert store.read(lambda tx: tx.execute(count).scalar_one()) == 2
    aged = update(deletions_table).values(at=deletions_table.c.at - deletions.KEEP_SECONDS - 60)
    store.write(lambda tx: tx.execute(aged))
    housekeeping.remove_leftovers(store, media)
    assert store.read(lambda tx: tx.execute(count).scalar_one()) == 0
    assert phone.read("/sync", since=old)["reset"] is True
    assert phone.read("/sync", since=new)["reset"] is False


def test_an_interrupted_deletion_can_be_repeated(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    phone = service.pair("201")
    file = uploaded(phone)
    sent = phone.send(to=PEER, **{"from": SHARED}, media_ids=[file["id"]])
    run_due_jobs(service.gateway)

    def fail(*_: object) -> list[str]:
        raise ZeroDivisionError

    path = f"/messages/{sent['id']}?permanently=true"
    with monkeypatch.context() as broken:
        broken.setattr(deleting.removal, "remove", fail)
        with pytest.raises(ZeroDivisionError):
            service.gateway.deleting.delete_message(_device(service, phone), sent["id"])
    assert deleted(phone, path).status_code == 204
    rows = select(func.count()).select_from(attachments)
    assert service.gateway.store.read(lambda tx: tx.execute(rows).scalar_one()) == 0
    left = select(func.count()).select_from(messages)
    assert service.gateway.store.read(lambda tx: tx.execute(left).scalar_one()) == 0


def _device(service: Service, phone: Phone) -> Any:
    return service.gateway.store.read(lambda tx: devices.by_id(tx, phone.id))


def test_a_message_that_is_tried_again_meanwhile_keeps_its_files(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    phone = service.pair("201")
    file = uploaded(phone)
    failed = phone.send(to=PEER, **{"from": SHARED}, media_ids=[file["id"]])
    store = service.gateway.store
    remove = service.gateway.media.remove

    def try_again(file_id: str) -> None:
        job = jobs.Job(JobKind.SEND, failed["id"], "sms", lane="lane")
        with pytest.raises(IntegrityError):  # the message is gone before its file is
            store.write(lambda tx: jobs.add(tx, [job]))
        remove(file_id)

    done = update(jobs_table).values(state="dead")
    store.write(lambda tx: tx.execute(done))
    monkeypatch.setattr(service.gateway.media, "remove", try_again)
    assert deleted(phone, f"/messages/{failed['id']}?permanently=true").status_code == 204
    assert phone.get(f"/messages/{failed['id']}").status_code == 404
    assert files(Path(media_folder(service))) == []


def test_files_that_remain_after_a_crash_are_deleted_later(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    phone = service.pair("201")
    file = uploaded(phone)
    sent = phone.send(to=PEER, **{"from": SHARED}, media_ids=[file["id"]])
    run_due_jobs(service.gateway)
    media = service.gateway.media

    def unwell(file_id: str) -> None:
        raise StorageUnwell("disk is full")

    with monkeypatch.context() as broken:
        broken.setattr(media, "remove", unwell)
        assert deleted(phone, f"/messages/{sent['id']}?permanently=true").status_code == 204
    assert len(files(Path(media_folder(service)))) == 1
    assert phone.get(f"/media/{file['id']}").status_code == 404
    housekeeping.remove_leftovers(service.gateway.store, media)
    assert files(Path(media_folder(service))) == []
    assert service.gateway.store.read(lambda tx: tx.execute(select(attachments)).all()) == []
    assert violations(service) == []


def test_only_the_last_rows_are_looked_at_for_the_list(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    phone = service.pair("201")
    for text in ("one", "two", "three"):
        service.receive(SHARED, text)
    run_due_jobs(service.gateway)
    path = f"/conversations/{conversation(phone)['id']}/messages"
    for one in phone.read(path)["items"][1:]:
        assert deleted(phone, f"/messages/{one['id']}?permanently=true").status_code == 204
    store = service.gateway.store
    assert len(store.read(lambda tx: deletions.newest(tx, 10))) == 2
    monkeypatch.setattr(deletions, "LOOKED_AT", 1)
    assert len(store.read(lambda tx: deletions.newest(tx, 10))) == 1
