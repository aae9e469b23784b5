"""What push channels are given in tests."""

from services.http.client import Http
from services.push.address import PushHostPolicy
from services.push.base import ChannelContext
from services.push.vapid import Vapid, derived_key

APP_URL = "https://sms.example.com"
VAPID = Vapid(derived_key(b"a key for the tests of the pushes"), APP_URL)


def surroundings(http: Http, *hosts: str) -> ChannelContext:
    """What every channel is given; ``hosts`` are the operator's own, as origins."""
    return ChannelContext(http, Http(public_only=True), VAPID, PushHostPolicy(hosts), APP_URL)
