"""The administrator's pages of bulk sends in a real browser, from the form to the results."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.browser.admin.conftest import ADMIN, violations
from tests.conftest import AT_ANY_HOUR, NUMBER_ENTRY, PEER, settings_file
from tests.server import Server, running_server

CSV = f"number,name\n{PEER},Eve\n+1 303 555 0188,Ann\n12,Al\n+13035550188,Ann\n"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with one number, on which bulk sends are on."""
    storage = tmp_path_factory.mktemp("bulk") / "storage"
    storage.mkdir()
    (storage / "message_settings.json").write_text(settings_file(NUMBER_ENTRY), "utf-8")
    env = {**ADMIN, **AT_ANY_HOUR, "BULK_SENDING": "true", "APP_ENV": "local"}
    with running_server(storage, env) as running:
        yield running


def picture(page: Any, name: str) -> None:
    """Keep a picture of a page in the folder PICTURES, if there is one."""
    folder = os.environ.get("PICTURES")
    if folder:
        page.screenshot(path=f"{folder}/{name}.png", full_page=True)


@pytest.mark.parametrize("width", [390, 1280])
def test_from_the_form_to_the_results(
    operator: Callable[..., Any], tmp_path: Path, complaints: list[str], width: int
) -> None:
    file = tmp_path / "people.csv"
    file.write_text(CSV, "utf-8")
    page = operator("/bulk-sends/new")
    page.set_viewport_size({"width": width, "height": 900})
    page.get_by_label("Name").fill("Closed on Friday")
    page.get_by_label("Extension").fill("201")
    page.get_by_label("Text").fill("Dear {first}, we are closed on Friday.")
    page.get_by_label("Recipients").set_input_files(file)
    assert violations(page) == []
    picture(page, f"form-{width}")
    page.get_by_role("button", name="Preview").click()
    page.get_by_text("no such field").wait_for()
    complaints.clear()  # of the status 422
    assert violations(page) == []
    picture(page, f"wrong-{width}")
    page.get_by_label("Text").fill("Dear {name}, we are closed on Friday.")
    page.get_by_label("Recipients").set_input_files(file)
    page.get_by_role("button", name="Preview").click()
    page.get_by_text("Dear Eve, we are closed on Friday.").wait_for()
    assert violations(page) == []
    picture(page, f"invalid-{width}")
    page.get_by_role("button", name="Leave these lines out").click()
    picture(page, f"preview-{width}")
    page.get_by_role("button", name="Send to 2 recipients").click()
    page.get_by_text("2 texts will be sent").wait_for()
    page.get_by_text("2 sent").wait_for()  # the page looks again by itself
    assert violations(page) == []
    picture(page, f"results-{width}")
    page.get_by_role("link", name="Bulk sends").first.click()
    page.get_by_role("heading", name="Bulk sends").wait_for()
    assert violations(page) == []
    picture(page, f"list-{width}")
