"""Start page and carrier pages in a browser, with accessibility."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.browser.admin.conftest import ADMIN, FACES, violations
from tests.server import Server, running_server

PATHS = ("/", "/carriers", "/carriers/sandbox", "/carriers/twilio", "/nothing")


@pytest.mark.parametrize(("size", "scheme"), FACES)
def test_axe_finds_nothing(
    operator: Callable[..., Any], complaints: list[str], server: Server, size: str, scheme: str
) -> None:
    page = operator("/", size, scheme)
    for path in PATHS:
        page.goto(f"{server.url}/admin{path}")
        assert violations(page) == [], path
    page.get_by_role("button", name="Sign out").click()
    page.get_by_role("button", name="Sign in").wait_for()
    assert violations(page) == []
    complaints[:] = [said for said in complaints if "404" not in said]


def test_the_webhooks_address_is_copied_by_a_button(
    operator: Callable[..., Any], server: Server
) -> None:
    page = operator("/carriers/sandbox")
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.get_by_role("button", name="Copy the webhook's address").click()
    page.get_by_text("Copied").wait_for()
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied.startswith(f"{server.url}/webhook/sandbox/sms?token=")


def test_a_call_of_the_carrier_appears_by_itself(
    operator: Callable[..., Any], server: Server
) -> None:
    page = operator("/carriers/sandbox")
    page.get_by_text("none yet. Text one of your numbers").wait_for()
    sent = server.flask(
        "simulate", "sandbox", "--from", "+13035550177", "--to", "+12025550100", "--text", "hi"
    )
    assert sent.returncode == 0, sent.stderr
    page.locator("#called time").first.wait_for()


def test_without_scripts_everything_is_there(browser: Any, server: Server) -> None:
    window = browser.new_context(java_script_enabled=False)
    page = window.new_page()
    page.goto(f"{server.url}/admin/carriers/sandbox")
    page.get_by_label("Password").fill(ADMIN["ADMIN_PASSWORD"])
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("heading", name="Sandbox").wait_for()
    page.get_by_role("button", name="Check them now").click()
    page.get_by_role("status").wait_for()
    page.get_by_role("button", name="Sign out").click()
    page.get_by_role("heading", name="Sign in").wait_for()
    window.close()


def test_a_change_of_env_is_applied_by_a_button(
    open_page: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("env")
    env = folder / ".env"
    env.write_text(f"ADMIN_PASSWORD={ADMIN['ADMIN_PASSWORD']}\nAPP_NAME=Before\n", "utf-8")
    with running_server(folder / "storage", {"ENV_FILE": str(env)}) as other:
        page = open_page("/phone/")
        page.goto(f"{other.url}/admin/")
        page.get_by_label("Password").fill(ADMIN["ADMIN_PASSWORD"])
        page.get_by_role("button", name="Sign in").click()
        env.write_text(env.read_text("utf-8").replace("Before", "After"), "utf-8")
        page.reload()
        page.get_by_role("button", name="Apply it now").click()
        for _ in range(40):
            if "After" in page.title():
                break
            page.wait_for_timeout(250)
            page.goto(f"{other.url}/admin/")
        assert "After" in page.title()
        assert "was changed after the running server read it" not in page.content()
