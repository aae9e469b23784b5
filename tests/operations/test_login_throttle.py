"""Login throttle: wrong passwords, codes and tokens make their address wait; right ones do not."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import func, select
from werkzeug.test import TestResponse

from app import create_app
from services.core.errors import RequestRefused, StorageUnwell
from services.gateway import Gateway
from services.operations.admin_auth import AdminAuth
from services.operations.housekeeping import remove_leftovers
from services.operations.login_throttle import PASSWORD, Attempts, LoginThrottle
from services.store import devices
from services.store.database import clock
from services.store.database.schema import allowances
from services.store.database.store import Store
from tests.conftest import NUMBER_ENTRY, settings_file
from tests.databases import add_tables

SECRET = "correct horse"
HERE = "192.0.2.1"


class Clock:
    """The clock of the database, moved by hand."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1_800_000_000.0
        monkeypatch.setattr(clock, "now", lambda _: self.now)


@pytest.fixture
def moved(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


@pytest.fixture
def stores(database: str, tmp_path: Path) -> Iterator[list[Store]]:
    """Two processes' ways to one database."""
    opened = [Store(database or None, tmp_path) for _ in range(2)]
    opened[0].migrate()
    yield opened
    for store in opened:
        store.close()


def guess(operator: AdminAuth, password: str = "wrong", address: str = HERE) -> bool | float:
    """Whether it was right, or how long to wait."""
    try:
        return operator.admits(password, address)
    except RequestRefused as error:
        return error.retry_after or 0.0


def rows(store: Store) -> int:
    count = select(func.count()).select_from(allowances)
    return store.read(lambda tx: tx.execute(count).scalar_one())


# The operator's password


def test_of_a_thousand_guesses_in_a_minute_at_most_ten_are_looked_at(
    stores: list[Store], monkeypatch: pytest.MonkeyPatch
) -> None:
    """By two processes, from one address and from a thousand."""
    looked: list[str] = []
    is_right = AdminAuth._is_right

    def noted(self: AdminAuth, password: str) -> bool:
        looked.append(password)
        return is_right(self, password)

    monkeypatch.setattr(AdminAuth, "_is_right", noted)
    operators = [AdminAuth(LoginThrottle(store, PASSWORD), SECRET) for store in stores]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: guess(operators[n % 2]), range(500)))
        assert len(looked) == 5
        abroad = (f"198.51.{n // 250}.{n % 250}" for n in range(500))
        list(pool.map(lambda address: guess(operators[0], address=address), abroad))
    assert len(looked) == 10
    assert rows(stores[0]) <= 3 * 11 + 2, "nothing is written of those that are not looked at"


def test_the_wait_grows_and_the_right_password_ends_it(stores: list[Store], moved: Clock) -> None:
    operator, after_a_restart = (
        AdminAuth(LoginThrottle(stores[0], PASSWORD), SECRET),
        AdminAuth(LoginThrottle(stores[1], PASSWORD), SECRET),
    )
    assert [guess(operator) for _ in range(5)] == [False] * 5
    assert guess(operator, SECRET) == 60.0, "also the right one has to wait"
    assert guess(after_a_restart, SECRET) == 60.0
    moved.now += 61
    assert [guess(operator) for _ in range(5)] == [False] * 5
    assert guess(operator) == 3600.0 - 61
    moved.now += 3600
    assert [guess(operator) for _ in range(5)] == [False] * 5
    moved.now += 61
    assert [guess(operator) for _ in range(5)] == [False] * 5
    moved.now += 3600
    assert float(guess(operator)) > 70_000
    moved.now += 86_400
    assert guess(operator, SECRET) is True
    assert [guess(AdminAuth(LoginThrottle(stores[0], PASSWORD), SECRET)) for _ in range(5)] == [
        False
    ] * 5


def test_wrong_passwords_of_others_delay_neither_a_known_address_nor_this_machine(
    stores: list[Store], moved: Clock
) -> None:
    operator = AdminAuth(LoginThrottle(stores[0], PASSWORD), SECRET)
    assert guess(operator, SECRET, "203.0.113.5") is True
    for n in range(20):
        guess(operator, address=f"198.51.100.{n}")
    assert guess(operator, SECRET) == 60.0
    assert guess(operator, SECRET, "203.0.113.5") is True
    assert guess(operator, SECRET, "127.0.0.1") is True
    assert guess(operator, SECRET, "::1") is True
    assert guess(operator, "wrong", "203.0.113.5") is False, "a mistake does not make it unknown"
    assert guess(operator, SECRET, "203.0.113.5") is True


def test_who_was_right_costs_no_write(stores: list[Store], monkeypatch: pytest.MonkeyPatch) -> None:
    operator = AdminAuth(LoginThrottle(stores[0], PASSWORD), SECRET)
    assert operator.admits(SECRET, HERE)

    def refuse(_: object) -> None:
        raise StorageUnwell("The disk is full.")

    monkeypatch.setattr(stores[0], "write", refuse)
    assert operator.admits(SECRET, HERE)
    with pytest.raises(StorageUnwell):
        operator.admits(SECRET, "192.0.2.2")


def test_without_a_password_nobody_is_the_operator(stores: list[Store]) -> None:
    assert not AdminAuth(LoginThrottle(stores[0], PASSWORD), None).admits("", HERE)
    assert not AdminAuth(LoginThrottle(stores[0], PASSWORD), "").admits("", HERE)


@pytest.mark.parametrize(
    ("first", "second", "one"),
    [
        ("192.0.2.1", "192.0.2.2", False),
        ("192.0.2.1", "::ffff:192.0.2.1", True),
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", True),
        ("2001:db8:1:2::1", "2001:db8:1:3::1", False),
        ("no address", "another " * 1000, True),
        ("fe80::1%eth0", "fe80::1", True),
    ],
)
def test_what_counts_as_one_address(
    stores: list[Store], first: str, second: str, one: bool
) -> None:
    single = Attempts("x", each=((1, 60.0),), all=())
    LoginThrottle(stores[0], single).spend(first)
    try:
        LoginThrottle(stores[1], single).spend(second)
        refused = False
    except RequestRefused:
        refused = True
    assert refused == one


# The endpoints


Make = Callable[..., Flask]


@pytest.fixture
def make_app(tmp_path: Path) -> Iterator[Make]:
    opened: list[Gateway] = []

    def make(**env: str) -> Flask:
        base = {"APP_ENV": "local", "STORAGE_PATH": str(tmp_path), "ADMIN_PASSWORD": SECRET}
        add_tables(tmp_path)
        app = create_app({**base, **env})
        opened.append(app.extensions["gateway"])
        return app

    (tmp_path / "message_settings.json").write_text(settings_file(NUMBER_ENTRY), encoding="utf-8")
    yield make
    for gateway in opened:
        gateway.close()


def try_status(
    app: Flask, sign_in: str, *, peer: str = HERE, right: bool = False, **options: str
) -> int:
    return try_sign_in(app, sign_in, peer=peer, right=right, **options).status_code


def try_sign_in(
    app: Flask, sign_in: str, *, peer: str = HERE, right: bool = False, forwarded: str = ""
) -> TestResponse:
    """Try a password or code at ``admin``, ``metrics`` or ``pair``."""
    headers = {"X-Forwarded-For": forwarded} if forwarded else {}
    here = {"REMOTE_ADDR": peer}
    password = SECRET if right else "wrong"
    client = app.test_client()
    if sign_in == "admin":
        data = {"password": password}
        return client.post("/admin/sign-in", data=data, headers=headers, environ_base=here)
    if sign_in == "metrics":
        return client.get("/metrics", auth=("admin", password), headers=headers, environ_base=here)
    gateway: Gateway = app.extensions["gateway"]
    code = "ABCD-2345"
    if right:
        code = gateway.store.write(lambda tx: devices.add_pairing(tx, "201"))
    asked = {"code": code, "device": {"name": "x"}}
    return client.post("/api/v1/pair", json=asked, headers=headers, environ_base=here)


@pytest.mark.parametrize(
    ("sign_in", "wrong", "admitted"),
    [("pair", 403, 201), ("metrics", 401, 200), ("admin", 403, 303)],
)
def test_each_sign_in_says_when_to_try_again(
    make_app: Make, sign_in: str, wrong: int, admitted: int, database: str
) -> None:
    apps = [make_app(DATABASE_URL=database) for _ in range(2)]
    assert [try_status(apps[n % 2], sign_in) for n in range(7)] == [wrong] * 5 + [429] * 2
    refused = try_sign_in(apps[0], sign_in, right=True)
    assert refused.status_code == 429
    assert 0 < int(refused.headers["Retry-After"]) <= 60
    assert "Try again in" in refused.text
    assert try_status(apps[0], sign_in, peer="192.0.2.2", right=True) == admitted


@pytest.mark.parametrize("sign_in", ["pair", "metrics", "admin"])
def test_right_passwords_are_never_slowed_down(make_app: Make, sign_in: str) -> None:
    app = make_app()
    assert len({try_status(app, sign_in, right=True) for _ in range(12)}) == 1


def test_a_header_that_anybody_can_write_changes_nothing(make_app: Make) -> None:
    app = make_app()
    told = [try_status(app, "pair", forwarded=f"198.51.100.{n}") for n in range(7)]
    assert told == [403] * 5 + [429] * 2


def test_behind_a_proxy_everybody_waits_for_themselves(make_app: Make) -> None:
    app = make_app(TRUSTED_PROXIES="127.0.0.1")

    def through(client: str, said: str = "") -> int:
        return try_status(app, "pair", peer="127.0.0.1", forwarded=f"{said}{client}")

    assert [through("198.51.100.1", f"203.0.113.{n}, ") for n in range(6)] == [403] * 5 + [429]
    assert through("198.51.100.2") == 403


def test_both_uses_of_the_password_count_together(make_app: Make) -> None:
    app = make_app()
    assert [try_status(app, sign_in) for sign_in in ("admin", "metrics") * 3] == [
        403,
        401,
        403,
        401,
        403,
        429,
    ]
    told = app.test_client().get(
        "/ready", auth=("admin", SECRET), environ_base={"REMOTE_ADDR": HERE}
    )
    assert told.status_code in (200, 503)
    assert "checks" not in (told.json or {})


def test_the_name_of_the_user_counts_as_part_of_the_guess(make_app: Make) -> None:
    client = make_app().test_client()
    told = [
        client.get("/metrics", auth=("root", SECRET), environ_base={"REMOTE_ADDR": HERE})
        for _ in range(6)
    ]
    assert [each.status_code for each in told] == [401] * 5 + [429]


def test_wrong_tokens_are_slowed_down_and_right_ones_cost_nothing(
    make_app: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = Attempts("token", each=((3, 60.0),), all=((100, 60.0),))
    monkeypatch.setattr("services.gateway.TOKENS", few)
    app = make_app()
    gateway: Gateway = app.extensions["gateway"]
    token = gateway.store.write(lambda tx: devices.add(tx, "201", "Phone"))[1]

    def call(offered: str, path: str = "/me") -> TestResponse:
        headers = {"Authorization": f"Bearer {offered}"}
        here = {"REMOTE_ADDR": HERE}
        return app.test_client().get(f"/api/v1{path}", headers=headers, environ_base=here)

    assert call(token).status_code == 200
    assert rows(gateway.store) == 0
    assert [call("tb_wrong").status_code for _ in range(3)] == [401] * 3
    refused = call("tb_wrong")
    assert (refused.status_code, (refused.json or {})["code"]) == (429, "too_many_guesses")
    assert int(refused.headers["Retry-After"]) > 0
    assert call("x", "/events?ticket=a.1.b").status_code == 429
    assert call(token).status_code == 200, "nobody is shut out by what others do"

    def unwell(_: object) -> None:
        raise StorageUnwell("The disk is full.")

    monkeypatch.setattr(gateway.store, "write", unwell)
    other = Attempts("other", few.each, few.all)
    monkeypatch.setattr(gateway.token_throttle, "_attempts", other)
    assert call("tb_wrong").status_code == 401


def test_the_spans_of_before_are_swept(make_app: Make, moved: Clock) -> None:
    gateway: Gateway = make_app().extensions["gateway"]
    gateway.pairing_throttle.spend(HERE)
    LoginThrottle(gateway.store, PASSWORD).spend(HERE)
    assert rows(gateway.store) == 8
    moved.now += 3601
    remove_leftovers(gateway.store, gateway.media)
    assert rows(gateway.store) == 1
