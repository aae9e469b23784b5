"""A bulk send during which the server is killed again and again: each text is sent once."""

from pathlib import Path
from typing import Any

import pytest
import requests

from tests.conftest import AT_ANY_HOUR, settings_file
from tests.e2e.test_kill import Killer, insist
from tests.fakes.bandwidth import FakeBandwidth
from tests.server import UNLIMITED, Server
from tests.waiting import eventually

NUMBER = "+12025550143"
TEXTS = 60
UNFINISHED = {"scheduled", "queued", "sending"}


@pytest.mark.timeout(300)
def test_a_worker_that_is_killed_in_the_midst_sends_each_once(tmp_path: Path) -> None:
    entry = {"number": NUMBER, "carrier": "bandwidth", "extensions": ["201"]}
    (tmp_path / "message_settings.json").write_text(settings_file(entry))
    with FakeBandwidth() as bandwidth:
        env = {**UNLIMITED, **AT_ANY_HOUR, **bandwidth.env, "BULK_SENDING": "true"}
        env |= {"BANDWIDTH_WEBHOOK_TOKEN": "a token of the tests", "BANDWIDTH_NUMBER_RATE": "10"}
        server = Server(tmp_path, env)
        server.start()
        headers = {"Authorization": f"Bearer {server.new_token()}"}
        url = f"{server.url}/api/v1/bulk-sends"
        listed = [
            {"to": f"+1303555{index:04}", "fields": {"n": str(index)}} for index in range(TEXTS)
        ]
        body: dict[str, Any] = {"name": "x", "text": "bulk {n}", "recipients": listed}
        killer = Killer(server, seed=7)
        killer.start()
        created = insist(
            requests.Request("POST", url, json=body | {"client_id": "one"}, headers=headers)
        )
        one = f"{url}/{created.json()['id']}"
        killer.join(120)
        assert killer.kills >= 10

        def finished() -> Any:
            found = insist(requests.Request("GET", one, headers=headers)).json()
            return None if UNFINISHED & set(found["counts"]) else found["counts"]

        counts = eventually(finished)
        server.stop()
        sent = [message["text"] for message in bandwidth.accepted]
        assert len(sent) == len(set(sent)), "no text was sent twice"
        assert sum(counts.values()) == TEXTS
        assert counts.get("sent", 0) + counts.get("delivered", 0) <= len(sent)
        assert len(sent) >= TEXTS - counts.get("unknown", 0)
