"""Subscriptions to the registrations of extensions: the reg event package (RFC 3680, RFC 6665)."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from secrets import token_hex

from services.core.errors import PushError
from services.push.sip.account import SipAccount, SipTimes
from services.push.sip.addresses import NameAddress, Uri
from services.push.sip.errors import NotConnected
from services.push.sip.events import ExtensionState, WatchRefused
from services.push.sip.grammar import Unreadable
from services.push.sip.reg_info import CONTENT_TYPE, read_reginfo
from services.push.sip.requests import Draft, Requester, uri_host
from services.push.sip.sip_message import Request

EXPIRES = 3600  # seconds; what is asked for
PAUSE_SECONDS = 60.0  # before a subscription that failed or ended is tried again
NOT_OFFERED = {401, 403, 405, 407, 489, 501}  # for no address at all


@dataclass(slots=True)
class _Subscription:
    target: Uri
    due: float = 0.0
    call_ids: list[str] = field(default_factory=list)  # of the present one and of the one before


class Subscriptions:
    """Subscribes to the registrations of addresses, and reads the notifications.

    A subscription is not renewed but made anew in time: the one before ends by itself, and a state
    that is reported twice does no harm.
    """

    def __init__(
        self,
        account: SipAccount,
        times: SipTimes,
        requester: Requester,
        contact: Callable[[], Uri | None],
    ) -> None:
        self._account = account
        self._times = times
        self._requester = requester
        self._contact = contact
        self._subscriptions: list[_Subscription] = []
        self._offered = True  # as far as is known

    def watch(self, targets: Sequence[Uri]) -> None:
        """Watch these addresses from now on, and no others."""
        known = {str(each.target): each for each in self._subscriptions}
        self._subscriptions = [
            known.get(str(target)) or _Subscription(target) for target in targets
        ]

    def restart(self) -> None:
        """Subscribe to every address again: the PBX may have forgotten it."""
        self._offered = True
        for each in self._subscriptions:
            each.due = 0.0

    def subscribe_next(self) -> WatchRefused | None:
        """Subscribe to one address if it is time for one; returns a refusal.

        Where the PBX offers no such subscriptions at all, or does not answer, none is tried again
        before ``restart``.
        """
        now = time.monotonic()
        due = next((each for each in self._subscriptions if each.due <= now), None)
        if due is None or not self._offered:
            return None
        try:
            status, granted = self._subscribe(due)
        except NotConnected:
            return None
        except PushError as error:  # no answer, or a password that does not count for this
            code = error.code or ""
            status, granted = int(code) if code.isdecimal() else 0, 0
        if 200 <= status < 300:
            due.due = time.monotonic() + max(granted * 0.8, PAUSE_SECONDS)
            return None
        if status in NOT_OFFERED or not status:
            self._offered = False
        due.due = time.monotonic() + EXPIRES
        return WatchRefused(f"{due.target}", status)

    def on_notify(self, request: Request) -> tuple[int, list[ExtensionState]]:
        """The status that answers a NOTIFY, and the states in it."""
        found = [
            each for each in self._subscriptions if request.headers.get("call-id") in each.call_ids
        ]
        if not found:
            return 481, []
        if (request.headers.get("event") or "").partition(";")[0].strip().lower() != "reg":
            return 489, []
        state = (request.headers.get("subscription-state") or "").partition(";")[0].strip().lower()
        if state == "terminated" and request.headers.get("call-id") == found[0].call_ids[-1]:
            found[0].due = min(found[0].due, time.monotonic() + PAUSE_SECONDS)
        if not request.body:
            return 200, []
        if (request.headers.get("content-type") or "").partition(";")[
            0
        ].strip().lower() != CONTENT_TYPE:
            return 415, []
        try:
            return 200, read_reginfo(request.body)
        except Unreadable as error:
            return error.status, []

    def _subscribe(self, subscription: _Subscription) -> tuple[int, int]:
        """Send SUBSCRIBE; returns status and seconds granted. Raises ``PushError``."""
        contact = self._contact()
        address = NameAddress(Uri(user=self._account.username, host=uri_host(self._account.domain)))
        draft = Draft(
            "SUBSCRIBE",
            subscription.target,
            address.with_tag(token_hex(8)),
            NameAddress(replace(subscription.target, params=())),
            [
                ("contact", f"<{contact or address.uri}>"),
                ("event", "reg"),
                ("accept", CONTENT_TYPE),
                ("expires", str(EXPIRES)),
            ],
        )
        subscription.call_ids = [*subscription.call_ids[-1:], draft.call_id]
        response, _ = self._requester.exchange(draft, self._times.register)
        try:
            granted = response.number("expires")
        except Unreadable:
            granted = None
        return response.status, EXPIRES if granted is None else granted
