"""The button of the doctor, and its report, at the width of a desk and of a phone."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.browser.admin.conftest import ADMIN, violations
from tests.server import Server


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server whose public address is its own, so that it can be called."""
    made = Server(tmp_path_factory.mktemp("doctor") / "storage", ADMIN)
    made.env["APP_URL"] = made.url
    made.start()
    yield made
    made.stop()


def test_the_button_runs_every_check_and_shows_the_report(
    operator: Callable[..., Any], server: Server, tmp_path: Path
) -> None:
    page = operator("/")
    page.get_by_role("link", name="Diagnosis").click()
    page.get_by_text("Not checked yet").wait_for()
    page.set_default_timeout(120_000)
    page.get_by_role("button", name="Check everything").click()
    report = page.get_by_role("region", name="Report")
    report.wait_for()
    states = [each.inner_text() for each in report.locator(".badge").all()]
    assert states == sorted(states, reverse=True)  # warnings before what is ok
    for words in (f"{server.url} leads to this installation.", "A delivery worker runs."):
        assert report.get_by_text(words).count() == 1
    assert "fault" not in report.inner_text()
    assert violations(page) == []
    page.set_viewport_size({"width": 390, "height": 844})
    page.reload()
    assert violations(page) == []
    well = report.get_by_role("row").filter(has_text="A delivery worker runs.")
    assert well.locator("td").last.is_hidden()  # an empty remedy is not shown
