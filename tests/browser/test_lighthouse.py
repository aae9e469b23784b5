"""Lighthouse on the phone app and on the operator's start page: at least 95 in each category."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from tests.browser.conftest import PROGRAMS
from tests.server import ROOT, Server, running_server
from tests.waiting import PATIENCE

LIGHTHOUSE = ROOT / "node_modules/.bin/lighthouse"
PASSWORD = "operator-of-the-tests"
CATEGORIES = {"performance", "accessibility", "best-practices", "seo"}
LEAST = 0.95
RUNS = 3  # the best counts: how fast a page is depends on what else the machine does

pytestmark = [pytest.mark.release, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    if shutil.which("node") is None or not LIGHTHOUSE.exists():
        pytest.skip("Lighthouse is not installed (Node.js and npm, then make app).")
    if not any(map(shutil.which, PROGRAMS)):
        pytest.skip("Chromium is not installed (package chromium).")
    storage = tmp_path_factory.mktemp("lighthouse") / "storage"
    with running_server(storage, {"ADMIN_PASSWORD": PASSWORD}) as running:
        yield running


def measured(address: str, folder: Path, cookie: str) -> dict[str, float]:
    """The score of each category, of 1."""
    report, headers = folder / "report.json", folder / "headers.json"
    headers.write_text(json.dumps({"Cookie": cookie} if cookie else {}), "utf-8")
    done = subprocess.run(
        [
            *(LIGHTHOUSE, address, "--quiet", "--output=json", f"--output-path={report}"),
            f"--extra-headers={headers}",
            "--chrome-flags=--headless=new --no-sandbox --disable-gpu",
        ],
        env=os.environ | {"CHROME_PATH": next(filter(None, map(shutil.which, PROGRAMS)))},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(report.read_text("utf-8"))
    assert told["finalDisplayedUrl"] == address, "the page was left"
    return {name: category["score"] for name, category in told["categories"].items()}


@pytest.mark.parametrize("path", ["/phone/", "/admin/"])
def test_lighthouse_finds_nothing(server: Server, tmp_path: Path, path: str) -> None:
    cookie = ""
    if path == "/admin/":
        session = requests.Session()
        form = {"password": PASSWORD}
        session.post(f"{server.url}/admin/sign-in", data=form, timeout=PATIENCE)
        cookie = "; ".join(f"{one.name}={one.value}" for one in session.cookies)
        assert cookie
    best: dict[str, float] = {}
    for _ in range(RUNS):
        for name, score in measured(server.url + path, tmp_path, cookie).items():
            best[name] = max(score, best.get(name, 0.0))
        if min(best.values()) >= LEAST:
            break
    assert best.keys() == CATEGORIES
    assert min(best.values()) >= LEAST, best
