"""What the stories of the phone app share: numbers, phones outside, and a look at the server."""

from itertools import count
from typing import Any

import requests

from services.gateway import load_environment
from services.store import devices, inbox
from services.store.database.store import Store
from tests.conftest import settings_file
from tests.server import Server
from tests.waiting import PATIENCE, eventually

SHARED_NUMBER = "+12025550100"  # of 201 and 202
SALES = "+12025550160"  # of 201 alone
SINGLE = "+12025550170"  # all that 203 has
SETTINGS = settings_file(
    {
        "number": SHARED_NUMBER,
        "carrier": "sandbox",
        "extensions": ["201", "202"],
        "description": "Front desk",
    },
    {"number": SALES, "carrier": "sandbox", "extensions": ["201"], "description": "Sales"},
    {"number": SINGLE, "carrier": "sandbox", "extensions": ["203"]},
)
IPHONE = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_4 like Mac OS X) AppleWebKit/605.1.15 "
    "(KHTML, like Gecko) Version/17.4 Mobile/15E148 Safari/604.1"
)
_peers = count(1000)
_ids = count(1)


class World:
    """Everything around the app: the carrier's webhook, other devices, the operator's codes."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.store = Store(None, server.storage)
        self._tokens: dict[str, str] = {}

    def peer(self) -> str:
        """A number outside that nobody has used yet."""
        return f"+1303556{next(_peers)}"

    def code(self, extension: str = "201") -> str:
        """A pairing code."""
        return self.store.write(lambda tx: devices.add_pairing(tx, extension))

    def text(
        self, peer: str, text: str, to: str = SHARED_NUMBER, media: tuple[str, ...] = ()
    ) -> None:
        """Somebody outside writes."""
        event = {"id": f"o{next(_ids)}", "from": peer, "to": to, "text": text}
        self._post({**event, "media": [f"{self.server.url}{path}" for path in media]})

    def receipt(self, message_id: str, status: str = "delivered") -> None:
        """The carrier tells what became of a message."""
        self._post({"receipt": message_id, "status": status})

    def api(self, method: str, path: str, extension: str = "201", **options: Any) -> Any:
        """What another device of an extension gets from the API."""
        if extension not in self._tokens:
            made = self.store.write(lambda tx: devices.add(tx, extension, "Other"))
            self._tokens[extension] = made[1]
        headers = {"Authorization": f"Bearer {self._tokens[extension]}"}
        url = f"{self.server.url}/api/v1{path}"
        answer = requests.request(method, url, headers=headers, timeout=PATIENCE, **options)
        answer.raise_for_status()
        return answer.json() if answer.content else None

    def conversation(self, peer: str, number: str = SHARED_NUMBER, extension: str = "201") -> Any:
        """The conversation of a number outside with one of ours, or ``None``."""
        items = self.api("GET", "/conversations?limit=200", extension)["items"]
        return next((c for c in items if (c["peer"], c["number"]) == (peer, number)), None)

    def messages(self, peer: str, number: str = SHARED_NUMBER, extension: str = "201") -> list[Any]:
        """Everything between the two, oldest first."""
        found = self.conversation(peer, number, extension)
        if found is None:
            return []
        at = f"/conversations/{found['id']}/messages?limit=200"
        return list(reversed(self.api("GET", at, extension)["items"]))

    def sent(self, peer: str, number: str = SHARED_NUMBER, status: str = "sent") -> Any:
        """The newest message to somebody outside, once it is in a state."""

        def look() -> Any:
            out = [m for m in self.messages(peer, number) if m["direction"] == "out"]
            return out[-1] if out and out[-1]["status"] == status else None

        return eventually(look)

    def _post(self, event: dict[str, Any]) -> None:
        token = load_environment(self.server.env).webhook_token("sandbox")
        url = f"{self.server.url}/webhook/sandbox/sms?token={token}"
        requests.post(url, json=event, timeout=PATIENCE).raise_for_status()
        # A send that follows at once would else come before it.
        eventually(lambda: not self.store.read(inbox.count))


# What a test does with a page of the app


def spoken(peer: str) -> str:
    return f"({peer[2:5]}) {peer[5:8]}-{peer[8:]}"


def row(page: Any, name: str) -> Any:
    return page.locator("#conversations a", has_text=name)


def enter(page: Any, name: str) -> None:
    row(page, name).click()
    page.get_by_label(f"Message to {name}").wait_for()


def write(page: Any, text: str) -> None:
    page.locator(".composer textarea").fill(text)
    page.get_by_role("button", name="Send", exact=True).click()


def said(page: Any, text: str) -> Any:
    """The message with exactly this text."""
    return page.locator(".message", has=page.get_by_text(text, exact=True)).last


def texts(page: Any) -> list[str]:
    found: list[str] = page.locator(".message .words:visible").all_text_contents()
    return found


def shown(image: Any) -> None:
    """Wait until a picture is really painted; its address may change meanwhile."""
    image.wait_for()
    painted = "(image) => image.decode().then(() => image.naturalWidth > 0, () => false)"
    eventually(lambda: image.evaluate(painted))
