"""Health: each check failed once, each warning shown once, and the endpoints that show them."""

import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import requests
from flask import Flask
from flask.testing import FlaskClient
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import event, text

from app import create_app
from services.core.commands import flask_command
from services.core.errors import DeliveryError, Kind
from services.core.messages import Message, WebhookCall
from services.gateway import Gateway
from services.media import bucket
from services.operations.config_findings import ConfigFindings
from services.operations.health import Health
from services.store import circuit_breakers, devices, jobs, workers
from services.store.database.engine import WRITE, open_engine
from tests.conftest import NUMBER, NUMBER_ENTRY, PEER, settings_file
from tests.databases import add_tables
from tests.fakes.s3 import Fault, S3Server
from tests.message_steps import receive_call
from tests.server import running_server
from tests.waiting import eventually

ABROAD = {"REMOTE_ADDR": "203.0.113.9"}
Make = Callable[..., Flask]


class DiskUsage(NamedTuple):
    total: int
    used: int
    free: int


@pytest.fixture
def make_app(tmp_path: Path) -> Iterator[Make]:
    """The whole application on this test's folder, with a worker that beat just now."""
    opened: list[Gateway] = []

    def make(**env: str) -> Flask:
        add_tables(tmp_path)
        app = create_app({"APP_ENV": "local", "STORAGE_PATH": str(tmp_path), **env})
        opened.append(gateway_of(app))
        gateway = gateway_of(app)
        beat(gateway, time.time())
        gateway.store.write(lambda tx: devices.add(tx, "201", "Phone"))
        return app

    (tmp_path / "message_settings.json").write_text(settings_file(NUMBER_ENTRY), encoding="utf-8")
    yield make
    for gateway in opened:
        gateway.close()


@pytest.fixture
def app(make_app: Make) -> Flask:
    return make_app()


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


def gateway_of(app: Flask) -> Gateway:
    gateway: Gateway = app.extensions["gateway"]
    return gateway


def beat(gateway: Gateway, at: float) -> None:
    gateway.store.write(lambda tx: workers.beat(tx, "worker", at))


def receive(gateway: Gateway, number: str = NUMBER) -> None:
    provider = gateway.providers["sandbox"]
    message = Message(direction="in", number=number, peer=PEER, text="hi")
    receive_call(gateway, provider, provider.example(message))


def metric(page: str, name: str, **labels: str) -> float:
    """The value of one sample of a Prometheus page; an absent one counts 0."""
    for family in text_string_to_metric_families(page):
        for sample in family.samples:
            if sample.name == name and sample.labels == labels:
                return float(sample.value)
    return 0.0


# The checks


def test_all_is_well(client: FlaskClient) -> None:
    answer = client.get("/ready")
    assert answer.status_code == 200
    assert answer.json == {
        "ready": True,
        "checks": [
            {"name": name, "ok": True, "reason": ""}
            for name in ("database", "schema", "disk", "worker", "settings")
        ],
        "warnings": [],
    }


def test_all_is_well_on_each_database(make_app: Make, database: str) -> None:
    app = make_app(DATABASE_URL=database)
    leave_unrouted(gateway_of(app))
    client = app.test_client()
    told: Any = client.get("/ready").json
    assert told["ready"] is True
    assert [warned["name"] for warned in told["warnings"]] == ["unrouted"]
    assert metric(client.get("/metrics").text, "textbridge_unrouted_numbers") == 2


def destroy_database(app: Flask, storage: Path, _: pytest.MonkeyPatch) -> None:
    gateway_of(app).store.disconnect()
    for path in storage.glob("textbridge.db*"):
        path.unlink()
    (storage / "textbridge.db").write_bytes(b"This is no database. " * 100)


def forget_migrations(app: Flask, _: Path, __: pytest.MonkeyPatch) -> None:
    gateway_of(app).store.write(lambda tx: tx.execute(text("DELETE FROM alembic_version")))


def fill_disk(_: Flask, __: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: DiskUsage(10**9, 10**9, 63_999_999))


def unmount_disk(_: Flask, __: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(_: Path) -> DiskUsage:
        raise FileNotFoundError(2, "No such file or directory")

    monkeypatch.setattr(shutil, "disk_usage", gone)


def silence_worker(app: Flask, _: Path, __: pytest.MonkeyPatch) -> None:
    beat(gateway_of(app), time.time() - 60)


def forget_worker(app: Flask, _: Path, __: pytest.MonkeyPatch) -> None:
    gateway_of(app).store.write(lambda tx: tx.execute(text("DELETE FROM workers")))


def break_settings(_: Flask, storage: Path, __: pytest.MonkeyPatch) -> None:
    (storage / "message_settings.json").write_text('{"version": 1,\n "numbers": [', "utf-8")


@pytest.mark.parametrize(
    ("turn_bad", "names", "reason"),
    [
        (destroy_database, {"database", "schema", "worker"}, "not a database"),
        (forget_migrations, {"schema"}, "lacks a migration"),
        (fill_disk, {"disk"}, "63 MB are free"),
        (unmount_disk, {"disk"}, "No such file"),
        (silence_worker, {"worker"}, "silent for 60 seconds"),
        (forget_worker, {"worker"}, "No delivery worker has started yet"),
        (break_settings, {"settings"}, "line 2, column"),
    ],
)
def test_each_check_turns_bad_alone_and_says_why(
    app: Flask,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    turn_bad: Callable[[Flask, Path, pytest.MonkeyPatch], None],
    names: set[str],
    reason: str,
) -> None:
    turn_bad(app, tmp_path, monkeypatch)
    answer = app.test_client().get("/ready")
    told: Any = answer.json
    bad = {check["name"]: check["reason"] for check in told["checks"] if not check["ok"]}
    assert answer.status_code == 503
    assert told["ready"] is False
    assert set(bad) == names
    assert reason in next(iter(bad.values()))
    assert app.test_client().get("/up").json == {"status": "up"}


def test_a_database_that_somebody_else_has_locked_is_not_well(
    make_app: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.store.database.engine.BUSY_MILLISECONDS", 20)
    app = make_app()
    stranger = open_engine(None, tmp_path)
    with stranger.execution_options(**{WRITE: True}).begin():
        told: Any = app.test_client().get("/ready").json
    stranger.dispose()
    assert next(check["name"] for check in told["checks"] if not check["ok"]) == "database"
    beat(gateway_of(app), time.time())  # the tests' databases may take half a minute
    assert app.test_client().get("/ready").status_code == 200


def test_a_check_that_is_well_again_says_so(app: Flask) -> None:
    client = app.test_client()
    silence_worker(app, Path(), pytest.MonkeyPatch())
    assert client.get("/ready").status_code == 503
    beat(gateway_of(app), time.time())
    assert client.get("/ready").status_code == 200


# The warnings


def leave_unrouted(gateway: Gateway) -> None:
    receive(gateway, "+12025550111")
    receive(gateway, "+12025550112")
    receive(gateway, "+12025550112")


def quarantine_one(gateway: Gateway) -> None:
    token = gateway.providers["sandbox"].webhook_token
    call = WebhookCall("POST", {}, f"token={token}", b"not JSON")
    receive_call(gateway, gateway.providers["sandbox"], call)


def give_up_one(gateway: Gateway) -> None:
    gateway.settings.put({"number": NUMBER, "carrier": "sandbox", "emails": ["a@example.com"]})
    receive(gateway)
    refused = DeliveryError("The mail server refused it.", Kind.REFUSED)
    gateway.delivery.deliver(
        "worker", lambda _: 1, lambda job: gateway.outcomes.settle(job, refused)
    )


def pause_carrier(gateway: Gateway) -> None:
    reason = f"The carrier refused our credentials for {PEER}."
    gateway.store.write(
        lambda tx: circuit_breakers.pause(tx, "send:bandwidth", 0.0, reason, config=True)
    )


@pytest.mark.parametrize(
    ("happen", "name", "words"),
    [
        (leave_unrouted, "unrouted", "2 numbers have no extension yet; messages to them wait"),
        (quarantine_one, "quarantine", "1 webhook could not be read"),
        (give_up_one, "dead", "1 delivery failed"),
        (pause_carrier, "paused", "Nothing goes to send:bandwidth until its settings are fixed"),
    ],
)
def test_what_waits_for_the_operator_is_a_warning(
    app: Flask, happen: Callable[[Gateway], None], name: str, words: str
) -> None:
    happen(gateway_of(app))
    answer = app.test_client().get("/ready")
    told: Any = answer.json
    assert answer.status_code == 200
    [warned] = [each for each in told["warnings"] if each["name"] != "configuration"]
    assert warned["name"] == name
    assert words in warned["reason"]
    assert PEER not in answer.text


def test_numbers_without_extension_are_named_with_the_command(app: Flask) -> None:
    leave_unrouted(gateway_of(app))
    told: Any = app.test_client().get("/ready").json
    [warned] = told["warnings"]
    assert "+12025550111, +12025550112" in warned["reason"]
    command = flask_command("settings set +12025550111 --carrier sandbox --extension 201")
    assert f"`{command}`" in warned["reason"]
    assert app.test_cli_runner().invoke(args=command.split()[1:]).exit_code == 0
    entry = gateway_of(app).settings.for_number("+12025550111")
    assert entry is not None
    assert entry.extensions == ("201",)


def test_a_pause_that_is_over_is_no_warning(app: Flask) -> None:
    past = time.time() - 1
    gateway_of(app).store.write(
        lambda tx: circuit_breakers.pause(tx, "email", past, "busy", config=False)
    )
    told: Any = app.test_client().get("/ready").json
    assert told["warnings"] == []


def test_an_old_sqlite_is_a_warning(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    gateway_of(app).store.disconnect()
    monkeypatch.setattr("services.store.database.engine.sqlite_version", lambda: "3.40.1")
    told: Any = app.test_client().get("/ready").json
    [warned] = told["warnings"]
    assert warned["name"] == "sqlite"
    assert "SQLite 3.40.1 can corrupt" in warned["reason"]
    assert "Install SQLite 3.51.3 or newer" in warned["reason"]


# Who is told what


@pytest.mark.parametrize(
    ("headers", "surroundings"),
    [
        ({"X-Forwarded-For": "127.0.0.1"}, {}),
        ({"Forwarded": "for=127.0.0.1"}, {}),
        ({"X-Real-IP": "127.0.0.1"}, {}),
        ({}, ABROAD),
        ({}, {"REMOTE_ADDR": ""}),
        ({}, {"REMOTE_ADDR": "::ffff:203.0.113.9"}),
    ],
)
def test_from_elsewhere_only_the_bare_answer_is_seen(
    make_app: Make, headers: dict[str, str], surroundings: dict[str, str]
) -> None:
    app = make_app()
    break_settings(app, gateway_of(app).environment.service.storage_path, pytest.MonkeyPatch())
    client = app.test_client()
    ready = client.get("/ready", headers=headers, environ_overrides=surroundings)
    metrics = client.get("/metrics", headers=headers, environ_overrides=surroundings)
    assert (ready.status_code, ready.json) == (503, {"ready": False})
    assert metrics.status_code == 403
    assert "ADMIN_PASSWORD" in metrics.text
    assert "textbridge_" not in metrics.text


@pytest.mark.parametrize("address", ["127.0.0.1", "127.8.8.8", "::1", "::ffff:127.0.0.1"])
def test_this_machine_sees_everything(client: FlaskClient, address: str) -> None:
    here = {"REMOTE_ADDR": address}
    assert "checks" in (client.get("/ready", environ_overrides=here).json or {})
    assert client.get("/metrics", environ_overrides=here).status_code == 200


@pytest.mark.parametrize(
    ("auth", "status"),
    [
        (None, 401),
        (("admin", "wrong"), 401),
        (("admin", ""), 401),
        (("root", "correct horse"), 401),
        (("admin", "correct horse"), 200),
    ],
)
def test_the_operator_sees_everything_from_anywhere(
    make_app: Make, auth: tuple[str, str] | None, status: int
) -> None:
    client = make_app(ADMIN_PASSWORD="correct horse").test_client()
    metrics = client.get("/metrics", auth=auth, environ_overrides=ABROAD)
    ready: Any = client.get("/ready", auth=auth, environ_overrides=ABROAD).json
    assert metrics.status_code == status
    assert metrics.headers.get("WWW-Authenticate", "").startswith("Basic") == (status == 401)
    assert ("checks" in ready) == (status == 200)


@pytest.mark.parametrize(
    "credentials", ["Basic", "Basic !!!", "Basic Og==", "Bearer x", "Digest a=b"]
)
def test_odd_credentials_are_refused(make_app: Make, credentials: str) -> None:
    client = make_app(ADMIN_PASSWORD="correct horse").test_client()
    headers = {"Authorization": credentials}
    answer = client.get("/metrics", headers=headers, environ_overrides=ABROAD)
    assert answer.status_code == 401


def test_without_a_password_an_empty_one_opens_nothing(client: FlaskClient) -> None:
    answer = client.get("/metrics", auth=("admin", ""), environ_overrides=ABROAD)
    assert answer.status_code == 403


def test_the_answers_are_never_kept(client: FlaskClient) -> None:
    for path in ("/up", "/ready", "/metrics"):
        assert client.get(path).headers["Cache-Control"] == "no-store"


# The metrics


def test_metrics_tell_what_was_done_and_what_waits(app: Flask) -> None:
    gateway, client = gateway_of(app), app.test_client()
    received = {"provider": "sandbox", "outcome": "received"}
    before = metric(client.get("/metrics").text, "textbridge_webhooks_total", **received)
    leave_unrouted(gateway)
    quarantine_one(gateway)
    give_up_one(gateway)
    pause_carrier(gateway)
    page = client.get("/metrics").text
    assert metric(page, "textbridge_webhooks_total", **received) == before + 4
    assert metric(page, "textbridge_unrouted_numbers") == 2
    assert metric(page, "textbridge_quarantined") == 1
    assert metric(page, "textbridge_jobs", kind="email", state="dead") == 1
    assert metric(page, "textbridge_paused_destinations") == 1
    assert metric(page, "textbridge_check_ok", check="worker") == 1
    assert 0 <= metric(page, "textbridge_worker_silent_seconds") < 45
    assert metric(page, "textbridge_disk_free_bytes") > 0


def test_jobs_are_counted_until_they_are_done(app: Flask) -> None:
    gateway, client = gateway_of(app), app.test_client()
    gateway.settings.put({"number": NUMBER, "carrier": "sandbox", "emails": ["a@example.com"]})
    receive(gateway)
    gateway.store.write(lambda tx: tx.execute(text("UPDATE jobs SET due = due - 90")))
    page = client.get("/metrics").text
    assert metric(page, "textbridge_jobs", kind="email", state="due") == 1
    assert metric(page, "textbridge_oldest_due_seconds") >= 90
    claimed: list[jobs.Job] = []
    gateway.delivery.deliver("worker", lambda _: 1, claimed.append)
    page = client.get("/metrics").text
    assert metric(page, "textbridge_jobs", kind="email", state="leased") == 1
    gateway.store.write(lambda tx: jobs.done(tx, claimed[0]))
    assert 'kind="email",state=' not in client.get("/metrics").text


def test_metrics_without_a_database_still_tell_that(app: Flask, tmp_path: Path) -> None:
    destroy_database(app, tmp_path, pytest.MonkeyPatch())
    answer = app.test_client().get("/metrics")
    assert answer.status_code == 200
    assert 'textbridge_check_ok{check="database"} 0.0' in answer.text
    assert "textbridge_jobs{" not in answer.text


PARTIAL = {"jobs_lane", "jobs_dead", "jobs_due", "jobs_parked", "jobs_leased", "messages_unrouted"}


def test_a_look_at_the_metrics_never_reads_whole_tables(app: Flask) -> None:
    """A million messages must not make it slow."""
    engine = gateway_of(app).store.engine
    asked: list[tuple[str, Any]] = []

    def note(_c: Any, _k: Any, statement: str, parameters: Any, *_: Any) -> None:
        asked.append((statement, parameters))

    event.listen(engine, "before_cursor_execute", note)
    app.test_client().get("/metrics")
    event.remove(engine, "before_cursor_execute", note)
    looks = [
        (s, p) for s, p in asked if s.startswith("SELECT") and ("jobs" in s or "messages" in s)
    ]
    assert looks
    with engine.connect() as connection:
        for statement, parameters in looks:
            plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
            for step in (str(row[-1]) for row in plan):
                if step.startswith(("SCAN", "SEARCH")):
                    assert PARTIAL & set(step.split()), f"{step}: {statement}"


@pytest.mark.processes
def test_a_real_server_counts_what_all_its_processes_did(tmp_path: Path) -> None:
    """The web process takes the reply, the delivery worker sends it."""
    with running_server(tmp_path / "storage") as server:
        own_page = {"Sec-Fetch-Site": "same-origin"}
        session = requests.post(f"{server.url}/sandbox/session", json={}, headers=own_page).json()
        requests.post(
            f"{server.url}/api/v1/messages",
            json={"to": PEER, "text": "hi"},
            headers={"Authorization": f"Bearer {session['token']}"},
        ).raise_for_status()
        requests.post(f"{server.url}/webhook/sandbox/sms").close()

        def counted() -> str:
            page = requests.get(f"{server.url}/metrics").text
            sent = metric(page, "textbridge_jobs_total", kind="send", outcome="done")
            return page if sent else ""

        page = eventually(counted)
    assert metric(page, "textbridge_jobs_total", kind="send", outcome="done") == 1
    assert metric(page, "textbridge_webhooks_total", provider="sandbox", outcome="refused") == 1
    assert metric(page, "textbridge_check_ok", check="worker") == 1


def test_an_env_file_that_was_changed_later_is_a_warning(tmp_path: Path, app: Flask) -> None:
    file = tmp_path / "later.env"
    file.touch()
    gateway = gateway_of(app)
    for read_at, wanted in ((time.time() + 60, False), (time.time() - 60, True)):
        read = replace(gateway.environment, file=file, read_at=read_at)
        findings = ConfigFindings(read, gateway.settings)
        health = Health(
            gateway.store,
            gateway.settings,
            gateway.media,
            read,
            gateway.proxies,
            findings,
            gateway.mistakes,
        )
        assert ("env" in {warned.name for warned in health.warnings()}) is wanted


def test_a_bucket_that_is_unwell_is_a_warning_and_is_asked_once_a_minute(
    make_app: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    with S3Server() as server:
        server.broken = Fault(403, "InvalidAccessKeyId")
        client = make_app(**server.env).test_client()
        for _ in range(3):
            told: Any = client.get("/ready").json
            assert told["ready"] is True
            [warned] = told["warnings"]
            assert warned["name"] == "media"
            assert "MEDIA_S3_ACCESS_KEY" in warned["reason"]
        assert server.methods() == ["GET"]
        server.broken = None
        monkeypatch.setattr(bucket, "CHECK_SECONDS", -1.0)
        fixed: Any = client.get("/ready").json
        assert fixed["warnings"] == []


def test_the_look_at_the_database_writes_to_the_disk(make_app: Make, tmp_path: Path) -> None:
    """Or it would not see a disk that can be read only."""
    app = make_app()
    with gateway_of(app).store.engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    log = tmp_path / "textbridge.db-wal"
    assert log.stat().st_size == 0
    assert app.test_client().get("/ready").status_code == 200
    assert log.stat().st_size > 0
