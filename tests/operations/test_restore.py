"""Restore of a backup: the installation is back, and nothing is sent a second time."""

import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result
from filelock import FileLock
from flask import Flask
from sqlalchemy import text

from blueprints.cli import register
from services.core.messages import Attachment, Device, Message, Status
from services.gateway import Gateway
from services.messaging.compose import Reply
from services.operations.restore import NOT_IN_BACKUP, SKIPPED
from services.store import attachments, devices, job_leasing, jobs, messages, sign_ins, workers
from services.store.jobs import JobKind
from services.store.maintenance.backup import DATABASE, media_path
from tests.conftest import NUMBER, NUMBER_ENTRY, PEER, changes, settings_file
from tests.message_steps import receive_call

DEVICE = Device(id="none", extension="201")
Elsewhere = Callable[[], Gateway]
HOOK = {"PUSH_WEBHOOK_URL": "http://127.0.0.1:9/push", "PUSH_WEBHOOK_SECRET": "whsec_" + "YQ" * 16}


def flask(gateway: Gateway, *arguments: str, code: int = 0) -> Result:
    """Run one of the operator's commands, which must end with ``code``."""
    app = Flask(__name__)
    register(app, gateway)
    result = app.test_cli_runner().invoke(args=list(arguments))
    assert result.exit_code == code, result.output
    return result


def receive_text(gateway: Gateway, text: str, content: bytes | None = None) -> Message:
    provider = gateway.providers["sandbox"]
    message = Message(direction="in", number=NUMBER, peer=PEER, text=text)
    receive_call(gateway, provider, provider.example(message))
    stored = gateway.store.read(lambda tx: messages.find(tx, limit=1))[0]
    if content is not None:
        raw = Attachment(name="cat.gif", content_type="image/gif", content=content)
        file = gateway.media.save_received(raw, 1_000_000)
        gateway.store.write(lambda tx: attachments.add(tx, stored.id, [file]))
    return stored


@pytest.fixture
def first(make_gateway: Callable[..., Gateway]) -> Gateway:
    """An installation with a text, a picture, and a reply that waits."""
    gateway = make_gateway(NUMBER_ENTRY, **HOOK)
    receive_text(gateway, "keep me")
    receive_text(gateway, "look", b"GIF89a, a picture")
    gateway.composer.submit(DEVICE, Reply(text="Yes", to=(PEER,)))
    return gateway


def backed_up(gateway: Gateway, tmp_path: Path) -> Path:
    """Make a backup of an installation; returns its folder."""
    flask(gateway, "backup", str(tmp_path / "copies"))
    [made] = (tmp_path / "copies").iterdir()
    return made


@pytest.fixture
def backup(first: Gateway, tmp_path: Path) -> Path:
    """A backup of it."""
    return backed_up(first, tmp_path)


@pytest.fixture
def elsewhere(make_gateway: Callable[..., Gateway], tmp_path: Path) -> Elsewhere:
    """Open an installation in another folder, in which nothing is kept at first."""
    return lambda: make_gateway(STORAGE_PATH=str(tmp_path / "new"), **HOOK)


def test_a_backup_says_what_it_holds(first: Gateway, tmp_path: Path) -> None:
    told = flask(first, "backup", str(tmp_path / "copies")).stdout
    assert "Checked: 3 messages in 1 conversations, 0 devices, 1 attachments." in told


def test_everything_is_put_back(
    first: Gateway, backup: Path, elsewhere: Elsewhere, tmp_path: Path
) -> None:
    told = flask(elsewhere(), "restore", str(backup)).stdout
    assert "3 messages in 1 conversations" in told
    assert "1 texts waited to be sent and are unknown now" in told
    restored = elsewhere()
    before = first.store.read(lambda tx: messages.find(tx, limit=9))
    after = restored.store.read(lambda tx: messages.find(tx, limit=9))
    assert [(m.id, m.text, m.seq) for m in after] == [(m.id, m.text, m.seq) for m in before]
    [file] = after[1].media
    assert restored.media.open(file.id).read_bytes() == b"GIF89a, a picture"
    assert restored.settings.document() == first.settings.document()
    assert restored.environment.app_key == first.environment.app_key
    assert not list((tmp_path / "new").glob(".restoring*"))
    found = restored.store.read(lambda tx: tx.execute(text("PRAGMA integrity_check")).scalar())
    assert found == "ok"


def test_what_waited_to_be_sent_is_unknown_and_the_rest_is_due(
    backup: Path, elsewhere: Elsewhere
) -> None:
    elsewhere().restore.into_sqlite(backup)
    restored = elsewhere()
    [reply] = restored.store.read(lambda tx: messages.find(tx, limit=1))
    assert reply.status is Status.UNKNOWN
    assert "may have been sent since" in (reply.error_reason or "")
    due = restored.store.read(job_leasing.first_due)
    assert set(due) == {"push:webhook"}, "nothing is sent, everything is pushed"
    [push] = [j for j in restored.store.read(lambda tx: jobs.of(tx, reply.id)) if j.state == "due"]
    assert (push.kind, push.about) == (JobKind.PUSH, "unknown")


def test_what_was_being_done_begins_anew_however_old_the_backup_is(
    first: Gateway, elsewhere: Elsewhere, tmp_path: Path
) -> None:
    def lease(tx: object) -> None:
        workers.beat(tx, "w", time.time())  # type: ignore[arg-type]
        [send] = job_leasing.lease(tx, "w", "send:sandbox", 9, time.time() + 1)  # type: ignore[arg-type]
        jobs.start(tx, send)  # type: ignore[arg-type]
        job_leasing.lease(tx, "w", "push:webhook", 9, time.time() + 1)  # type: ignore[arg-type]
        tx.execute(text("UPDATE jobs SET created_at = 1, attempts = 7"))  # type: ignore[attr-defined]

    first.store.write(lease)
    assert elsewhere().restore.into_sqlite(backed_up(first, tmp_path)).unknown == 1
    restored = elsewhere()
    [oldest] = restored.store.read(lambda tx: messages.find(tx, limit=1, before=2))
    [job] = restored.store.read(lambda tx: jobs.of(tx, oldest.id))
    assert (job.state, job.owner, job.attempts) == ("due", None, 0)
    assert time.time() - job.created_at < 3600, "or its first failure would be its last"
    assert restored.store.read(workers.silence) == float("inf")


def test_what_was_scheduled_is_cancelled_and_named(
    first: Gateway, elsewhere: Elsewhere, tmp_path: Path
) -> None:
    """It may have been sent now, changed or cancelled since the backup was made."""
    ahead = [time.time() + 3600, time.time() + 7200]
    texts = [first.composer.submit(DEVICE, Reply("later", (PEER,), send_at=at))[0] for at in ahead]
    told = flask(elsewhere(), "restore", str(backed_up(first, tmp_path))).stdout
    assert "2 texts were scheduled for later and are cancelled now" in told
    restored = elsewhere()
    for text_ in texts:
        assert text_.id in told
        now = restored.store.read(lambda tx, text_=text_: messages.by_id(tx, text_.id))
        assert now is not None
        assert (now.status, now.error_code) == (Status.CANCELLED, "restored")
        assert "Schedule it again." in (now.error_reason or "")
    assert not restored.scheduling.release_due()
    assert restored.audit.check(thorough=True) == []


def test_sign_ins_of_the_backup_are_ended(
    first: Gateway, elsewhere: Elsewhere, tmp_path: Path
) -> None:
    token = first.store.write(lambda tx: sign_ins.add(tx, "hash"))
    elsewhere().restore.into_sqlite(backed_up(first, tmp_path))
    restored = elsewhere()
    assert first.store.read(lambda tx: sign_ins.by_token(tx, token, "hash")) is not None
    assert restored.store.read(lambda tx: sign_ins.by_token(tx, token, "hash")) is None


def test_apps_load_anew_and_miss_nothing_that_comes_then(
    first: Gateway, backup: Path, elsewhere: Elsewhere
) -> None:
    for index in range(20):
        receive_text(first, f"lost {index}")
    seen = first.store.read(messages.latest_seq)
    elsewhere().restore.into_sqlite(backup)
    restored = elsewhere()
    phone, _ = restored.store.write(lambda tx: devices.add(tx, "201", "phone"))
    for index in range(30):  # more than were lost: numbers that the app has seen before
        receive_text(restored, f"new {index}")
    found = changes(restored).since(phone, seen, 100)
    assert found is not None
    assert found.reset
    assert restored.store.read(messages.latest_seq) > SKIPPED


def test_a_living_installation_is_never_overwritten(
    first: Gateway, backup: Path, elsewhere: Elsewhere, tmp_path: Path
) -> None:
    before = first.store.read(lambda tx: messages.find(tx, limit=9))
    told = flask(first, "restore", str(backup), code=1).stderr
    assert "is in use" in told
    assert f"mv {tmp_path}" in told
    assert first.store.read(lambda tx: messages.find(tx, limit=9)) == before
    other = elsewhere()
    (tmp_path / "new" / "message_settings.json").write_text(settings_file())
    assert "Message Settings" in flask(other, "restore", str(backup), code=1).stderr


def test_a_running_server_is_in_the_way(backup: Path, elsewhere: Elsewhere, tmp_path: Path) -> None:
    gateway = elsewhere()
    with FileLock(tmp_path / "new" / "server.lock"):
        assert "Stop it first" in flask(gateway, "restore", str(backup), code=1).stderr


def test_a_damaged_backup_changes_nothing(
    backup: Path, elsewhere: Elsewhere, tmp_path: Path
) -> None:
    content = bytearray((backup / DATABASE).read_bytes())
    content[len(content) // 2 : len(content) // 2 + 8192] = b"\xff" * 8192
    (backup / DATABASE).write_bytes(content)
    gateway = elsewhere()
    before = {path.name for path in (tmp_path / "new").iterdir()}
    told = flask(gateway, "restore", str(backup), code=1).stderr
    assert "damaged" in told or "cannot be read" in told
    after = {path.name for path in (tmp_path / "new").iterdir()}
    assert {name for name in after - before if not name.startswith("textbridge.db-")} == {
        "server.lock"
    }
    assert gateway.store.read(lambda tx: messages.find(tx, limit=9)) == []


def test_what_is_no_backup_is_refused(elsewhere: Elsewhere, tmp_path: Path) -> None:
    (tmp_path / "holiday").mkdir()
    told = flask(elsewhere(), "restore", str(tmp_path / "holiday"), code=1).stderr
    assert "is no backup" in told


def test_a_backup_of_a_newer_version_is_refused(
    backup: Path, elsewhere: Elsewhere, monkeypatch: pytest.MonkeyPatch
) -> None:
    gateway = elsewhere()
    monkeypatch.setattr("services.operations.restore.head", lambda: "0001")
    told = flask(gateway, "restore", str(backup), code=1).stderr
    assert "newer Textbridge" in told


def test_a_picture_that_is_not_in_the_backup_is_told(backup: Path, elsewhere: Elsewhere) -> None:
    shutil.rmtree(backup / "media")
    (backup / "media").mkdir()
    result = flask(elsewhere(), "restore", str(backup))
    assert "1 attachments were not in the backup" in result.stderr
    [message] = [
        one for one in elsewhere().store.read(lambda tx: messages.find(tx, limit=9)) if one.media
    ]
    assert [(file.state, file.reason) for file in message.media] == [("failed", NOT_IN_BACKUP)]


def test_interrupted_at_any_moment_it_can_be_started_again(
    backup: Path, elsewhere: Elsewhere, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each time one step further before the power goes."""
    replace, steps_left = Path.replace, 0

    def cut(path: Path, target: Path) -> Path:
        nonlocal steps_left
        steps_left -= 1
        if steps_left < 0:
            raise KeyboardInterrupt
        return replace(path, target)

    done, made = 0, None
    while made is None:
        gateway = elsewhere()
        steps_left = done
        with monkeypatch.context() as power:
            power.setattr(Path, "replace", cut)
            try:
                made = gateway.restore.into_sqlite(backup)
            except KeyboardInterrupt:
                done += 1
        gateway.store.disconnect()  # as a process that is gone has
    assert done >= 4
    restored = elsewhere()
    assert len(restored.store.read(lambda tx: messages.find(tx, limit=9))) == 3
    [message] = restored.store.read(lambda tx: messages.find(tx, limit=1))
    assert message.status is Status.UNKNOWN


# PostgreSQL


def test_with_postgresql_the_rest_is_put_back_beside_the_database(
    make_gateway: Callable[..., Gateway], postgres_url: str, tmp_path: Path
) -> None:
    big = make_gateway(NUMBER_ENTRY, DATABASE_URL=postgres_url, **HOOK)
    message = receive_text(big, "look", b"GIF89a, a picture")
    reply, _ = big.composer.submit(DEVICE, Reply(text="Yes", to=(PEER,)))
    told = flask(big, "backup", str(tmp_path / "copies"), "--no-dump").stderr
    assert "pg_dump --format=custom --no-owner --file=" in told
    [made] = (tmp_path / "copies").iterdir()
    [file] = big.store.read(lambda tx: messages.by_id(tx, message.id)).media  # type: ignore[union-attr]
    media_path(tmp_path, file.id).unlink()

    big.store.write(lambda tx: workers.beat(tx, "w", time.time()))
    assert "just now" in flask(big, "restore", str(made), "--yes", code=1).stderr
    big.store.write(lambda tx: workers.beat(tx, "w", time.time() - 3600))
    flask(big, "restore", str(made), code=1)  # nobody has said yes
    waiting = big.store.read(lambda tx: messages.by_id(tx, reply.id))
    assert waiting is not None
    assert waiting.status is Status.QUEUED
    told = flask(big, "restore", str(made), "--yes").stdout
    assert "1 attachments were copied." in told
    settled = big.store.read(lambda tx: messages.by_id(tx, reply.id))
    assert settled is not None
    assert settled.status is Status.UNKNOWN
    assert big.media.open(file.id).read_bytes() == b"GIF89a, a picture"


# The commands for what is kept no longer


def test_prune_says_what_would_go_and_asks(first: Gateway) -> None:
    first.store.write(lambda tx: tx.execute(text("UPDATE messages SET created_at = 1")))
    first.store.write(lambda tx: tx.execute(text("UPDATE jobs SET state = 'done'")))
    told = flask(first, "messages", "prune", "--older-than", "365d", "--dry-run").stdout
    assert "Messages:      3" in told
    counted = flask(first, "messages", "prune", "--older-than", "365", "--dry-run", "--json")
    assert json.loads(counted.stdout)["messages"] == 3
    flask(first, "messages", "prune", "--older-than", "365d", code=1)  # nobody has said yes
    assert len(first.store.read(lambda tx: messages.find(tx, limit=9))) == 3
    flask(first, "messages", "prune", "--older-than", "365d", "--yes")
    assert first.store.read(lambda tx: messages.find(tx, limit=9)) == []


def test_prune_needs_an_age(first: Gateway) -> None:
    assert "KEEP_MESSAGES_DAYS" in flask(first, "messages", "prune", code=2).stderr
    assert "365d" in flask(first, "messages", "prune", "--older-than", "0d", code=2).stderr
    assert "365d" in flask(first, "messages", "prune", "--older-than", "a year", code=2).stderr


def test_a_person_gets_what_is_sent_to_their_groups(first: Gateway, tmp_path: Path) -> None:
    later = time.time() + 3600
    group = (PEER, "+13035550188")
    first.composer.submit(DEVICE, Reply(text="to all", to=group, send_at=later))
    flask(first, "people", "export", PEER, str(tmp_path / "ann"))
    told = json.loads((tmp_path / "ann" / "person.json").read_text())
    [listed] = told["sent_to_groups"]
    assert (listed["text"], listed["state"]) == ("to all", "scheduled")
    assert "1 texts to them" in flask(first, "people", "forget", PEER, "--dry-run").stdout


def test_a_person_gets_what_is_kept_and_is_forgotten(first: Gateway, tmp_path: Path) -> None:
    flask(first, "contacts", "set", PEER, "Ann")
    flask(first, "people", "export", "(303) 555-0177", str(tmp_path / "ann"))
    told = json.loads((tmp_path / "ann" / "person.json").read_text())
    assert (told["number"], told["name"]) == (PEER, "Ann")
    assert [message["text"] for message in told["messages"]] == ["keep me", "look", "Yes"]
    [file] = told["messages"][1]["media"]
    assert (tmp_path / "ann" / file["url"]).read_bytes() == b"GIF89a, a picture"

    told = flask(first, "people", "forget", PEER, "--dry-run").stdout
    assert "Messages:      3" in told
    result = flask(first, "people", "forget", PEER, "--yes", code=1)
    assert "3 messages are still being delivered" in result.stderr
    first.store.write(lambda tx: tx.execute(text("UPDATE jobs SET state = 'done'")))
    result = flask(first, "people", "forget", PEER, "--yes")
    assert "3 messages were deleted" in result.stderr
    assert "run this again tomorrow" in result.stderr
    assert first.store.read(lambda tx: messages.find(tx, limit=9)) == []
    assert not [path for path in (tmp_path / "media").glob("*/*") if path.is_file()]
