"""Send limits are exact for several processes that are killed meanwhile."""

import os
import random
import signal
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest
import requests
from sqlalchemy import Connection, func, select

from services.store import devices
from services.store.database.schema import messages
from services.store.database.store import Store
from tests.conftest import NUMBER_ENTRY, PEER, settings_file
from tests.server import Server, running_server
from tests.waiting import PATIENCE

MOST = 10
ASKED = 1000
KILLS = 3


def kill_some(server: Server) -> None:
    """Kill a process of the server, three times, as soon as it has its whole family again."""
    dice = random.Random(7)
    for _ in range(KILLS):
        time.sleep(0.3)
        while len(family := server.children()) < 3:
            time.sleep(0.05)
        os.kill(dice.choice(family), signal.SIGKILL)


def insist(server: Server, token: str, index: int) -> int:
    """Ask for one message until there is an answer, as apps do."""
    asked = {"to": [PEER], "text": f"text {index}", "client_id": f"c{index}"}
    headers = {"Authorization": f"Bearer {token}"}
    end = time.monotonic() + 100
    while time.monotonic() < end:
        try:
            answer = requests.post(
                f"{server.url}/api/v1/messages", json=asked, headers=headers, timeout=PATIENCE
            )
        except requests.RequestException:
            continue
        if answer.status_code != 503:
            if answer.status_code == 429:
                assert answer.json()["code"] == "limit_reached"
                assert int(answer.headers["Retry-After"]) > 0
            return answer.status_code
    raise AssertionError("no answer in time")


@pytest.mark.timeout(240)
def test_of_a_thousand_at_once_exactly_as_many_as_allowed_are_taken(
    tmp_path: Path, database: str
) -> None:
    (tmp_path / "message_settings.json").write_text(settings_file(NUMBER_ENTRY), encoding="utf-8")
    env = {"DATABASE_URL": database, "WEB_CONCURRENCY": "2"}
    env |= {"SEND_PER_DAY": str(MOST), "SEND_PER_MINUTE": "0", "SEND_PER_PEER_HOUR": "0"}
    with running_server(tmp_path, env) as server:
        store = Store(database or None, tmp_path)
        token = store.write(lambda tx: devices.add(tx, "201", "Phone"))[1]
        with ThreadPoolExecutor(33) as pool:
            killing = pool.submit(kill_some, server)
            answers = Counter(pool.map(partial(insist, server, token), range(ASKED)))
            killing.result(100)
        kept = store.read(_kept)
        store.close()
    assert answers == {202: MOST, 429: ASKED - MOST}
    assert kept == MOST


def _kept(tx: Connection) -> int:
    return tx.execute(select(func.count()).select_from(messages)).scalar_one()
