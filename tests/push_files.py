"""What push channels are given in tests."""

from typing import Any

from services.core.messages import Notice
from services.http.client import Http
from services.push.address import PushHostPolicy
from services.push.base import ChannelContext
from services.push.vapid import Vapid, derived_key
from tests.conftest import NUMBER, PEER

APP_URL = "https://sms.example.com"
VAPID = Vapid(derived_key(b"a key for the tests of the pushes"), APP_URL)


def surroundings(http: Http, *hosts: str) -> ChannelContext:
    """What every channel is given; ``hosts`` are the operator's own, as origins."""
    return ChannelContext(http, Http(public_only=True), VAPID, PushHostPolicy(hosts), APP_URL)


def inbound_notice(text: str = "Are you open?", **changes: Any) -> Notice:
    """The notice of a text that came in; ``changes`` are fields of it or of its message."""
    message: dict[str, Any] = {
        "direction": "in",
        "from": PEER,
        "to": [NUMBER],
        "text": text,
        "media": [],
        "status": "received",
        "error": None,
        "sent_by": None,
    }
    fields = {name: changes.pop(name) for name in ("id", "type", "numbers") if name in changes}
    known: dict[str, Any] = {"id": "msg_1", "type": "message.received", "numbers": (NUMBER,)}
    return Notice(extension="201", at=0.0, message=message | changes, **(known | fields))
