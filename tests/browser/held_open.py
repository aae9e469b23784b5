"""A test that starts all that tests start, then waits to be killed: see e2e/test_killed_run.py.

pytest collects it only when it is named on the command line.
"""

import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.browser.test_firefox import running_firefox
from tests.server import LoneWorker, Server
from torture.proxy import Nginx

READY = "READY_FILE"


@pytest.fixture
def everything(
    open_page: Callable[..., Any], server: Server, postgres_url: str, tmp_path: Path
) -> Iterator[None]:
    """A server with Chromium, PostgreSQL, a worker, Firefox and nginx."""
    open_page("/phone/")
    firefox = shutil.which("firefox-esr") or shutil.which("firefox")
    with ExitStack() as stack:
        if firefox:
            stack.enter_context(running_firefox(firefox, tmp_path / "profile", "ws://127.0.0.1:9"))
        if shutil.which("nginx"):
            stack.enter_context(Nginx(tmp_path / "nginx", server))
        worker = LoneWorker(tmp_path / "worker", {"DATABASE_URL": postgres_url})
        worker.start()
        stack.callback(worker.stop)
        yield


def test_hold(everything: None) -> None:
    Path(os.environ[READY]).touch()
    time.sleep(1000)
