"""The page of the API in a browser: every call, and one that is tried."""

from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import requests

from tests.server import Server
from tests.waiting import PATIENCE, eventually


def test_the_calls_are_shown_and_can_be_tried(
    open_page: Callable[..., Any], server: Server, complaints: list[str]
) -> None:
    document = requests.get(f"{server.url}/api/v1/openapi.json", timeout=PATIENCE).json()
    calls = sum(len(set(methods) - {"parameters"}) for methods in document["paths"].values())
    page = open_page("/api/docs")
    page.get_by_role("heading", name="Textbridge").wait_for()
    page.locator(".opblock").nth(calls - 1).wait_for()
    assert page.locator(".opblock").count() == calls
    token = server.new_token()
    page.get_by_role("button", name="Authorize").click()
    page.get_by_label("auth-bearer-value").fill(token)
    page.get_by_role("button", name="Apply credentials").first.click()
    page.get_by_role("button", name="Close").first.click()
    page.locator("#operations-me-getMe .opblock-summary-control").click()
    page.get_by_role("button", name="Try it out").click()
    page.get_by_role("button", name="Execute").click()
    page.locator(".live-responses-table .response-col_status", has_text="200").wait_for()
    assert complaints == []
    page.reload()
    page.locator(".opblock").first.wait_for()
    stored = page.evaluate("JSON.stringify({ ...localStorage, ...sessionStorage })")
    assert token not in stored


def test_the_page_is_dark_where_the_browser_is(open_page: Callable[..., Any]) -> None:
    page = open_page("/api/docs", color_scheme="dark")
    page.locator("#api .renderedMarkdown p").first.wait_for()
    # Colours may fade into each other for a moment.
    eventually(lambda: _shades(page)["ground"] < 60 and min(_shades(page)["inks"]) > 180)
    page.emulate_media(color_scheme="light")
    eventually(lambda: _shades(page)["ground"] == 255 and max(_shades(page)["inks"]) < 90)


def _shades(page: Any) -> dict[str, Any]:
    """How bright the ground and the words of the page are, from 0 to 255."""
    found: dict[str, Any] = page.evaluate(
        """() => {
          const shade = (selector, property) => {
            const colour = getComputedStyle(document.querySelector(selector))[property];
            return colour.match(/\\d+/g).slice(0, 3).reduce((sum, one) => sum + Number(one), 0) / 3;
          };
          const words = ["header", "#api .info .title", "#api .renderedMarkdown p"];
          const inks = words.map((one) => shade(one, "color"));
          return { ground: shade("body", "backgroundColor"), inks };
        }"""
    )
    return found


def test_an_address_cannot_name_another_document(open_page: Callable[..., Any]) -> None:
    asked: list[str] = []
    page = open_page("/api/docs")

    def note(request: Any) -> None:
        asked.append(request.url)

    page.on("request", note)
    page.goto(page.url + "?url=https://example.com/x.json&configUrl=https://example.com/y.json")
    page.locator(".opblock").first.wait_for()
    assert {urlsplit(url).netloc for url in asked} == {urlsplit(page.url).netloc}
