"""``flask doctor`` with a real nginx in front of a running server, well and badly configured."""

import json
import shutil
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from services.gateway import Gateway, load_environment
from services.operations.doctor.diagnosis import Diagnosis, State
from services.operations.doctor.network import Network
from services.store import carrier_events, inbox
from services.store.carrier_events import CarrierEventKind
from tests.cli.conftest import BANDWIDTH, Terminal
from tests.postgres import free_port
from tests.server import Server, running_server
from tests.tls_server import trusted
from torture.proxy import HOST, Nginx

pytestmark = pytest.mark.skipif(shutil.which("nginx") is None, reason="nginx is not installed.")

ENV = {
    **BANDWIDTH,
    "APP_ENV": "production",
    "APP_URL": f"https://{HOST}",
    "ADMIN_PASSWORD": "operator-of-the-tests",
    "TRUSTED_PROXIES": "127.0.0.1",
    "TWILIO_ACCOUNT_SID": "AC" + "0" * 32,
    "TWILIO_AUTH_TOKEN": "0123456789abcdef0123456789abcdef",
    "APIDAZE_API_KEY": "a-key-of-the-tests",
    "APIDAZE_API_SECRET": "a-secret-of-the-tests",
}
PUBLIC = "9.9.9.9"  # a label: nothing connects there
Change = Callable[[str], str]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running_server(tmp_path_factory.mktemp("doctor") / "storage", ENV) as running:
        yield running


@pytest.fixture
def gateway(server: Server) -> Iterator[Gateway]:
    """The command's side: the same installation in another process."""
    opened = Gateway(load_environment(server.env))
    yield opened
    opened.close()


@pytest.fixture
def look(
    server: Server, gateway: Gateway, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., dict[str, Diagnosis]]:
    """Look at APP_URL, whose nginx is configured with a change; returns the lines by name."""

    def run(
        change: Change = lambda written: written, days_left: float = 60.0
    ) -> dict[str, Diagnosis]:
        nginx = Nginx(tmp_path / "nginx", server, change, days_left)
        with nginx, trusted(nginx.certificate, monkeypatch):
            doctor = gateway.doctor(network(nginx))
            return {each.name: each for each in doctor._outside(stream_seconds=2)}

    return run


def network(nginx: Nginx) -> Network:
    """The public name leads to this nginx."""
    ports = {443: nginx.port, 80: nginx.plain_port}

    def connect(host: str, port: int, seconds: float) -> socket.socket:
        assert host in (HOST, PUBLIC)
        address = ("127.0.0.1", ports.get(port, port))
        # As from this machine's public address: not from that of the proxy.
        return socket.create_connection(address, seconds, ("127.0.0.3", 0))

    return Network(lambda host: [PUBLIC], lambda: [PUBLIC], connect)


def test_the_documented_nginx_is_well_and_nothing_is_stored(
    look: Callable[..., dict[str, Diagnosis]], gateway: Gateway
) -> None:
    found = look()
    assert {each.state for each in found.values()} == {State.OK}, found
    assert set(found) == {
        *("dns", "connection", "certificate", "redirect", "reached", "proxy", "body", "stream"),
        *("webhook:bandwidth", "webhook:twilio", "webhook:voipinnovations"),
    }
    assert "this call came from 127.0.0.3" in found["proxy"].reason
    assert gateway.store.read(inbox.count) == 0
    for name in gateway.providers:
        seen = gateway.store.read(lambda tx, name=name: carrier_events.of(tx, name))
        assert not seen.keys() & {CarrierEventKind.REFUSED, CarrierEventKind.WEBHOOK}
    assert gateway.proxies.warnings() == []


def replaced(old: str, new: str) -> Change:
    def change(written: str) -> str:
        assert old in written
        return written.replace(old, new)

    return change


FORWARDED = "proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;"
BELIEVING = (
    "set $by $remote_addr; if ($http_x_forwarded_for) { set $by $http_x_forwarded_for; } "
    "proxy_set_header X-Forwarded-For $by;"
)
TO_HTTPS = "location / { return 301"
HOST_HEADER = "proxy_set_header Host $host;"
PASS = "location / {\n        proxy_pass"
FAULTS = {
    "uploads of 1 MB": (
        replaced("client_max_body_size 26m;", ""),
        "body",
        State.BROKEN,
        "refuses uploads of 4 MB (413)",
        "client_max_body_size 26m",
    ),
    "films refused": (
        replaced("client_max_body_size 26m;", "client_max_body_size 10m;"),
        "body",
        State.WARNING,
        "refuses uploads of 25 MB (413)",
        "client_max_body_size 26m",
    ),
    "webhooks of pictures cut": (
        replaced("client_max_body_size 10m;", "client_max_body_size 1m;"),
        "webhook:voipinnovations",
        State.BROKEN,
        "(413)",
        "client_max_body_size",
    ),
    "stream held back": (
        replaced(PASS, "proxy_ignore_headers X-Accel-Buffering;\n" + PASS),
        "stream",
        State.BROKEN,
        "holds live streams back",
        "proxy_buffering off",
    ),
    "stream cut off": (
        replaced("proxy_read_timeout 75s;", "proxy_read_timeout 1s;"),
        "stream",
        State.BROKEN,
        "is cut off within 2 seconds of silence",
        "proxy_read_timeout 75s",
    ),
    "callers not told": (
        replaced(FORWARDED, ""),
        "proxy",
        State.BROKEN,
        "does not say in X-Forwarded-For who calls",
        "",
    ),
    "callers believed": (
        replaced(FORWARDED, BELIEVING),
        "proxy",
        State.BROKEN,
        "Every caller can claim any address",
        "$proxy_add_x_forwarded_for",
    ),
    "signature not passed on": (
        replaced(HOST_HEADER, f'{HOST_HEADER} proxy_set_header X-Twilio-Signature "";'),
        "webhook:twilio",
        State.BROKEN,
        "refuses a call with the right secret (401)",
        "as they are",
    ),
    "password in front": (
        replaced(PASS, "location /probe { return 401; }\n" + PASS),
        "reached",
        State.BROKEN,
        "refuses calls (401)",
        "ask for no password",
    ),
    "www": (
        replaced(
            PASS, f"location /probe {{ return 301 https://www.{HOST}$request_uri; }}\n" + PASS
        ),
        "reached",
        State.BROKEN,
        f"redirects calls to https://www.{HOST}; carriers do not follow",
        f"Set APP_URL=https://www.{HOST} in .env",
    ),
    "slash added": (
        replaced(PASS, "rewrite ^([^.]*[^/])$ $1/ permanent;\n" + PASS),
        "reached",
        State.BROKEN,
        "carriers do not follow",
        "Remove this redirect",
    ),
    "another site": (
        replaced(PASS, "location /probe { return 200 hello; }\n" + PASS),
        "reached",
        State.BROKEN,
        "Another program, or another installation, answers",
        "as in docs/deploy.md",
    ),
    "plain http": (
        replaced(TO_HTTPS, f"location /up {{ return 200; }} {TO_HTTPS}"),
        "redirect",
        State.WARNING,
        f"http://{HOST} answers without encryption",
        "return 301",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_of_the_web_server_has_a_line_with_its_remedy(
    look: Callable[..., dict[str, Diagnosis]], fault: str
) -> None:
    change, name, state, words, remedy = FAULTS[fault]
    found = look(change)[name]
    assert (found.state, words in found.reason) == (state, True), found
    assert remedy in found.remedy


def test_nothing_secret_is_sent_where_the_certificate_is_not_accepted(
    look: Callable[..., dict[str, Diagnosis]],
) -> None:
    found = look(days_left=-1)
    assert found["certificate"].state is State.BROKEN
    assert "expired on" in found["certificate"].reason
    assert set(found) == {"dns", "connection", "certificate"}


def test_a_server_that_is_down_is_told_from_a_proxy_that_is(
    gateway: Gateway, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = free_port()
    elsewhere = replaced(f"{server.url};", f"http://127.0.0.1:{port};")
    nginx = Nginx(tmp_path / "nginx", server, elsewhere)
    with nginx, trusted(nginx.certificate, monkeypatch):
        lines = {each.name: each for each in gateway.doctor(network(nginx)).public.look()}
    assert "does not reach Textbridge (502)" in lines["reached"].reason
    assert gateway.environment.local_url in lines["reached"].remedy


def test_the_command_has_a_line_for_everything(
    gateway: Gateway, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(type(gateway.credential_checks), "carriers", lambda self: {})
    nginx = Nginx(tmp_path / "nginx", server)
    with nginx, trusted(nginx.certificate, monkeypatch):
        doctor = gateway.doctor(network(nginx))
        monkeypatch.setattr(gateway, "doctor", lambda: doctor)
        terminal = Terminal(gateway)
        report = terminal.json("doctor", "--stream-seconds", "2")
        shown = terminal.flask("doctor", "--stream-seconds", "2").stdout
    names = {each["name"] for each in report["lines"]}
    assert {"dns", "certificate", "database", "schema", "disk", "worker", "settings"} < names
    assert report["ok"] is True, json.dumps(report["lines"], indent=1)
    assert "ok       A delivery worker runs." in shown
    assert "0 broken" in shown
