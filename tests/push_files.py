"""What push channels are given in tests."""

from services.http import Http
from services.push.address import Places
from services.push.base import Surroundings
from services.push.vapid import Vapid, derived_key

APP_URL = "https://sms.example.com"
VAPID = Vapid(derived_key(b"a key for the tests of the pushes"), APP_URL)


def surroundings(http: Http, *hosts: str) -> Surroundings:
    """What every channel is given; ``hosts`` are the operator's own, as origins."""
    return Surroundings(http, Http(public_only=True), VAPID, Places(hosts), APP_URL)
