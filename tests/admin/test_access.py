"""Access to the operator's pages: sign-in, sessions, allowed addresses, forged forms."""

import time
from collections.abc import Callable

import pytest
from sqlalchemy import update

from blueprints.api.auth import Auth
from services.store import sign_ins
from services.store.database.schema import sign_ins as table
from tests.admin.conftest import PASSWORD, Operator, plain

Make = Callable[..., Operator]


def test_without_a_session_every_page_leads_to_the_sign_in(make_operator: Make) -> None:
    operator = make_operator(signed_in=False)
    for rule in operator.app.url_map.iter_rules():
        if not rule.rule.startswith("/admin") or "static" in rule.endpoint:
            continue
        for method in (rule.methods or set()) & {"GET", "POST", "PUT", "DELETE"}:
            answer = operator.client.open(
                rule.rule.replace("<", "").replace(">", ""), method=method
            )
            if rule.endpoint in ("admin.sign_in", "admin.take_password"):
                assert answer.status_code in (200, 403)
            else:
                assert answer.status_code == 303, (rule, method)
                assert answer.location.startswith("/admin/sign-in")


def test_signing_in_leads_to_the_page_that_was_wanted(make_operator: Make) -> None:
    operator = make_operator(signed_in=False)
    sign_in = operator.client.get("/admin/nothing?x=1").location
    answer = operator.client.post(sign_in, data={"password": PASSWORD})
    assert answer.location == "/admin/nothing?x=1"
    assert operator.client.get("/admin/").status_code == 200


@pytest.mark.parametrize(
    "then", ["https://evil.example", "//evil.example", "/admin/\\evil", "/adminevil", "/admin/\n"]
)
def test_signing_in_never_leads_to_another_site(make_operator: Make, then: str) -> None:
    operator = make_operator(signed_in=False)
    answer = operator.client.post(
        "/admin/sign-in", query_string={"then": then}, data={"password": PASSWORD}
    )
    assert answer.location == "/admin/"


@pytest.mark.parametrize("password", ["", "wrong", PASSWORD + " ", PASSWORD.upper(), "\x00", "é"])
def test_a_wrong_password_opens_nothing(make_operator: Make, password: str) -> None:
    operator = make_operator(signed_in=False)
    answer = operator.sign_in(password)
    assert answer.status_code == 403
    assert "This is not the password." in answer.text
    assert operator.client.get("/admin/").status_code == 303


def test_without_a_password_the_pages_are_not_found(make_operator: Make) -> None:
    operator = make_operator(signed_in=False, ADMIN_PASSWORD="")
    assert "Set ADMIN_PASSWORD in .env" in operator.get("/", 403)
    assert operator.sign_in("").status_code == 403


def test_the_cookie_is_for_these_pages_and_not_for_scripts(make_operator: Make) -> None:
    cookie = make_operator(signed_in=False).sign_in().headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    assert "Path=/admin/" in cookie
    assert "Secure" not in cookie
    public = make_operator(signed_in=False, APP_URL="https://sms.example.com")
    assert "Secure" in public.sign_in().headers["Set-Cookie"]


@pytest.mark.parametrize("offered", [None, "", "wrong", "é"])
def test_a_form_without_its_key_changes_nothing(operator: Operator, offered: str | None) -> None:
    data = {} if offered is None else {"csrf": offered}
    answer = operator.client.post("/admin/sign-out", data=data)
    assert answer.status_code == 403
    assert "nothing was changed" in answer.text
    operator.get("/")


@pytest.mark.parametrize(
    "headers",
    [{"Origin": "https://evil.example"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"}],
)
def test_a_form_of_another_site_changes_nothing(
    operator: Operator, headers: dict[str, str]
) -> None:
    for path, data in (
        ("/admin/sign-out", {"csrf": operator.key()}),
        ("/admin/sign-in", {"password": PASSWORD}),
    ):
        assert operator.client.post(path, data=data, headers=headers).status_code == 403
    operator.get("/")


def test_a_cookie_kept_after_signing_out_opens_nothing(operator: Operator) -> None:
    cookie = operator.client.get_cookie("textbridge_admin", path="/admin/")
    assert cookie is not None
    operator.post("/sign-out")
    operator.client.set_cookie("textbridge_admin", cookie.value, path="/admin/")
    operator.get("/", 303)


@pytest.mark.parametrize(
    "passed", [{"seen_at": sign_ins.IDLE_SECONDS}, {"created_at": sign_ins.MAX_SECONDS}]
)
def test_a_sign_in_ends_by_itself(operator: Operator, passed: dict[str, float]) -> None:
    then = {column: time.time() - seconds - 1 for column, seconds in passed.items()}
    operator.gateway.store.write(lambda tx: tx.execute(update(table).values(then)))
    operator.get("/", 303)


def test_another_password_ends_every_sign_in(make_operator: Make) -> None:
    before = make_operator(APP_KEY="a key of the tests, long enough")
    after = make_operator(
        APP_KEY="a key of the tests, long enough", ADMIN_PASSWORD="another one", signed_in=False
    )
    cookie = before.client.get_cookie("textbridge_admin", path="/admin/")
    assert cookie is not None
    fresh = after.app.test_client()
    fresh.set_cookie("textbridge_admin", cookie.value, path="/admin/")
    assert fresh.get("/admin/").status_code == 303
    before.get("/")


def test_only_allowed_addresses_get_to_the_sign_in_page(make_operator: Make) -> None:
    operator = make_operator(
        signed_in=False, ADMIN_ALLOW="192.0.2.0/24", TRUSTED_PROXIES="10.0.0.1"
    )
    told = [
        ("192.0.2.7", {}, 200),
        ("127.0.0.1", {}, 403),
        ("127.0.0.1", {"X-Forwarded-For": "192.0.2.7"}, 403),
        ("10.0.0.1", {"X-Forwarded-For": "192.0.2.7"}, 200),
        ("10.0.0.1", {"X-Forwarded-For": "192.0.2.7, 198.51.100.1"}, 403),
    ]
    for address, headers, status in told:
        answer = operator.client.get(
            "/admin/sign-in", headers=headers, environ_base={"REMOTE_ADDR": address}
        )
        assert answer.status_code == status, (address, headers)


def test_elsewhere_a_session_and_the_password_open_no_page_and_no_call(
    make_operator: Make,
) -> None:
    """Of every route of the operator; one that is added is covered as well."""
    operator = make_operator(ADMIN_ALLOW="192.0.2.0/24,127.0.0.1")
    views, opened, tried = operator.app.view_functions, [], 0
    elsewhere = {"REMOTE_ADDR": "198.51.100.1"}
    for rule in operator.app.url_map.iter_rules():
        is_page = rule.rule.startswith("/admin") and "static" not in rule.endpoint
        is_call = getattr(views[rule.endpoint], "auth", None) is Auth.OPERATOR
        if not (is_page or is_call or rule.rule == "/metrics"):
            continue
        path = rule.rule.replace("<", "").replace(">", "").replace("uuid:", "")
        for method in (rule.methods or set()) & {"GET", "POST", "PUT", "DELETE"}:
            tried += 1
            answer = operator.client.open(
                path, method=method, environ_base=elsewhere, auth=("admin", PASSWORD)
            )
            if answer.status_code != 403:
                opened.append((method, rule.rule, answer.status_code))
    assert (opened, tried > 60) == ([], True)


def test_every_answer_says_what_a_browser_may_do(operator: Operator) -> None:
    for path in ("/admin/", "/admin/sign-in", "/admin/nothing", "/admin/static/admin.js"):
        with operator.client.get(path) as answer:
            headers = answer.headers
        assert "default-src 'none'" in headers["Content-Security-Policy"]
        assert "form-action 'self'" in headers["Content-Security-Policy"]
        assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["X-Frame-Options"] == "DENY"
        assert headers["Referrer-Policy"] == "same-origin"
    assert operator.client.get("/admin/").headers["Cache-Control"] == "no-store"


def test_what_does_not_exist_is_a_page_with_a_way_back(operator: Operator) -> None:
    page = operator.get("/nothing", 404)
    assert "No such page" in plain(page)
    assert 'href="/admin/"' in page
