"""A Textbridge server under measurement: settings, requests to it, and received messages."""

import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import requests

from bench import load_generator, processes
from bench.load_generator import LoadResult
from bench.processes import Process
from bench.request_template import RequestTemplate, get_request, index, post_request
from tests.conftest import settings_file
from tests.server import ROOT, UNLIMITED, Server

TOKEN = "a token of the bench, long enough"
PUSHED, STORED = "+12025550143", "+12025550199"  # numbers with an extension, and with none
PEERS = 997  # number of senders
NUMBERS = 100  # numbers under mixed load
CONVERSATIONS = 10 * NUMBERS
MANY = f"+1202200{index(4, NUMBERS)}"  # as a mark: the numbers in turns
_PEER = f"+1303555{index(4, PEERS)}"
_PEER_OF_MANY = f"+1303555{index(4, CONVERSATIONS)}"  # ten conversations of each number


class MeasuredServer:
    """A server with its fake receiver, and the number of the next text."""

    def __init__(self, server: Server, receiver: Process) -> None:
        self.server = server
        self.receiver = receiver
        self.next_number = 0
        self.memory_at_start = self.memory_mb()
        self.bearer = self.new_token()

    def new_token(self) -> str:
        """The token of a new device of extension 201."""
        return self.server.new_token()

    def replies(self) -> RequestTemplate:
        """Requests of the app that send replies."""
        number = index(12)
        body = {"to": _PEER, "text": f"bench {number}", "client_id": f"c{number}"}
        headers = f"Authorization: Bearer {self.bearer}\r\n"
        return post_request("/api/v1/messages", json.dumps(body).encode(), headers=headers)

    def read(self, path: str, token: str | None = None) -> RequestTemplate:
        """GET requests of the app, or of another device of the extension."""
        return get_request(path, headers=f"Authorization: Bearer {token or self.bearer}\r\n")

    def run(self, template: RequestTemplate, **options: float) -> LoadResult:
        """Generate load with new numbers; ``options`` as of ``generate_load``."""
        result = load_generator.generate_load(
            self.server.port,
            template,
            first=self.next_number,
            **options,  # type: ignore[arg-type]
        )
        self.next_number += result.answered + result.refused
        return result

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
        while (count := self._count()) < wanted:
            if time.monotonic() > end:
                raise RuntimeError(f"Only {count} of {wanted} came through.")
            time.sleep(0.1)
        return self.received()

    def _count(self) -> int:
        told = requests.get(f"http://127.0.0.1:{self.receiver.port}/count", timeout=60).json()
        return int(told["count"])

    def cpu_seconds(self) -> float:
        """The CPU time of the server's processes in seconds."""
        return processes.cpu_seconds(self.server.process.pid)

    def memory_mb(self) -> float:
        """The memory of the server's processes in MB."""
        return processes.memory_mb(self.server.process.pid)


def webhook_body(number: int, ours: str) -> bytes:
    """The body of a Bandwidth webhook with one text, about 500 bytes."""
    return _webhook(f"{number:014}", ours, _peer(number), str(number))


def webhooks(ours: str = PUSHED, carrier: str = "bandwidth") -> RequestTemplate:
    """Requests with texts to a number of ours, or to one after the other (``MANY``)."""
    path = f"/webhook/{carrier}/sms?token={TOKEN.replace(' ', '%20')}"
    peer = _PEER_OF_MANY if ours == MANY else _PEER
    return post_request(path, _webhook(index(14), ours, peer, index(12)))


def _webhook(id_: str, ours: str, peer: str, number: str) -> bytes:
    return json.dumps(
        [
            {
                "type": "message-received",
                "time": "2026-03-02T09:15:04.118230Z",
                "description": "Incoming message received",
                "to": ours,
                "message": {
                    "id": f"1772442904003{id_}",
                    "owner": ours,
                    "applicationId": "0b1c2d3e-4f50-4a6b-8c7d-9e0f1a2b3c4d",
                    "time": "2026-03-02T09:15:03.000000Z",
                    "segmentCount": 1,
                    "direction": "in",
                    "to": [ours],
                    "from": peer,
                    "text": f"bench {number} Good morning! Is the shop open until six today?",
                },
            }
        ]
    ).encode()


def _peer(number: int) -> str:
    return f"+1303555{number % PEERS:04}"


def settings(numbers: int = NUMBERS) -> Sequence[dict[str, object]]:
    """Message Settings of the measured server: so many numbers, each of an extension of its own.

    Each extension gets its texts by the signed webhook.
    """
    return (
        {"number": PUSHED, "carrier": "bandwidth", "extensions": ["201"]},
        {"number": STORED, "carrier": "bandwidth", "emails": [], "extensions": []},
        *map(_of_many, range(numbers)),
    )


def _of_many(at: int) -> dict[str, object]:
    number = f"+1202{200 + at // 10_000}{at % 10_000:04}"
    return {"number": number, "carrier": "bandwidth", "extensions": [str(1000 + at)]}


@contextmanager
def measured_server(
    storage: Path, database_url: str | None = None, root: Path = ROOT
) -> Iterator[MeasuredServer]:
    """Start a server with default settings, two web processes and a worker, and a receiver.

    ``root`` is the folder of its program.
    """
    with processes.receiver() as receiver:
        server = make_server(storage, receiver.port, database_url, root)
        server.start()
        try:
            yield MeasuredServer(server, receiver)
        finally:
            server.stop()


def make_server(
    storage: Path, receiver_port: int, database_url: str | None = None, root: Path = ROOT
) -> Server:
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
    return Server(storage, env, root)
