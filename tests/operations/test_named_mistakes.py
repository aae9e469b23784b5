"""Mistakes of the set-up: each is named alike by ``flask status``, ``/ready`` and the start page.

One row each. What makes the configuration unusable is named by the start itself instead, and a
second server on a storage folder by its own start (tests/e2e/test_process.py).
"""

import json
import os
import re
import shutil
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from app import create_app
from services.core.errors import ConfigError, DeliveryError, Kind, SendError
from services.gateway import Gateway, load_environment
from services.mail.smtp_errors import connection_error
from services.messaging.compose import Reply
from services.operations import housekeeping, stray_webhooks
from services.providers.twilio.errors import TABLE as TWILIO
from services.store import devices, sightings, workers
from services.store.database import clock
from services.store.sightings import Subject
from tests.admin.conftest import PASSWORD, Operator, plain
from tests.conftest import NUMBER, NUMBER_ENTRY, PEER, settings_file
from tests.databases import add_tables
from tests.fakes.serving import QuietServer, Serving
from tests.message_steps import PHONE, failing, make_due, receive_text, run_due_jobs
from tests.tls_server import TlsServer, trusted

BANDWIDTH = {
    "BANDWIDTH_ACCOUNT_ID": "9900001",
    "BANDWIDTH_API_TOKEN": "a-client-id-of-the-tests",
    "BANDWIDTH_API_SECRET": "a-client-secret-of-the-tests",
    "BANDWIDTH_APPLICATION_ID": "0b1c2d3e-4f50-4a6b-8c7d-9e0f1a2b3c4d",
}
TWILIO_IDS = {
    "TWILIO_ACCOUNT_SID": "AC" + "0" * 32,
    "TWILIO_AUTH_TOKEN": "0123456789abcdef0123456789abcdef",
}
LOCAL = {"APP_ENV": "local", "APP_KEY": "a key of the tests, long enough"}
MAIL = {"MAIL_HOST": "127.0.0.1", "MAIL_FROM_ADDRESS": "texts@example.com"}
MAILED = {"number": NUMBER, "carrier": "sandbox", "emails": ["desk@example.com"]}


class Place:
    """An installation of one number and one phone, in a folder of its own."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder, self.monkeypatch = folder, monkeypatch
        self.opened: list[Gateway] = []

    def open(self, entry: dict[str, Any] = NUMBER_ENTRY, **env: str) -> Gateway:
        (self.folder / "message_settings.json").write_text(settings_file(entry), "utf-8")
        given = {"APP_ENV": "local", "ADMIN_PASSWORD": PASSWORD, "STORAGE_PATH": str(self.folder)}
        add_tables(self.folder)
        self.operator = Operator(create_app(given | env))
        self.gateway = self.operator.gateway
        self.opened.append(self.gateway)
        self.gateway.store.write(lambda tx: workers.beat(tx, "w", clock.now(tx)))
        return self.gateway

    def pair(self) -> str:
        added, _ = self.gateway.store.write(lambda tx: devices.add(tx, "201", "Phone"))
        return added.id

    def told(self) -> list[str]:
        """What each of the three places says."""
        ready = self.operator.app.test_client().get("/ready")
        self.status = ready.status_code
        listed = [
            each["reason"]
            for each in ready.get_json()["warnings"]
            + [one for one in ready.get_json()["checks"] if not one["ok"]]
        ]
        shown = self.operator.app.test_cli_runner().invoke(args=["status", "--json"]).stdout
        if not self.operator.client.get_cookie("textbridge"):
            self.operator.sign_in()
        return [" ".join(listed), shown, plain(self.operator.get("/"))]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    place = Place(tmp_path, monkeypatch)
    yield place
    for gateway in place.opened:
        gateway.close()


# Each makes a mistake, and returns words of the sentence that names it.


def webhook_without_token(place: Place) -> str:
    place.open()
    call = {"json": {"id": "1", "from": PEER, "to": NUMBER, "text": "hi"}}
    assert place.operator.app.test_client().post("/webhook/sandbox/sms", **call).status_code == 401
    return "A call of the webhook of Sandbox was refused."


def carrier_not_in_allow_list(place: Place) -> str:
    place.open(
        {**NUMBER_ENTRY, "carrier": "bandwidth"}, **BANDWIDTH, BANDWIDTH_WEBHOOK_ALLOW="192.0.2.1"
    )
    token = place.gateway.providers["bandwidth"].webhook_token
    client = place.operator.app.test_client()
    assert client.post(f"/webhook/bandwidth/sms?token={token}", json=[]).status_code == 401
    return "127.0.0.1 may not call this webhook."


def number_at_the_wrong_carrier(place: Place) -> str:
    gateway = place.open()
    place.pair()
    gateway.providers["sandbox"].causes = TWILIO.causes  # type: ignore[misc]
    failing(gateway, SendError("Your number is not of this account.", Kind.REFUSED, code="21606"))
    gateway.composer.submit(PHONE, Reply("hi", to=(PEER,)))
    run_due_jobs(gateway)
    return "Sandbox refused the last text because of the number that sent it"


def misspelt_variable(place: Place) -> str:
    place.open(TRUSTED_PROXY="10.0.0.1")
    return "Is it TRUSTED_PROXIES?"


def swapped_ids(place: Place) -> str:
    account, application = BANDWIDTH["BANDWIDTH_ACCOUNT_ID"], BANDWIDTH["BANDWIDTH_APPLICATION_ID"]
    swapped = {"BANDWIDTH_ACCOUNT_ID": application, "BANDWIDTH_APPLICATION_ID": account}
    place.open(**{**BANDWIDTH, **swapped})
    return "has the form of an application's ID."


def extension_without_device(place: Place) -> str:
    receive_text(place.open())
    return f"Nobody is notified of texts to {NUMBER}"


def mail_port(place: Place) -> str:
    place.open(**MAIL, MAIL_PORT="465", MAIL_ENCRYPTION="tls")
    return "port 465 is encrypted from the first byte"


def retried(place: Place, error: DeliveryError) -> None:
    """Let every mail of a text fail twice with an error."""
    gateway = place.open(MAILED, **MAIL)

    def fail(*_: object) -> None:
        raise error

    place.monkeypatch.setattr(gateway.mailer, "send", fail)
    receive_text(gateway)
    for _ in range(2):
        make_due(gateway)
        run_due_jobs(gateway)


def port_25_closed(place: Place) -> str:
    gateway = place.open(MAILED, **MAIL, MAIL_PORT="1")
    receive_text(gateway)
    for _ in range(2):
        run_due_jobs(gateway)
        make_due(gateway)
    return "1 delivery to email failed and will be tried again"


def no_dns(place: Place) -> str:
    gateway = place.open(MAILED, **{**MAIL, "MAIL_HOST": "no-such-host.invalid"})
    receive_text(gateway)
    for _ in range(2):
        run_due_jobs(gateway)
        make_due(gateway)
    return "The mail server no-such-host.invalid was not reached"


def certificate_expired(place: Place) -> str:
    error = ssl.SSLCertVerificationError()
    error.verify_message = "certificate has expired"
    retried(place, connection_error(error, "The mail server"))
    return "Nothing goes to email until its settings are fixed"


def own_certificate_expired(place: Place) -> str:
    with TlsServer(place.folder / "tls", days_left=-2) as server:
        gateway = place.open(APP_URL=server.url)
        place.pair()
        with trusted(server.certificate, place.monkeypatch):
            gateway.own_certificate.check()
    return "The certificate of localhost expired on"


def own_certificate_near_its_end(place: Place) -> str:
    with TlsServer(place.folder / "tls", days_left=9.5) as server:
        gateway = place.open(APP_URL=server.url)
        place.pair()
        with trusted(server.certificate, place.monkeypatch):
            gateway.own_certificate.check()
    return "The certificate of localhost ends in 9 days"


def own_name_without_dns(place: Place) -> str:
    gateway = place.open(APP_URL="https://no-such-host.invalid")
    place.pair()
    with place.monkeypatch.context() as patch:
        patch.setattr(socket, "getaddrinfo", unknown_name)
        gateway.own_name.check()
    return "The name no-such-host.invalid cannot be resolved"


def unknown_name(*_: object, **__: object) -> None:
    raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")


class DateServer(Serving):
    """A server whose Date is ten minutes behind ours."""

    def __init__(self) -> None:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response_only(200)
                then = datetime.now(UTC) - timedelta(minutes=10)
                self.send_header("date", format_datetime(then, usegmt=True))
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = QuietServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/"


def clock_is_wrong(place: Place) -> str:
    gateway = place.open()
    with DateServer() as server:
        gateway.http.request("GET", server.url)
    housekeeping.note_clock(gateway.store, gateway.http)
    return "seconds ahead of that of the carriers"


class DiskUsage(NamedTuple):
    total: int
    used: int
    free: int


def disk_nearly_full(place: Place) -> str:
    place.open()
    usage = DiskUsage(10**10, 10**10 - 200_000_000, 200_000_000)
    place.monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    return "Only 200 MB are free in the storage folder"


def dead_subscription(place: Place) -> str:
    gateway = place.open()
    phone = place.pair()
    gateway.store.write(lambda tx: devices.forget_address(tx, phone, "The app was removed."))
    return "“Phone” of 201 get no notifications any more: The app was removed."


def env_not_read_again(place: Place) -> str:
    file = place.folder / ".env"
    file.write_text("", "utf-8")
    file.chmod(0o600)
    later = time.time() + 60
    os.utime(file, (later, later))
    place.open(ENV_FILE=str(file))
    return "was changed after the running server read it."


def json_broken(place: Place) -> str:
    place.open()
    (place.folder / "message_settings.json").write_text('{"version": 1,\n "numbers": [', "utf-8")
    return "line 2, column"


def country_missing(place: Place) -> str:
    place.open({**NUMBER_ENTRY, "number": "+442071838750"})
    return "Set DEFAULT_COUNTRY=GB."


def proxy_undeclared(place: Place) -> str:
    place.open()
    client = place.operator.app.test_client()
    client.get("/up", headers={"X-Forwarded-For": "192.0.2.7"})
    client.get("/ready", headers={"X-Forwarded-For": "192.0.2.7"})
    return "that TRUSTED_PROXIES does not name"


def carrier_off(place: Place) -> str:
    place.open()
    client = place.operator.app.test_client()
    assert client.post("/webhook/wavix/sms?token=secret", json={}).status_code == 404
    return "/webhook/wavix/sms was called, and Wavix is not configured."


def path_misspelt(place: Place) -> str:
    place.open({**NUMBER_ENTRY, "carrier": "bandwidth"}, **BANDWIDTH)
    client = place.operator.app.test_client()
    assert client.post("/webhook/bandwith/sms", json=[]).status_code == 404
    return "/webhook/bandwith/sms was called, which is not the address of Bandwidth."


# The mistake, the status of /ready, words of the remedy, and the button that has its place on the
# start page, if there is one.
MISTAKES: list[tuple[Callable[[Place], str], int, str, str]] = [
    (webhook_without_token, 200, "enter there the address that", ""),
    (carrier_not_in_allow_list, 200, "add it to BANDWIDTH_WEBHOOK_ALLOW in .env.", ""),
    (number_at_the_wrong_carrier, 200, "correct the carrier in Message Settings", ""),
    (misspelt_variable, 200, "Write TRUSTED_PROXIES, or remove the line.", ""),
    (swapped_ids, 200, "Write the account's number", ""),
    (extension_without_device, 200, "devices pair 201", "Pair a phone"),
    (mail_port, 200, "Set it to ssl, or MAIL_PORT to 587.", ""),
    (port_25_closed, 200, "many networks let no program use port 25: take 587.", ""),
    (no_dns, 200, "Check MAIL_HOST", ""),
    (certificate_expired, 200, "Write MAIL_HOST as it stands in the certificate", ""),
    (own_certificate_expired, 200, "Renew it (certbot renew)", ""),
    (own_certificate_near_its_end, 200, "Renew it (certbot renew)", ""),
    (own_name_without_dns, 200, "Correct APP_URL in .env, or make an A record", ""),
    (clock_is_wrong, 200, "timedatectl set-ntp true", ""),
    (disk_nearly_full, 200, "Free space on it", ""),
    (dead_subscription, 200, "Open the app there and switch notifications on", ""),
    (env_not_read_again, 200, "config reload", ""),
    (json_broken, 503, "Fix the file first.", "Fix the file first. Open Message Settings"),
    (country_missing, 200, "Set DEFAULT_COUNTRY=GB.", ""),
    (proxy_undeclared, 200, "Set TRUSTED_PROXIES=127.0.0.1 in .env, then run", ""),
    (carrier_off, 200, "Set its variables in .env", ""),
    (path_misspelt, 200, "Enter there the one that", ""),
]


@pytest.mark.parametrize(
    ("make", "status", "remedy", "button"), MISTAKES, ids=[make.__name__ for make, *_ in MISTAKES]
)
def test_a_mistake_is_named_in_three_places_with_its_remedy(
    place: Place, make: Callable[[Place], str], status: int, remedy: str, button: str
) -> None:
    words = make(place)
    ready, command, page = place.told()
    shown = json.dumps(json.loads(command), ensure_ascii=False)
    for said in (words, remedy):
        assert said in ready
        assert said in shown
    assert words in page
    assert (button or remedy) in page
    assert place.status == status
    assert PEER not in ready


def test_without_a_mistake_nothing_is_named(place: Place) -> None:
    place.open()
    place.pair()
    receive_text(place.gateway)
    assert place.told()[0] == ""


# What the start itself names


def test_swapped_ids_of_twilio_are_named_by_the_start() -> None:
    sid, token = TWILIO_IDS["TWILIO_ACCOUNT_SID"], TWILIO_IDS["TWILIO_AUTH_TOKEN"]
    swapped = {"TWILIO_ACCOUNT_SID": token, "TWILIO_AUTH_TOKEN": sid}
    with pytest.raises(ConfigError, match="TWILIO_ACCOUNT_SID"):
        load_environment({**LOCAL, **swapped})


def test_a_space_at_the_end_of_a_value_does_nothing() -> None:
    spaced = {name: f" {value} " for name, value in TWILIO_IDS.items()}
    loaded: Any = load_environment({**LOCAL, **spaced}).carriers["twilio"]
    assert loaded.account_sid == TWILIO_IDS["TWILIO_ACCOUNT_SID"]
    assert loaded.auth_token == TWILIO_IDS["TWILIO_AUTH_TOKEN"]


# Calls of strangers


def test_a_stranger_cannot_fill_the_list_or_write_into_it(place: Place) -> None:
    place.open()
    client = place.operator.app.test_client()
    for count in range(300):
        client.post(f"/webhook/{count}-{'x' * count}/sms?token=a-secret")
    client.post("/webhook/<script>alert(1)</script>/\u202esms/\x1b[2J")
    client.post("/webhook/bandwidth/my-secret1/sms")
    for name in ("twilio", "twillio", "bandwidth", "wavix", "voipms", "telnyx", "apidaze"):
        client.get(f"/webhook/{name}/{'y' * 500}/sms")
    rows = place.gateway.store.read(lambda tx: sightings.of(tx, Subject.WEBHOOK))
    assert len(rows) <= len(stray_webhooks.NAMES) + 1
    for row in rows:
        assert len(row.text) < 100
        assert re.fullmatch(r"[/a-z0-9?._…-]+", row.text), row.text
        assert "secret" not in row.text
    told = place.told()
    assert place.status == 200
    assert "<script>alert(1)" not in place.operator.get("/")
    assert "y" * 30 not in told[0]


def test_a_path_of_another_program_is_no_webhook(place: Place) -> None:
    place.open()
    place.pair()
    client = place.operator.app.test_client()
    for path in ("/wp-login.php", "/.env", "/", "/api/v2/x", "/favicon.ico"):
        client.get(path)
    assert place.told()[0] == ""


def test_a_known_path_with_another_method_is_no_stray(place: Place) -> None:
    place.open()
    place.pair()
    assert place.operator.app.test_client().put("/webhook/sandbox/sms").status_code == 405
    assert place.told()[0] == ""


def test_a_carrier_that_was_configured_since_is_named_no_more(place: Place) -> None:
    place.open()
    place.pair()
    place.operator.app.test_client().post("/webhook/bandwidth/sms")
    assert "Bandwidth is not configured" in place.told()[0]
    place.open({**NUMBER_ENTRY, "carrier": "bandwidth"}, **BANDWIDTH)
    assert "was called" not in place.told()[0]


def test_an_authentic_call_ends_the_warning_of_a_refused_one(place: Place) -> None:
    gateway = place.open()
    place.pair()
    assert place.operator.app.test_client().post("/webhook/sandbox/sms").status_code == 401
    assert "was refused" in place.told()[0]
    receive_text(gateway)
    assert place.told()[0] == ""


def test_a_clock_that_was_set_is_named_no_more(place: Place) -> None:
    clock_is_wrong(place)
    place.pair()
    assert place.told()[0]
    place.gateway.http.clock_ahead = 0.4
    housekeeping.note_clock(place.gateway.store, place.gateway.http)
    assert place.told()[0] == ""
