"""Registration of the account at the PBX (RFC 3261 §10): one contact, renewed in time."""

import time
from contextlib import suppress
from dataclasses import replace
from secrets import token_hex

from services.core.errors import Kind, PushError
from services.core.ip_addresses import parse_address
from services.push.sip.account import SipAccount, SipTimes
from services.push.sip.addresses import NameAddress, Uri
from services.push.sip.connection import Connection
from services.push.sip.errors import NoAnswer, NotConnected, NotRegistered
from services.push.sip.grammar import Unreadable, param
from services.push.sip.requests import Draft, Requester, uri_host
from services.push.sip.sip_message import Response

LONGEST_EXPIRES = 24 * 3600  # seconds; what a PBX may ask for by 423
END_SECONDS = 3.0  # deadline of the request that ends the registration
# Refusals that may pass: time-outs, overload, a restart.
TEMPORARY = {408, 480, 500, 502, 503, 504, 600, 603}


class Registration:
    """The account's registration: its contact, and when it has to be renewed."""

    def __init__(self, account: SipAccount, times: SipTimes, requester: Requester) -> None:
        self._account = account
        self._times = times
        self._requester = requester
        self._expires = times.expires
        self._contact: Uri | None = None
        self._connection: Connection | None = None
        self._began_at = 0.0
        self._renew_at = 0.0
        self._ends_at = 0.0
        domain = Uri(host=uri_host(account.domain))
        address = NameAddress(replace(domain, user=account.username))
        sender = address.with_tag(token_hex(8))
        self._draft = Draft("REGISTER", domain, sender, address)

    @property
    def lost(self) -> bool:
        """Whether the connection over which the account is registered is lost."""
        return self._connection is not None and self._connection.lost

    @property
    def is_due(self) -> bool:
        """Whether it is time to renew the registration."""
        return time.monotonic() >= self._renew_at

    @property
    def contact(self) -> Uri | None:
        """The address at which the PBX reaches us while the account is registered."""
        return self._contact

    def register(self) -> int:
        """Register or renew; returns the seconds that the PBX granted.

        A PBX that does not answer is asked once more at once, on a new connection. Raises
        ``NotRegistered``, and what ``Requester.exchange`` raises.
        """
        try:
            return self._register()
        except (NoAnswer, NotConnected):
            self._requester.drop()
        return self._register()

    def register_anew(self) -> int:
        """Register after a loss, as ``register``. Raises ``NoAnswer`` where that came at once."""
        if time.monotonic() - self._began_at < self._times.stable:
            raise NoAnswer(
                f"The PBX at {self._requester.place} closed the connection after the registration."
            )
        return self.register()

    def renew(self) -> int:
        """Renew a registration, as ``register``; a temporary refusal is no error while it holds."""
        try:
            return self.register()
        except NotRegistered as refusal:
            left = self._ends_at - time.monotonic()
            pause = refusal.retry_after or self._times.refresh
            if refusal.kind is not Kind.RETRY or self.lost or left < pause + self._times.register:
                raise
            self._renew_at = time.monotonic() + pause
            return int(left)

    def end(self) -> None:
        """End the registration, if there is one and the PBX answers."""
        if self._contact is None or self._connection is None or self._connection.lost:
            return  # the next registration removes the contact
        contact, self._contact = self._contact, None
        with suppress(PushError):
            self._exchange(contact, 0, END_SECONDS)

    def _register(self) -> int:
        connection = self._requester.connection()
        contact = self._contact
        if contact is None or connection is not self._connection:
            contact = self._contact_at(*connection.local, connection)
            self._remove_former(contact)
        response = self._accepted(contact)
        seen = self._seen_from(response)
        if seen is not None and seen != (contact.host, contact.port):
            self._contact, self._connection = contact, connection
            contact = self._contact_at(*seen, connection)
            self._remove_former(contact)
            response = self._accepted(contact)
        self._contact, self._connection = contact, connection
        self._requester.routes = response.headers.all("service-route")
        return self._granted(response, contact)

    def _contact_at(self, host: str, port: int, connection: Connection) -> Uri:
        transport = connection.transport
        params = () if transport == "udp" else (("transport", transport),)
        return Uri(user=self._account.username, host=host, port=port, params=params)

    def _remove_former(self, contact: Uri) -> None:
        """Remove the contact of before: the PBX cannot reach us there any more."""
        before, self._contact = self._contact, None
        if before is not None and before != contact:
            self._exchange(before, 0, self._times.register)

    def _accepted(self, contact: Uri) -> Response:
        """Register a contact and return the response, which is a success."""
        response = self._exchange(contact, self._expires, self._times.register)
        if response.status == 423:
            shortest = _number(response, "min-expires") or 0
            if self._expires < shortest <= LONGEST_EXPIRES:
                self._expires = shortest
                response = self._exchange(contact, self._expires, self._times.register)
        if response.status >= 300:
            raise self._refusal(response)
        return response

    def _exchange(self, contact: Uri, expires: int, seconds: float) -> Response:
        self._draft.headers = [
            ("contact", f"<{contact}>;expires={expires}"),
            ("expires", str(expires)),
            ("supported", "path"),
            ("allow", "MESSAGE, OPTIONS, NOTIFY"),
        ]
        return self._requester.exchange(self._draft, seconds)[0]

    def _granted(self, response: Response, contact: Uri) -> int:
        """The seconds that the PBX granted; sets when to renew."""
        granted = _expires_of(response, contact)
        if granted is None:
            granted = self._expires
        if granted <= 0:
            raise NotRegistered("The PBX has not kept the registration.", Kind.RETRY)
        now = time.monotonic()
        self._began_at = now
        self._renew_at = now + min(granted / 2, self._times.refresh)
        self._ends_at = now + granted
        return granted

    def _seen_from(self, response: Response) -> tuple[str, int] | None:
        """Host and port from which the PBX got the request (RFC 3581), if it says so."""
        via = response.vias[0]
        port = via.param("rport") or ""
        address = parse_address((via.param("received") or via.host).strip("[]"))
        if address is None or not port.isdecimal() or not 0 < int(port) < 65536:
            return None
        return uri_host(str(address)), int(port)

    def _refusal(self, response: Response) -> NotRegistered:
        status, place = response.status, self._requester.place
        said = f"{status} {response.reason}"[:60] if response.reason.isprintable() else str(status)
        kind = Kind.RETRY if status in TEMPORARY else Kind.CONFIG
        reason = f"The PBX at {place} does not register “{self._account.username}” ({said})."
        if 300 <= status < 400:
            reason += f" It names another server{_redirect(response)}: set SIP_SERVER to that."
        elif kind is Kind.CONFIG:
            reason += " Check SIP_USERNAME and SIP_DOMAIN, and that the account may register there."
        retry_after = response.retry_after if kind is Kind.RETRY else None
        return NotRegistered(reason, kind, code=str(status), retry_after=retry_after)


def _redirect(response: Response) -> str:
    try:
        hosts = [address.uri.host for address in response.addresses("contact")]
    except Unreadable:
        return ""
    return f", {hosts[0]}" if hosts else ""


def _expires_of(response: Response, contact: Uri) -> int | None:
    """The seconds for a contact in a 200: of the contact itself, or of all."""
    try:
        for each in response.addresses("contact"):
            expires = param(each.params, "expires")
            same = (each.uri.user, each.uri.host, each.uri.port)
            if same == (contact.user, contact.host, contact.port) and expires is not None:
                return int(expires) if expires.isdecimal() and len(expires) < 10 else None
    except Unreadable:
        pass
    return _number(response, "expires")


def _number(response: Response, name: str) -> int | None:
    try:
        return response.number(name)
    except Unreadable:
        return None
