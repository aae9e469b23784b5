"""Scheduled texts whose time comes while the server is killed: each is sent once."""

from datetime import UTC, datetime, timedelta
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
FINAL = {"sent", "delivered", "unknown"}


@pytest.mark.timeout(300)
def test_a_worker_that_is_killed_when_their_time_comes_sends_each_once(tmp_path: Path) -> None:
    entry = {"number": NUMBER, "carrier": "bandwidth", "extensions": ["201"]}
    (tmp_path / "message_settings.json").write_text(settings_file(entry))
    with FakeBandwidth() as bandwidth:
        env = {**UNLIMITED, **AT_ANY_HOUR, **bandwidth.env}
        env["BANDWIDTH_WEBHOOK_TOKEN"] = "a token of the tests"
        server = Server(tmp_path, env)
        server.start()
        headers = {"Authorization": f"Bearer {server.new_token()}"}
        url = f"{server.url}/api/v1/messages"

        def schedule(index: int) -> str:
            """A text whose time comes during the kills."""
            send_at = datetime.now(UTC) + timedelta(seconds=2 + index * 0.1)
            body: dict[str, Any] = {"to": f"+1303555{index:04}", "text": f"later {index}"}
            body |= {"client_id": f"c{index}", "send_at": send_at.isoformat()}
            answer = insist(requests.Request("POST", url, json=body, headers=headers))
            return str(answer.json()["id"])

        ids = [schedule(index) for index in range(TEXTS)]
        killer = Killer(server, seed=5)
        killer.start()
        killer.join(120)
        assert killer.kills >= 10

        def states() -> dict[str, str]:
            asked = (requests.Request("GET", f"{url}/{one}", headers=headers) for one in ids)
            found = (insist(request).json() for request in asked)
            return {one["text"]: one["state"] for one in found}

        ended = eventually(lambda: found if set((found := states()).values()) <= FINAL else None)
        server.stop()
        sent = [message["text"] for message in bandwidth.accepted]
        assert len(sent) == len(set(sent)), "no text was sent twice"
        assert {text for text, state in ended.items() if state != "unknown"} <= set(sent)
        assert sent, "the worker released some between the kills"
