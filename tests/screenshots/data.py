"""A server with fixed data at a fixed time, for pictures that are the same in every run."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import requests
from sqlalchemy import update

from services.gateway import load_environment
from services.store.database.schema import sightings
from services.store.database.store import Store
from tests.conftest import AT_ANY_HOUR, settings_file
from tests.server import UNLIMITED, Server
from tests.waiting import PATIENCE, eventually
from torture.clock import WallClock

NOW = datetime(2026, 3, 11, 15, 24, 30, tzinfo=UTC)  # a Wednesday
# When the parts of the story begin; each of its steps is a minute later, however long it takes.
YESTERDAY = NOW.replace(day=10, hour=14, minute=2, second=1)
THIS_MORNING = NOW.replace(hour=13, minute=5, second=1)
JUST_NOW = NOW.replace(hour=15, minute=12, second=1)
ZONE = "America/New_York"  # of the operator and of the browser
PASSWORD = "a good password"
FRONT_DESK = "+12025550100"
SALES = "+12025550160"
ANN, BEN, CLEO = "+13035550123", "+13035550144", "+13035550158"
STRANGER, SILENT, PARCEL = "+13035550171", "+13035550182", "+13035550193"
NAMES = {ANN: "Ann Example", BEN: "Ben Example-Hernández", CLEO: "Cleo Example"}
CARDS = (
    "BEGIN:VCARD\r\nVERSION:3.0\r\nFN:Dora Example\r\nTEL:+13035550135\r\nEND:VCARD\r\n"
    "BEGIN:VCARD\r\nVERSION:3.0\r\nFN:Ann Example-Smith\r\nTEL:+13035550123\r\nEND:VCARD\r\n"
    "BEGIN:VCARD\r\nVERSION:3.0\r\nFN:Odd\r\nTEL:12 ab\r\nEND:VCARD\r\n"
)
_DOCUMENT = json.loads(
    settings_file(
        {
            "number": FRONT_DESK,
            "carrier": "sandbox",
            "extensions": ["201", "202"],
            "description": "Front desk",
        },
        {
            "number": SALES,
            "carrier": "sandbox",
            "extensions": ["201"],
            "description": "Sales, north and south",
        },
        {"number": "+12025550170", "carrier": "sandbox", "extensions": ["203"]},
        {"number": "+12025550181", "carrier": "sandbox", "enabled": False},
    )
)
SETTINGS = json.dumps(
    _DOCUMENT
    | {
        "version": 2,
        "templates": [
            {"name": "Opening hours", "text": "Hello {contact}, we are open from 8 to 5."},
            {"name": "Call back", "text": "Please call {extension}: {number}."},
        ],
    }
)


@dataclass(slots=True)
class Data:
    """What the pages show: the server, and the ids that their addresses need."""

    server: Server
    clock: WallClock
    picture: str = ""
    failed: str = ""
    bulk_send: str = ""

    def stop_clock(self, at: datetime = NOW) -> None:
        """Set the server's clock to this time; it goes on from there."""
        self.clock.move_to(round(at.timestamp() - time.time()))

    def code(self, extension: str = "201") -> str:
        """A new pairing code."""
        return str(self.server.json("devices", "pair", extension)["code"])


@contextmanager
def running(folder: Path) -> Iterator[Data]:
    """A server with all the data, its clock at ``NOW``; needs gcc. Ended when left."""
    storage = folder / "storage"
    storage.mkdir(mode=0o700)
    (storage / "message_settings.json").write_text(SETTINGS, "utf-8")
    clock = WallClock(folder)
    env = {
        **UNLIMITED,
        **AT_ANY_HOUR,
        **clock.env,
        "ADMIN_PASSWORD": PASSWORD,
        "BULK_SENDING": "true",
        "APP_TIMEZONE": ZONE,
        "TZ": ZONE,
    }
    server = Server(storage, env)
    data = Data(server, clock)
    data.stop_clock(YESTERDAY)
    server.start()
    try:
        _Story(data).tell()
        data.stop_clock()
        yield data
    finally:
        if server.process.poll() is None:
            server.stop()


class _Story:
    """Two days at a front desk, through the webhook and the API."""

    def __init__(self, data: Data) -> None:
        self.data = data
        self.server = data.server
        self.now = YESTERDAY
        self.count = 0
        self.tokens: dict[str, str] = {}

    def tell(self) -> None:
        """Write and receive everything; each step is kept before the next."""
        for extension, name in (("201", "Grace Example"), ("202", "Henri Example")):
            self.next_minute()
            assert self.server.flask("extensions", "name", extension, name).returncode == 0
            self.next_minute()
            made = self.server.json("devices", "add", extension, "--name", f"Desk of {name}")
            self.tokens[extension] = made["token"]
        for number, name in NAMES.items():
            self.next_minute()
            self.api("PUT", f"/contacts/{number}", json={"name": name})
        self.comes(SILENT, "Please stop writing to me")
        self.comes(SILENT, "STOP")
        self.comes(ANN, "Hello, are you open on Saturday?")
        self.goes(ANN, "Yes, from nine to one. Shall I put something aside for you?", "202")
        self.comes(BEN, "The invoice has the old address. Could you send it again?", to=SALES)
        self.comes(PARCEL, "Is the parcel there yet?", to="+12025550199")
        self.begin(THIS_MORNING)
        self.comes(ANN, "Great! This is where we met:", "/sandbox/static/bridge.jpg")
        self.data.picture = self.messages(ANN)[0]["id"]
        self.goes(ANN, "See https://example.com/way, or call (202) 555-0160.")
        self.comes(STRANGER, "Your code is 123 456. Do not share it with anybody at all.")
        self.data.failed = self.goes(CLEO, "Your order is ready on Saturday.")
        self.next_minute()
        self.next_minute()
        self.post({"receipt": self.data.failed, "status": "failed"})
        eventually(lambda: self.messages(CLEO)[0]["status"] == "failed")
        self.next_minute()
        self.api(
            "POST",
            "/messages",
            json={"to": [BEN, CLEO], "from": FRONT_DESK, "text": "Dinner at seven?"},
        )
        self.next_minute()
        self.api(
            "POST",
            "/messages",
            json={
                "to": BEN,
                "from": SALES,
                "text": "We close at noon tomorrow.",
                "send_at": "2026-03-12T14:00:00Z",
            },
        )
        self.next_minute()
        asked = {
            "name": "Closed on Friday",
            "from": FRONT_DESK,
            "text": "Dear {name}, we are closed on Friday.",
            "recipients": [
                {"to": number, "fields": {"name": name}}
                for number, name in (NAMES | {SILENT: "Nobody"}).items()
            ],
        }
        self.data.bulk_send = self.api("POST", "/bulk-sends", json=asked)["id"]
        eventually(
            lambda: self.api("GET", f"/bulk-sends/{self.data.bulk_send}")["counts"].get("sent") == 3
        )
        self.next_minute()
        requests.post(self.webhook, json=["what is this"], timeout=PATIENCE)
        self.begin(JUST_NOW)
        self.comes(BEN, "Thank you, that was quick 👍", to=SALES)
        self.comes(ANN, "One more thing: is there a ramp for a wheelchair at the side entrance?")
        self.next_minute()
        self.api("PUT", f"/contacts/{PARCEL}", json={"name": "Parcel service"})
        self.see_carrier_now()

    def see_carrier_now(self) -> None:
        """The last webhook and send; the server notes each twice a minute of the true time."""
        store = Store(None, self.server.storage)
        store.write(lambda tx: tx.execute(update(sightings).values(at=self.now.timestamp())))
        store.close()

    def begin(self, at: datetime) -> None:
        """A part of the story begins."""
        self.now = at
        self.data.stop_clock(at)

    def next_minute(self) -> None:
        """A step begins: at the same minute in every run, also on a slow machine."""
        self.begin(self.now + timedelta(minutes=1))

    @property
    def webhook(self) -> str:
        token = load_environment(self.server.env).webhook_token("sandbox")
        return f"{self.server.url}/webhook/sandbox/sms?token={token}"

    def post(self, event: dict[str, Any]) -> None:
        """What the carrier's webhook gets."""
        requests.post(self.webhook, json=event, timeout=PATIENCE).raise_for_status()

    def comes(self, peer: str, text: str, *media: str, to: str = FRONT_DESK) -> None:
        """Somebody outside writes; until the message and its files are there."""
        self.next_minute()
        self.count += 1
        files = [f"{self.server.url}{path}" for path in media]
        self.post({"id": f"o{self.count}", "from": peer, "to": to, "text": text, "media": files})
        if to not in (FRONT_DESK, SALES):
            return
        found = eventually(
            lambda: [
                m for m in self.messages(peer, to) if (m["direction"], m["text"]) == ("in", text)
            ]
        )
        if found[0]["media"]:
            eventually(lambda: self.messages(peer, to)[0]["media"][0]["state"] == "kept")

    def goes(self, peer: str, text: str, extension: str = "201") -> str:
        """We write; until it is sent. Returns the message's id."""
        self.next_minute()
        asked = {"to": peer, "from": FRONT_DESK, "text": text}
        sent = self.api("POST", "/messages", extension, json=asked)
        eventually(lambda: self.messages(peer)[0]["status"] in ("sent", "delivered"))
        return str(sent["id"])

    def messages(self, peer: str, number: str = FRONT_DESK) -> list[Any]:
        """The messages with somebody, the newest first."""
        found = self.api("GET", "/conversations?limit=200")["items"]
        for one in found:
            if (one["peer"], one["number"]) == (peer, number):
                messages: list[Any] = self.api("GET", f"/conversations/{one['id']}/messages")[
                    "items"
                ]
                return messages
        return []

    def api(self, method: str, path: str, extension: str = "201", **options: Any) -> Any:
        """A call of the API by a device of an extension."""
        headers = {"Authorization": f"Bearer {self.tokens[extension]}"}
        url = f"{self.server.url}/api/v1{path}"
        answer = requests.request(method, url, headers=headers, timeout=PATIENCE, **options)
        assert answer.ok, answer.text
        return answer.json() if answer.content else None
