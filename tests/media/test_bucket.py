"""Attachments in a bucket: two machines, local copies, storage faults."""

import os
import socket
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from services.config.sections import S3Settings
from services.config.variables import load
from services.core.errors import ConfigError, MediaError, StorageUnwell
from services.core.messages import Attachment, Device, Message, Status, uuid7
from services.gateway import Gateway, load_environment
from services.http.client import Http
from services.media import bucket as bucket_module
from services.media import s3 as s3_module
from services.media.bucket import Bucket, MigrationResult
from services.media.folder import Folder
from services.media.s3 import S3
from services.messaging.compose import Reply
from services.operations.housekeeping import remove_leftovers
from services.store import attachments, jobs, messages
from services.store.database.schema import jobs as table
from services.store.jobs import JobKind
from tests.conftest import NUMBER_ENTRY, PEER
from tests.fakes.s3 import BUCKET, SECRET_KEY, Fault, S3Server, signature
from tests.waiting import PATIENCE

FILE_ID = "0190f3a2-7c1e-7abc-8def-0123456789ab"
PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + bytes(range(256)) * 40
UNWELL = [
    Fault(403, "AccessDenied"),
    Fault(404, "NoSuchBucket"),
    Fault(404),
    Fault(301, "PermanentRedirect"),
    Fault(500, "InternalError"),
    Fault(503, "SlowDown"),
    Fault(wire="hang"),
]
Open = Callable[..., Bucket]


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[S3Server]:
    monkeypatch.setattr(s3_module, "PAUSE_SECONDS", 0.0)
    monkeypatch.setattr(S3, "seconds", 0.4)
    with S3Server() as running:
        yield running


@pytest.fixture
def machine(tmp_path: Path, server: S3Server) -> Iterator[Open]:
    """Open the bucket on machines with disks of their own."""
    ways = []

    def opened(name: str = "one", **changed: str) -> Bucket:
        ways.append(Http())
        folders = Folder(tmp_path / name / "media-cache"), Folder(tmp_path / name / "media")
        return Bucket(server.bucket(ways[-1], **changed), *folders)

    yield opened
    for http in ways:
        http.close()


def copies(tmp_path: Path, name: str = "one") -> list[Path]:
    return sorted((tmp_path / name / "media-cache").glob("*/*"))


def put(bucket: Bucket, content: bytes = PNG, file_id: str = FILE_ID) -> Path:
    return bucket.put(file_id, [content], 1_000_000).path


def test_the_storage_of_the_tests_signs_as_amazons_own_example_does() -> None:
    """The first example of sig-v4-header-based-auth.html: GET of a part of an object."""
    headers = {
        "host": "examplebucket.s3.amazonaws.com",
        "range": "bytes=0-9",
        "x-amz-content-sha256": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "x-amz-date": "20130524T000000Z",
    }
    made = signature(
        "GET",
        "/test.txt",
        headers,
        "host;range;x-amz-content-sha256;x-amz-date",
        "20130524/us-east-1/s3/aws4_request",
        "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
    )
    assert made == "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"


def test_what_one_machine_keeps_the_other_sees(
    machine: Open, server: S3Server, tmp_path: Path
) -> None:
    put(machine("one"))
    other = machine("other")
    assert other.open(FILE_ID).read_bytes() == PNG
    assert other.open(FILE_ID).is_relative_to(tmp_path / "other")
    assert server.methods() == ["PUT", "GET"]  # the second time it was there
    assert server.refused == []


def test_what_one_machine_removes_is_gone(machine: Open, server: S3Server) -> None:
    one, other = machine("one"), machine("other")
    put(one)
    one.remove(FILE_ID)
    one.remove(FILE_ID)
    for bucket in (one, other):
        with pytest.raises(MediaError):
            bucket.open(FILE_ID)
    assert server.objects == {}


@pytest.mark.parametrize("content", [b"", b"\0", b"x" * 5_000_000, "Grüße".encode()])
def test_any_content_travels_unchanged(machine: Open, content: bytes) -> None:
    machine("one").put(FILE_ID, [content], 10_000_000)
    assert machine("other").open(FILE_ID).read_bytes() == content


@pytest.mark.parametrize("fault", UNWELL, ids=str)
def test_what_the_bucket_did_not_take_is_not_kept(
    machine: Open, server: S3Server, tmp_path: Path, fault: Fault
) -> None:
    bucket = machine()
    server.broken = fault
    with pytest.raises(StorageUnwell) as caught:
        put(bucket)
    assert SECRET_KEY not in str(caught.value)
    assert server.endpoint not in str(caught.value)
    assert copies(tmp_path) == []
    server.broken = None
    with pytest.raises(MediaError):
        bucket.open(FILE_ID)


def test_what_was_taken_without_an_answer_is_not_taken_for_kept(
    machine: Open, server: S3Server, tmp_path: Path
) -> None:
    bucket = machine()
    server.broken = Fault(wire="hang", done=True)
    with pytest.raises(StorageUnwell):
        put(bucket, b"first")
    assert copies(tmp_path) == []
    server.broken = None
    put(bucket, b"again")
    assert machine("other").open(FILE_ID).read_bytes() == b"again"


@pytest.mark.parametrize(
    "fault", [*UNWELL, Fault(wire="cut"), Fault(wire="spoil"), Fault(403)], ids=str
)
def test_a_file_that_cannot_be_fetched_now_is_not_taken_for_lost(
    machine: Open, server: S3Server, tmp_path: Path, fault: Fault
) -> None:
    put(machine("other"))
    bucket = machine()
    server.broken = fault
    with pytest.raises(StorageUnwell):
        bucket.open(FILE_ID)
    assert copies(tmp_path) == []
    server.broken = None
    assert bucket.open(FILE_ID).read_bytes() == PNG


@pytest.mark.parametrize("fault", [Fault(500, "InternalError"), Fault(503, "SlowDown")], ids=str)
def test_one_slip_is_forgiven(
    machine: Open, server: S3Server, fault: Fault, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(S3, "seconds", PATIENCE)  # a busy machine is no fault of the bucket
    server.faults.extend([fault])
    put(machine("one"))
    server.faults.extend([fault])
    assert machine("other").open(FILE_ID).read_bytes() == PNG
    server.faults.extend([Fault(wire="cut")])
    assert machine("third").open(FILE_ID).read_bytes() == PNG


def test_a_file_that_is_there_and_one_that_is_here_are_read_while_the_bucket_is_unwell(
    machine: Open, server: S3Server
) -> None:
    bucket = machine()
    put(bucket)
    server.broken = Fault(503, "SlowDown")
    assert bucket.open(FILE_ID).read_bytes() == PNG


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("MEDIA_S3_SECRET_KEY", "another secret"),
        ("MEDIA_S3_ACCESS_KEY", "AKIDOFNOBODY"),
        ("MEDIA_S3_REGION", "us-east-1"),
        ("MEDIA_S3_BUCKET", "another-bucket"),
    ],
)
def test_a_wrong_setting_is_named(machine: Open, variable: str, value: str) -> None:
    bucket = machine(**{variable: value})
    for thorough in (False, True):
        trouble = bucket.problem(thorough=thorough)
        assert variable in trouble
        assert "another secret" not in trouble
    with pytest.raises(StorageUnwell, match=variable):
        put(bucket)


def test_a_key_that_may_not_list_is_told_so(machine: Open, server: S3Server) -> None:
    server.may_list = False
    assert "get, put, delete and list" in machine().problem()
    with pytest.raises(StorageUnwell):
        machine().open(FILE_ID)


def test_a_wrong_clock_is_named(machine: Open, server: S3Server) -> None:
    server.now = lambda: datetime.now(UTC) + timedelta(hours=1)
    assert "clock" in machine().problem()


def test_a_shared_bucket_keeps_to_its_folder(machine: Open, server: S3Server) -> None:
    put(machine(MEDIA_S3_PREFIX="/shared/texts"))
    assert list(server.objects) == [f"shared/texts/{FILE_ID}"]
    assert machine("other", MEDIA_S3_PREFIX="shared/texts/").open(FILE_ID).read_bytes() == PNG


def test_a_bucket_may_stand_before_the_host_name(
    machine: Open, server: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    find, asked = socket.getaddrinfo, []

    def found(host: str, *more: Any, **options: Any) -> Any:
        asked.append(host)
        return find("127.0.0.1", *more, **options)

    monkeypatch.setattr(socket, "getaddrinfo", found)
    endpoint = server.endpoint.replace("127.0.0.1", "storage.example.com")
    put(machine(MEDIA_S3_ENDPOINT=endpoint, MEDIA_S3_PATH_STYLE="false"))
    assert asked == [f"{BUCKET}.storage.example.com"]
    assert list(server.objects) == [FILE_ID]


# Settings


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("MEDIA_S3_ENDPOINT", "s3.example.com"),
        ("MEDIA_S3_ENDPOINT", "https://key:secret@s3.example.com"),
        ("MEDIA_S3_ENDPOINT", "https://s3.example.com/?x=1"),
        ("MEDIA_S3_BUCKET", "s3://textbridge"),
        ("MEDIA_S3_BUCKET", "textbridge/media"),
        ("MEDIA_S3_PREFIX", "a//b"),
        ("MEDIA_S3_PREFIX", "../b"),
        ("MEDIA_S3_PREFIX", "a b"),
        ("MEDIA_S3_PATH_STYLE", "path"),
    ],
)
def test_a_value_that_cannot_work_is_refused(server: S3Server, variable: str, value: str) -> None:
    settings, problems = load(S3Settings, "MEDIA_S3_", {**server.env, variable: value})
    assert settings is None
    assert [problem.variable for problem in problems] == [variable]


def test_one_variable_wants_the_others(tmp_path: Path) -> None:
    env = {"APP_ENV": "local", "STORAGE_PATH": str(tmp_path), "MEDIA_S3_BUCKET": BUCKET}
    with pytest.raises(ConfigError) as caught:
        load_environment(env)
    assert [problem.variable for problem in caught.value.problems] == [
        "MEDIA_S3_ENDPOINT",
        "MEDIA_S3_ACCESS_KEY",
        "MEDIA_S3_SECRET_KEY",
    ]


# The copies on each machine


@pytest.fixture
def aged(monkeypatch: pytest.MonkeyPatch) -> Callable[[Path, float], None]:
    monkeypatch.setattr(bucket_module, "CACHE_BYTES", 1000)

    def age(path: Path, seconds: float) -> None:
        os.utime(path, (time.time() - seconds,) * 2)

    return age


def test_copies_that_nobody_asks_for_go_and_come_back(
    machine: Open, tmp_path: Path, aged: Callable[[Path, float], None]
) -> None:
    bucket = machine()
    aged(put(bucket, b"x"), 86_401)
    assert bucket.sweep(3600) == 1
    assert copies(tmp_path) == []
    assert bucket.open(FILE_ID).read_bytes() == b"x"


def test_the_oldest_copies_are_removed_but_never_one_in_use(
    machine: Open, tmp_path: Path, aged: Callable[[Path, float], None]
) -> None:
    bucket = machine()
    ages = [7000, 6000, 5000, 10, 5]
    ids = [uuid7() for _ in ages]
    for file_id, seconds in zip(ids, ages, strict=True):
        aged(put(bucket, b"x" * 400, file_id), seconds)
    bucket.open(ids[1])  # asked for just now
    assert bucket.sweep(3600) == 2
    assert {path.name for path in copies(tmp_path)} == {ids[1], *ids[3:]}


# From the folder into the bucket


def before(tmp_path: Path, *contents: bytes) -> list[str]:
    """Files that were kept before there was a bucket."""
    ids = [uuid7() for _ in contents]
    for file_id, content in zip(ids, contents, strict=True):
        Folder(tmp_path / "one" / "media").put(file_id, [content], 1_000_000)
    return ids


def test_what_was_kept_before_is_read_until_it_is_in_the_bucket(
    machine: Open, server: S3Server, tmp_path: Path
) -> None:
    (file_id,) = before(tmp_path, PNG)
    bucket = machine()
    assert bucket.open(file_id).read_bytes() == PNG
    assert bucket.migrate(file_id) == (MigrationResult.COPIED, len(PNG))
    assert bucket.migrate(file_id) == (MigrationResult.ALREADY, len(PNG))
    assert machine("other").open(file_id).read_bytes() == PNG
    bucket.remove(file_id)
    assert bucket.files_to_migrate() == []
    with pytest.raises(MediaError):
        bucket.open(file_id)


def test_what_another_program_put_there_counts_if_it_is_the_same(
    machine: Open, server: S3Server, tmp_path: Path
) -> None:
    same, shorter, other = before(tmp_path, PNG, PNG, PNG)
    server.objects[same] = (PNG, {})
    server.objects[shorter] = (PNG[:-1], {})
    server.objects[other] = (PNG[::-1], {})
    bucket = machine()
    outcomes = [bucket.migrate(file_id)[0] for file_id in (same, shorter, other)]
    assert outcomes == [
        MigrationResult.ALREADY,
        MigrationResult.DIFFERENT,
        MigrationResult.DIFFERENT,
    ]
    assert server.objects[other][0] == PNG[::-1]


# The whole service on a bucket


@pytest.fixture
def make_bucket_gateway(
    make_gateway: Callable[..., Gateway], server: S3Server
) -> Callable[..., Gateway]:
    return lambda **env: make_gateway(NUMBER_ENTRY, **(server.env | env))


def upload(gateway: Gateway, file_id: str = FILE_ID) -> str:
    kept = gateway.media.save([PNG], file_id=file_id, declared="", name="a", max_bytes=1_000_000)
    file = Attachment(
        id=file_id, content_type=kept.content_type, name=kept.name, size=kept.size, state="kept"
    )
    gateway.store.write(lambda tx: attachments.add_upload(tx, "201", file))
    return file_id


def test_a_message_whose_picture_cannot_be_fetched_waits_and_is_not_unknown(
    make_bucket_gateway: Callable[..., Gateway], server: S3Server, tmp_path: Path
) -> None:
    gateway = make_bucket_gateway()
    reply = Reply(text="Look", to=(PEER,), media_ids=(upload(gateway),))
    message, _ = gateway.composer.submit(Device(id="none", extension="201"), reply)
    for path in (tmp_path / "media-cache").glob("*/*"):
        path.unlink()
    server.broken = Fault(503, "SlowDown")
    gateway.delivery.deliver("worker", lambda _: 8, gateway.delivery.perform)
    assert state(gateway, message) == (Status.QUEUED, "due")
    server.broken = None
    make_due(gateway)
    gateway.delivery.deliver("worker", lambda _: 8, gateway.delivery.perform)
    assert state(gateway, message)[0] in (Status.SENT, Status.DELIVERED)


def state(gateway: Gateway, message: Message) -> tuple[Status, str]:
    def look(tx: Any) -> tuple[Status, str]:
        found = messages.by_id(tx, message.id)
        assert found is not None
        (job,) = [job for job in jobs.of(tx, message.id) if job.kind is JobKind.SEND]
        return found.status, job.state

    return gateway.store.read(look)


def make_due(gateway: Gateway) -> None:
    gateway.store.write(lambda tx: tx.execute(update(table).values(due=time.time())))


def test_an_upload_that_nobody_sent_goes_even_if_the_bucket_is_unwell_at_first(
    make_bucket_gateway: Callable[..., Gateway],
    server: S3Server,
    database: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    gateway = make_bucket_gateway(DATABASE_URL=database)
    upload(gateway)
    later = time.time() + 90_000
    monkeypatch.setattr("services.operations.housekeeping.time.time", lambda: later)
    server.broken = Fault(500, "InternalError")
    with pytest.raises(StorageUnwell):
        remove_leftovers(gateway.store, gateway.media)
    assert gateway.store.read(lambda tx: attachments.uploads(tx, "201", [FILE_ID])) == {}
    assert list(server.objects) == [FILE_ID]
    server.broken = None
    monkeypatch.undo()
    monkeypatch.setattr("services.operations.housekeeping.time.time", lambda: later)
    remove_leftovers(gateway.store, gateway.media)
    assert server.objects == {}
    assert gateway.store.read(lambda tx: attachments.by_id(tx, FILE_ID)) is None
