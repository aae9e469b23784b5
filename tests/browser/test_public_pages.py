"""Pages that need no sign-in: axe finds nothing, and they fit every window."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.browser.admin.conftest import violations

# The way to a page, what it shows once it is whole, and the head of a request that asks for it.
PAGES = {
    "sandbox": ("/sandbox", "#inside textarea", {}),
    "start page": ("/", "h1", {"X-Forwarded-For": "203.0.113.9"}),  # not from this machine
}


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", PAGES)
def test_axe_finds_nothing_and_it_fits(
    open_page: Callable[..., Any], name: str, scheme: str
) -> None:
    path, whole, headers = PAGES[name]
    page = open_page(path, color_scheme=scheme, reduced_motion="reduce", extra_http_headers=headers)
    page.locator(whole).first.wait_for()
    assert page.url.endswith(path)
    for width in (320, 390, 1280):
        page.set_viewport_size({"width": width, "height": 844})
        assert violations(page) == [], width
