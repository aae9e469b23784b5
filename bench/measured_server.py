"""A Textbridge server under measurement: settings, requests to it, and received messages."""

import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import requests

from bench import load_generator, processes
from bench.load_generator import LoadResult, RequestFactory
from bench.processes import Process
from tests.conftest import settings_file
from tests.server import UNLIMITED, Server

TOKEN = "a token of the bench, long enough"
PUSHED, STORED = "+12025550143", "+12025550199"  # numbers with an extension, and with none
PEERS = 997  # number of senders


class MeasuredServer:
    """A server with its fake receiver, and a counter that numbers all texts."""

    def __init__(self, server: Server, receiver: Process) -> None:
        self.server = server
        self.receiver = receiver
        self.numbers: Iterator[int] = count()
        self.memory_at_start = self.memory_mb()
        self.bearer = self._bearer()

    def _bearer(self) -> str:
        made = self.server.flask("devices", "add", "201", "--name", "bench", "--json")
        return str(json.loads(made.stdout)["token"])

    def webhooks(self, number: str = PUSHED) -> RequestFactory:
        """Requests with texts to one of our numbers, as Bandwidth posts them."""
        path = f"/webhook/bandwidth/sms?token={TOKEN.replace(' ', '%20')}"

        def make(index: int) -> bytes:
            return load_generator.post_request(path, webhook_body(index, number))

        return make

    def replies(self) -> RequestFactory:
        """Requests of the app that send replies."""
        headers = f"Authorization: Bearer {self.bearer}\r\n"

        def make(index: int) -> bytes:
            body = {"to": _peer(index), "text": f"bench {index}", "client_id": f"c{index}"}
            return load_generator.post_request(
                "/api/v1/messages", json.dumps(body).encode(), headers=headers
            )

        return make

    def read(self, path: str) -> RequestFactory:
        """GET requests of the app."""
        request = load_generator.get_request(
            path, headers=f"Authorization: Bearer {self.bearer}\r\n"
        )
        return lambda _: request

    def run(self, make: RequestFactory, **options: float) -> LoadResult:
        """Generate load with new numbers; ``options`` as of ``generate_load``."""
        return load_generator.generate_load(self.server.port, make, numbers=self.numbers, **options)  # type: ignore[arg-type]

    def longest_conversation(self) -> str:
        """The id of the conversation that has every tenth message of the seed data."""
        answer = requests.get(
            f"{self.server.url}/api/v1/conversations?limit=1&q={_peer(0)[1:]}",
            headers={"Authorization": f"Bearer {self.bearer}"},
            timeout=60,
        )
        return str(answer.json()["items"][0]["id"])

    def received(self) -> dict[int, float]:
        """When the receiver got each numbered text (monotonic clock)."""
        content = requests.get(f"http://127.0.0.1:{self.receiver.port}/seen", timeout=60).json()
        return {int(number): at for number, at in content["seen"].items()}

    def reset_receiver(self) -> None:
        """Delete the times in the receiver."""
        requests.delete(f"http://127.0.0.1:{self.receiver.port}/seen", timeout=60)

    def wait_for(self, wanted: int, seconds: float = 300.0) -> dict[int, float]:
        """Wait until the receiver has ``wanted`` texts; returns their times.
        Raises ``RuntimeError`` when they do not arrive.
        """
        end = time.monotonic() + seconds
        while len(seen := self.received()) < wanted:
            if time.monotonic() > end:
                raise RuntimeError(f"Only {len(seen)} of {wanted} came through.")
            time.sleep(0.1)
        return seen

    def cpu_seconds(self) -> float:
        """The CPU time of the server's processes in seconds."""
        return processes.cpu_seconds(self.server.process.pid)

    def memory_mb(self) -> float:
        """The memory of the server's processes in MB."""
        return processes.memory_mb(self.server.process.pid)


def webhook_body(index: int, number: str) -> bytes:
    """The body of a Bandwidth webhook with one text, about 500 bytes."""
    return json.dumps(
        [
            {
                "type": "message-received",
                "time": "2026-03-02T09:15:04.118230Z",
                "description": "Incoming message received",
                "to": number,
                "message": {
                    "id": f"1772442904003{index:014}",
                    "owner": number,
                    "applicationId": "0b1c2d3e-4f50-4a6b-8c7d-9e0f1a2b3c4d",
                    "time": "2026-03-02T09:15:03.000000Z",
                    "segmentCount": 1,
                    "direction": "in",
                    "to": [number],
                    "from": _peer(index),
                    "text": f"bench {index} Good morning! Is the shop open until six today?",
                },
            }
        ]
    ).encode()


def _peer(index: int) -> str:
    return f"+1303555{index % PEERS:04}"


def settings() -> Sequence[dict[str, object]]:
    """Message Settings of the measured server."""
    return (
        {"number": PUSHED, "carrier": "bandwidth", "extensions": ["201"]},
        {"number": STORED, "carrier": "bandwidth", "emails": [], "extensions": []},
    )


@contextmanager
def measured_server(storage: Path, database_url: str | None = None) -> Iterator[MeasuredServer]:
    """Start a server with default settings, two web processes and a worker, and a receiver."""
    with processes.receiver() as receiver:
        server = make_server(storage, receiver.port, database_url)
        server.start()
        try:
            yield MeasuredServer(server, receiver)
        finally:
            server.stop()


def make_server(storage: Path, receiver_port: int, database_url: str | None = None) -> Server:
    """A server that is not started yet, with its storage folder."""
    storage.mkdir(parents=True, exist_ok=True)
    (storage / "message_settings.json").write_text(settings_file(*settings()))
    address = f"http://127.0.0.1:{receiver_port}"
    env = {
        "WEB_CONCURRENCY": "2",
        "APP_ENV": "production",
        "BANDWIDTH_ACCOUNT_ID": "9900001",
        "BANDWIDTH_API_TOKEN": "token",
        "BANDWIDTH_API_SECRET": "secret of the bench",
        "BANDWIDTH_APPLICATION_ID": "0b1c2d3e-4f50-4a6b-8c7d-9e0f1a2b3c4d",
        "BANDWIDTH_TOKEN_URL": f"{address}/oauth2/token",
        "BANDWIDTH_MESSAGE_BASE_URL": f"{address}/api/v2",
        "BANDWIDTH_WEBHOOK_TOKEN": TOKEN,
        "PUSH_WEBHOOK_URL": f"{address}/push",
        "PUSH_WEBHOOK_SECRET": "whsec_" + "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=",
    }
    env |= dict.fromkeys(UNLIMITED, "1000000")  # limits are counted as usual and never reached
    if database_url is not None:
        env["DATABASE_URL"] = database_url
    return Server(storage, env)
