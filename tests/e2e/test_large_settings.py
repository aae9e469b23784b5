"""20,000 numbers in Message Settings of a running server, edited while carriers call."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic
from typing import Any

import psycopg
import pytest
import requests

from services.operations.settings_source import FILE
from tests.conftest import settings_file
from tests.server import Server, running_server
from tests.waiting import PATIENCE

pytestmark = pytest.mark.processes
MANY = 20_000
AUTH = ("admin", "operator-of-the-tests")
CONNECTIONS = 3


def entries(description: str) -> list[dict[str, Any]]:
    return [
        {
            "number": f"+1202{2_000_000 + n}",
            "carrier": "sandbox",
            "extensions": [str(100 + n % 500)],
            "description": description,
        }
        for n in range(MANY)
    ]


NUMBER = str(entries("")[0]["number"])


class Calls:
    """Texts that are posted without a pause: when each call began and ended, its status."""

    def __init__(self, server: Server) -> None:
        shown = json.loads(server.flask("webhooks", "--json").stdout)
        self._url = next(text for text in texts(shown) if "/webhook/sandbox/sms?token=" in text)
        self._stopped = False
        self.done: list[tuple[float, float, int]] = []

    def post(self, connection: int) -> None:
        with requests.Session() as session:
            for index in range(10**9):
                if self._stopped:
                    return
                event = {
                    "id": f"{connection}-{index}",
                    "from": "+13035550177",
                    "to": NUMBER,
                    "text": "hi",
                }
                begun = monotonic()
                answer = session.post(self._url, json=event, timeout=PATIENCE)
                self.done.append((begun, monotonic(), answer.status_code))

    @contextmanager
    def running(self) -> Iterator[None]:
        threads = [threading.Thread(target=self.post, args=(n,)) for n in range(CONNECTIONS)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._stopped = True
            for thread in threads:
                thread.join()

    def within(self, begin: float, end: float) -> int:
        """How many calls both began and ended between these times."""
        return sum(begin < begun and ended < end for begun, ended, _ in self.done)


def texts(value: Any) -> Iterator[str]:
    """All texts of a JSON document."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from texts(inner)


def replace_document(server: Server, database: str, document: str) -> None:
    """Replace the whole document at once, behind the server's back."""
    if not database:
        new = server.storage / "by_hand.json"
        new.write_text(document)
        new.rename(server.storage / FILE)
        return
    with psycopg.connect(database) as connection:
        statement = "UPDATE message_settings SET version = version + 1, document = %s"
        connection.execute(statement, [document])


def test_webhooks_are_answered_while_20_000_numbers_are_checked(
    tmp_path: Path, database: str
) -> None:
    (tmp_path / FILE).write_text(settings_file(*entries("first")))
    env = {"ADMIN_PASSWORD": AUTH[1], "DATABASE_URL": database}
    with running_server(tmp_path, env) as server:
        address = f"{server.url}/api/v1/message-settings/{NUMBER}"
        calls = Calls(server)
        with calls.running():
            for edit in range(3):
                before = len(calls.done)
                while len(calls.done) < before + CONNECTIONS:
                    threading.Event().wait(0.01)
                replace_document(server, database, settings_file(*entries(f"edit {edit}")))
                begin = monotonic()
                shown = requests.get(address, auth=AUTH, timeout=PATIENCE)
                end = monotonic()
                assert shown.json()["description"] == f"edit {edit}"
                # All 20,000 entries were checked in the process that answers the webhooks.
                assert calls.within(begin, end) >= CONNECTIONS
            extensions = {"carrier": "sandbox", "extensions": ["900"]}
            saved = requests.put(address, json=extensions, auth=AUTH, timeout=PATIENCE)
            shown = requests.get(address, auth=AUTH, timeout=PATIENCE)
        assert (saved.status_code, shown.json()["extensions"]) == (200, ["900"])
        assert {status for _, _, status in calls.done} == {200}
        listed = requests.get(address.removesuffix(f"/{NUMBER}"), auth=AUTH, timeout=PATIENCE)
        assert len(listed.json()["items"]) == MANY
