"""Who calls: behind declared and undeclared proxies, for every list and limit."""

from collections.abc import Callable, Iterator, Mapping
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import pytest
import requests
from flask import Flask
from sqlalchemy import func, select

from app import create_app
from blueprints.client_address import CLIENT, caller
from services.gateway import Gateway
from services.operations import undeclared_proxies
from services.store import devices
from services.store.database.schema import sightings
from tests.conftest import NUMBER_ENTRY, settings_file
from tests.databases import add_tables
from tests.server import running_server
from tests.waiting import PATIENCE

PASSWORD = "correct horse"
LOCAL, STRANGER, OPERATOR = "127.0.0.1", "9.9.9.9", "8.8.4.4"
PROXY = [ip_network("127.0.0.1"), ip_network("10.0.0.0/24")]
Make = Callable[..., "Site"]


class Site:
    """A whole Textbridge, called from any address."""

    def __init__(self, app: Flask) -> None:
        self.app = app
        self.gateway: Gateway = app.extensions["gateway"]

    def get(
        self, path: str, peer: str = LOCAL, via: str = "", right: bool | None = None
    ) -> tuple[int, str]:
        """Ask for a page; ``via`` is X-Forwarded-For, ``right`` whether the password is."""
        auth = None if right is None else ("admin", PASSWORD if right else "wrong")
        headers = {CLIENT: via} if via else {}
        answer = self.app.test_client().get(
            path, headers=headers, auth=auth, environ_base={"REMOTE_ADDR": peer}
        )
        return answer.status_code, answer.text

    def sign_in(self, peer: str = LOCAL, via: str = "", *, right: bool = True) -> int:
        headers = {CLIENT: via} if via else {}
        data = {"password": PASSWORD if right else "wrong"}
        answer = self.app.test_client().post(
            "/admin/sign-in", data=data, headers=headers, environ_base={"REMOTE_ADDR": peer}
        )
        return answer.status_code

    def pair(self, code: str, peer: str = LOCAL, via: str = "") -> int:
        headers = {CLIENT: via} if via else {}
        asked = {"code": code, "device": {"name": "x"}}
        answer = self.app.test_client().post(
            "/api/v1/pair", json=asked, headers=headers, environ_base={"REMOTE_ADDR": peer}
        )
        return answer.status_code

    def warnings(self) -> list[str]:
        """What the page for this machine warns of about proxies."""
        told: Any = self.app.test_client().get("/ready").json
        return [each["reason"] for each in told["warnings"] if each["name"] == "proxy"]


@pytest.fixture
def make_site(tmp_path: Path) -> Iterator[Make]:
    opened: list[Gateway] = []

    def make(**env: str) -> Site:
        base = {"APP_ENV": "local", "STORAGE_PATH": str(tmp_path), "ADMIN_PASSWORD": PASSWORD}
        add_tables(tmp_path)
        site = Site(create_app({**base, **env}))
        opened.append(site.gateway)
        return site

    (tmp_path / "message_settings.json").write_text(settings_file(NUMBER_ENTRY), encoding="utf-8")
    yield make
    for gateway in opened:
        gateway.close()


# The decision


@pytest.mark.parametrize(
    ("peer", "headers", "address"),
    [
        ("192.0.2.1", {}, "192.0.2.1"),
        ("::ffff:192.0.2.1", {}, "192.0.2.1"),
        ("127.0.0.1", {}, "127.0.0.1"),
        ("127.0.0.1", {CLIENT: "192.0.2.1"}, "192.0.2.1"),
        ("::ffff:127.0.0.1", {CLIENT: "192.0.2.1"}, "192.0.2.1"),
        ("127.0.0.1", {CLIENT: "192.0.2.1:40122"}, "192.0.2.1"),
        ("127.0.0.1", {CLIENT: "::ffff:192.0.2.1"}, "192.0.2.1"),
        ("127.0.0.1", {CLIENT: "[2001:db8::1]:443"}, "2001:db8::1"),
        ("127.0.0.1", {CLIENT: "[2001:db8::1]"}, "2001:db8::1"),
        ("127.0.0.1", {CLIENT: "6.6.6.6, 192.0.2.1, 10.0.0.9:80"}, "192.0.2.1"),
        ("127.0.0.1", {CLIENT: "192.0.2.1, nonsense"}, None),
        ("127.0.0.1", {CLIENT: ""}, None),
        ("127.0.0.1", {CLIENT: "192.0.2.1,"}, None),
        ("127.0.0.1", {"X-Real-IP": "192.0.2.1"}, None),
        ("127.0.0.1", {"Forwarded": "for=192.0.2.1"}, None),
        ("203.0.113.9", {CLIENT: "192.0.2.1"}, None),
        ("203.0.113.9", {"X-Real-IP": "192.0.2.1"}, None),
        ("", {}, None),
        ("@", {CLIENT: "192.0.2.1"}, None),
    ],
)
def test_who_calls(peer: str, headers: Mapping[str, str], address: str | None) -> None:
    found = caller(peer, {name: [value] for name, value in headers.items()}, PROXY)
    assert found.address == (ip_address(address) if address else None)
    assert found.is_this_machine == (peer == "127.0.0.1" and not headers)


# An undeclared proxy


@pytest.mark.parametrize("header", ["X-Forwarded-For", "Forwarded", "X-Real-IP", "Via"])
def test_behind_an_undeclared_proxy_nobody_is_local(make_site: Make, header: str) -> None:
    site = make_site(ADMIN_ALLOW="127.0.0.1, ::1")
    client = site.app.test_client()
    headers = {header: "127.0.0.1"}
    refused = client.get("/admin/sign-in", headers=headers)
    assert refused.status_code == 403
    assert "TRUSTED_PROXIES" in refused.text
    assert client.get("/metrics", headers=headers, auth=("admin", PASSWORD)).status_code == 403
    assert "checks" not in client.get("/ready", headers=headers, auth=("admin", PASSWORD)).text
    assert site.get("/admin/sign-in")[0] == 200, "this machine itself is let in"


def test_an_undeclared_proxy_is_named_with_its_remedy(make_site: Make) -> None:
    site = make_site()
    assert site.warnings() == []
    site.get("/admin/sign-in", via=STRANGER)
    [warning] = site.warnings()
    assert "TRUSTED_PROXIES=127.0.0.1" in warning
    runner = site.app.test_cli_runner()
    assert "TRUSTED_PROXIES=127.0.0.1" in runner.invoke(args=["status"]).output
    checked = runner.invoke(args=["config", "check"]).output
    assert "Warning: " in checked
    assert "TRUSTED_PROXIES=127.0.0.1" in checked
    browser = site.app.test_client()
    browser.post("/admin/sign-in", data={"password": PASSWORD})
    assert "TRUSTED_PROXIES=127.0.0.1" in browser.get("/admin/").text
    assert make_site(TRUSTED_PROXIES="127.0.0.1").warnings() == [], "it is declared now"


def test_a_header_that_a_stranger_made_up_is_only_a_warning(make_site: Make) -> None:
    site = make_site()
    exit_code = site.app.test_cli_runner().invoke(args=["config", "check"]).exit_code
    ready = site.get("/ready")[0]
    for n in range(30):
        site.get("/admin/sign-in", peer=f"9.9.9.{n}", via=f"1.2.3.{n}")
        site.get("/ready", peer=f"9.9.9.{n}", via=f"1.2.3.{n}")
    [warning] = site.warnings()
    assert "9.9.9.0" in warning
    assert "there is nothing to do" in warning
    assert site.get("/ready")[0] == ready
    assert site.app.test_cli_runner().invoke(args=["config", "check"]).exit_code == exit_code
    count = select(func.count()).select_from(sightings)
    assert site.gateway.store.read(lambda tx: tx.execute(count).scalar_one()) == 1


def test_a_declared_proxy_that_does_not_say_who_calls_is_named(make_site: Make) -> None:
    site = make_site(TRUSTED_PROXIES="127.0.0.1", ADMIN_ALLOW="127.0.0.1")
    answer = site.app.test_client().get("/admin/sign-in", headers={"X-Real-IP": "127.0.0.1"})
    assert answer.status_code == 403
    assert "X-Forwarded-For" in site.warnings()[0]


def test_an_old_sighting_is_no_warning(make_site: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    site = make_site()
    site.get("/admin/sign-in", via=STRANGER)
    monkeypatch.setattr(undeclared_proxies, "SHOWN_SECONDS", -1.0)
    assert site.warnings() == []


def test_behind_an_undeclared_proxy_strangers_do_not_use_up_the_attempts_of_this_machine(
    make_site: Make,
) -> None:
    site = make_site()
    for n in range(30):
        site.sign_in(via=f"9.9.9.{n}", right=False)
    assert site.sign_in(right=False) == 403
    assert site.sign_in() == 303


def test_behind_an_undeclared_proxy_wrong_codes_do_not_keep_new_phones_out(
    make_site: Make,
) -> None:
    site = make_site()
    assert {site.pair("ABCD-2345", via=STRANGER) for _ in range(30)} == {403}
    code = site.gateway.store.write(lambda tx: devices.add_pairing(tx, "201"))
    assert site.pair(code, via=OPERATOR) == 201


def test_behind_a_declared_proxy_strangers_wait_for_themselves(make_site: Make) -> None:
    site = make_site(TRUSTED_PROXIES="127.0.0.1")
    assert [site.pair("ABCD-2345", via=f"{STRANGER}:{n}") for n in range(6)] == [403] * 5 + [429]
    code = site.gateway.store.write(lambda tx: devices.add_pairing(tx, "201"))
    assert site.pair(code, via=OPERATOR) == 201


# What ADMIN_ALLOW covers


def test_the_allow_list_covers_metrics_and_the_details_of_ready(make_site: Make) -> None:
    site = make_site(ADMIN_ALLOW=OPERATOR)
    status, words = site.get("/metrics", peer=STRANGER, right=True)
    assert status == 403
    assert "ADMIN_ALLOW" in words
    assert "checks" not in site.get("/ready", peer=STRANGER, right=True)[1]
    assert site.get("/metrics", peer=OPERATOR, right=True)[0] == 200
    assert "checks" in site.get("/ready", peer=OPERATOR, right=True)[1]
    assert site.get("/metrics")[0] == 200, "this machine"


def test_strangers_do_not_use_up_the_attempts_of_an_allowed_address(make_site: Make) -> None:
    site = make_site(ADMIN_ALLOW=f"{OPERATOR}, 8.8.8.0/24")
    for n in range(70):
        site.get("/metrics", peer=f"9.9.9.{n}", right=False)
        site.get("/ready", peer=f"9.9.9.{n}", right=False)
        site.get("/metrics", peer=f"8.8.8.{n}", right=False)
    assert site.sign_in(OPERATOR) == 303


def test_a_script_with_an_old_password_locks_no_allowed_address(make_site: Make) -> None:
    site = make_site(ADMIN_ALLOW=OPERATOR)
    told = [site.get("/metrics", peer=OPERATOR, right=False)[0] for _ in range(7)]
    assert told == [401] * 5 + [429] * 2, "its own attempts are limited"
    assert site.sign_in(OPERATOR) == 303


def test_a_lock_for_all_never_holds_out_a_known_address(make_site: Make, tmp_path: Path) -> None:
    assert make_site().sign_in(OPERATOR) == 303
    restarted = make_site()
    for n in range(30):
        restarted.sign_in(f"9.9.9.{n}", right=False)
    assert restarted.sign_in("9.9.8.1") == 429
    assert restarted.sign_in(OPERATOR) == 303


# The address that the server listens on


@pytest.mark.parametrize(
    ("host", "bind", "local"),
    [
        ("127.0.0.1", "127.0.0.1:8000", "http://127.0.0.1:8000"),
        ("0.0.0.0", "0.0.0.0:8000", "http://127.0.0.1:8000"),
        ("::", "[::]:8000", "http://[::1]:8000"),
        ("[::]", "[::]:8000", "http://[::1]:8000"),
        ("::1", "[::1]:8000", "http://[::1]:8000"),
    ],
)
def test_where_the_server_listens(make_site: Make, host: str, bind: str, local: str) -> None:
    environment = make_site(HOST=host).gateway.environment
    assert (environment.bind, environment.local_url) == (bind, local)


@pytest.mark.processes
@pytest.mark.parametrize("host", ["::", "[::]"])
def test_a_server_for_both_families_knows_this_machine(tmp_path: Path, host: str) -> None:
    with running_server(tmp_path, {"HOST": host}) as server:
        for name in ("127.0.0.1", "[::1]"):
            address = f"http://{name}:{server.port}"
            assert requests.get(f"{address}/metrics", timeout=PATIENCE).status_code == 200
