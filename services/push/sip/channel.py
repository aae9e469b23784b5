"""SIP push channel: texts on the phones of every PBX by SIP MESSAGE (RFC 3428), and their replies.

Textbridge is an account of the PBX. Every worker sends by itself; the one that has the lease keeps
the account registered and hears what phones write.
"""

from collections import deque
from collections.abc import Collection, Generator, Iterable, Sequence
from contextlib import closing
from dataclasses import replace
from hashlib import sha256
from threading import BoundedSemaphore, Thread

import structlog

from services.core.errors import Kind, PushError
from services.core.messages import Device, Finding, Notice, clean
from services.push.base import (
    ChannelContext,
    ExtensionReachable,
    InboundEvent,
    InboundText,
    PassedOn,
    Reconnected,
    TwoWayChannel,
)
from services.push.sip.account import DEFAULT_TIMES
from services.push.sip.addresses import NameAddress, Uri, parse_uri
from services.push.sip.delivery_answer import LONGEST_PAUSE, TooLong, result_of
from services.push.sip.errors import NoAnswer, NotRegistered, TooLongForUdp
from services.push.sip.events import (
    ExtensionState,
    IncomingMessage,
    Registered,
    SipEvent,
    WatchRefused,
)
from services.push.sip.grammar import Unreadable
from services.push.sip.inbound_text import Unvouched, inbound_text
from services.push.sip.pbx_needs import PBX_NEEDS
from services.push.sip.settings import SipSettings
from services.push.sip.user_agent import UserAgent
from services.push.sip_text import PART_BYTES, SipText, sip_texts, split_for_sip

log = structlog.get_logger()

# A process that is killed leaves its contact at the PBX, which sends texts there until it expires.
TIMES = replace(DEFAULT_TIMES, expires=120)
PARTS_BYTES = (PART_BYTES, 300)  # of the parts of a text that is too long as a whole
REMEMBERED_TEXTS = 2000
MOST_WATCHED = 500  # extensions
REFUSALS_AT_ONCE = 16  # that wait for the answers of their phones


class Sip(TwoWayChannel):
    """Sends texts to the phones of every extension, and receives the texts that they send."""

    name = "sip"
    title = "SIP"
    prefix = "SIP_"
    Settings = SipSettings
    per_device = False
    wants_status_updates = True
    replaces = ("freeswitch",)
    one_listener = True
    keep_seconds = 5.0  # with a last attempt that hangs, before the PBX waits no longer (32 s)
    config_wait = 300.0  # many PBXs block an address after some wrong passwords

    def __init__(self, settings: SipSettings, context: ChannelContext) -> None:
        self._settings = settings
        self._agent = UserAgent(settings.account, TIMES)
        self._delivered: deque[str] = deque(maxlen=REMEMBERED_TEXTS)  # keys of texts
        self._unanswered: dict[str, IncomingMessage] = {}
        self._watched: dict[str, None] = {}  # extensions, the newest last
        self._refusing = BoundedSemaphore(REFUSALS_AT_ONCE)
        if settings.email_after_minutes is not None:
            self.email_after = settings.email_after_minutes * 60.0

    def notify(self, device: Device, notice: Notice) -> PassedOn | None:
        """Send a notice as SIP texts; returns when the phone or the PBX has accepted them."""
        passed_on = None
        for told in sip_texts(notice):
            passed_on = self._deliver(device.extension, told) or passed_on
        return passed_on

    def check(self, extensions: Sequence[str]) -> Iterable[Finding]:
        """Register the account once, and say what each PBX needs. Raises ``PushError``."""
        settings = self._settings
        with closing(UserAgent(settings.account, TIMES)) as agent:
            seconds = agent.register()
        yield Finding(
            True,
            f"{settings.username} is registered at {settings.server} by {settings.transport}, for "
            f"{seconds} seconds. Texts of phones are those whose {settings.extension_header} names "
            "an extension.",
        )
        for pbx, need in PBX_NEEDS.items():
            yield Finding(True, f"{pbx}: {need}")

    # Inbound

    def inbound_events(self) -> Generator[InboundEvent | None, None, None]:
        """Register; the texts that phones send, and their registrations, see ``TwoWayChannel``."""
        self._unanswered.clear()
        self._watched.clear()
        with closing(self._agent.serve()) as events:
            for event in events:
                yield self._read(event)

    def begin_keeping(self, text: InboundText) -> bool:
        """Stop the time-out that answers 503 by itself; ``False`` where it has done so."""
        event = self._unanswered.get(text.id)
        return event is None or event.hold()

    def report_kept(self, kept: InboundText) -> None:
        """Answer 202: the text is on disk, and the carrier gets it."""
        self._answer(kept, 202)

    def report_refusal(self, refused: InboundText, reason: str) -> None:
        """Answer 202, and tell the phone why by a text of its own, without waiting for it.

        Few phones show the reason of an error, and many PBXs have answered them already.
        """
        self._answer(refused, 202)
        if not self._refusing.acquire(blocking=False):
            raise PushError("Too many phones are being told of refused texts.", Kind.RETRY)
        told = SipText(refused.id, refused.sender or "", refused.to, refused.refusal(reason))
        Thread(target=self._tell, args=(refused.extension, told), daemon=True).start()

    def report_not_kept(self, lost: InboundText, reason: str) -> None:
        """Answer 503: the PBX tells the phone, or tries again."""
        self._answer(lost, 503)

    def watch(self, extensions: Collection[str]) -> None:
        """Have the registrations of these extensions reported, where the PBX offers it.

        One is watched on when nothing waits for it: a new subscription tells its state again, and
        what a registered phone refuses would be sent to it again at once.
        """
        if new := sorted(set(extensions) - self._watched.keys()):
            kept = [*self._watched, *new][-MOST_WATCHED:]
            self._watched = dict.fromkeys(kept)
            self._agent.watch([self._address(extension) for extension in kept])

    def reconnect_after(self, error: PushError) -> float:
        """The Retry-After of a REGISTER that the PBX refuses for now."""
        asked = error.retry_after if isinstance(error, NotRegistered) else None
        return min(asked or 0.0, LONGEST_PAUSE)

    def close(self) -> None:
        """End the registration, and close the connections."""
        self._agent.close()

    def _read(self, event: SipEvent | None) -> InboundEvent | None:
        if isinstance(event, Registered) and event.again:
            return Reconnected()
        if isinstance(event, ExtensionState) and event.registered:
            return _reachable(event.address)
        if isinstance(event, WatchRefused):
            log.info("the PBX does not report registrations", status=event.status)
        return self._read_text(event) if isinstance(event, IncomingMessage) else None

    def _read_text(self, event: IncomingMessage) -> InboundText | None:
        """The text of an extension, or ``None`` where the request is answered here."""
        try:
            wrote = inbound_text(self._settings, event)
        except Unvouched as error:
            log.warning("text of an unknown extension refused", reason=str(error))
            event.answer(403, "Extension Unknown")
            return None
        if not wrote.text.strip():
            event.answer(200)
            return None
        self._unanswered[wrote.id] = event
        return wrote

    def _answer(self, text: InboundText, status: int) -> None:
        event = self._unanswered.pop(text.id, None)
        if event is not None:
            event.answer(status)

    def _tell(self, extension: str, told: SipText) -> None:
        try:
            self._deliver(extension, told)
        except PushError as error:
            log.warning("refusal not reported", extension=extension, reason=error.reason)
        finally:
            self._refusing.release()

    # Outbound

    def _deliver(self, extension: str, told: SipText) -> PassedOn | None:
        """Send a text whole, or in parts where that is too long. Raises ``PushError``."""
        whole = [clean(told.text)]
        for parts in (whole, *(split_for_sip(told.text, most) for most in PARTS_BYTES)):
            try:
                return self._send_all(extension, told, parts)
            except (TooLong, TooLongForUdp):
                log.info("text too long for a phone", extension=extension, parts=len(parts))
        reason = f"The phone of {extension} refuses every text as too long."
        raise PushError(reason, Kind.REFUSED, code="413")

    def _send_all(self, extension: str, told: SipText, parts: Sequence[str]) -> PassedOn | None:
        """Send the parts of a text that the phone does not have yet."""
        passed_on = None
        for position, part in enumerate(parts):
            key = f"{extension} {told.key} {position}/{len(parts)}"
            if key not in self._delivered:
                passed_on = self._send(extension, told, key, part) or passed_on
                self._delivered.append(key)
        return passed_on

    def _send(self, extension: str, told: SipText, key: str, text: str) -> PassedOn | None:
        """Send one MESSAGE; a repetition of a text has the same Call-ID."""
        settings = self._settings
        peer = told.peer or settings.username
        user = settings.from_.user(told.peer, told.number or None) if told.peer else peer
        try:
            answer = self._agent.send_message(
                self._address(extension),
                NameAddress(Uri(user=user, host=settings.uri_domain)),
                text,
                headers={"X-SMS-From": peer, "X-SMS-To": told.number} if told.number else {},
                call_id=f"{sha256(key.encode()).hexdigest()[:32]}@{settings.uri_domain}",
            )
        except NoAnswer as error:
            raise PushError(error.reason, error.kind, code=error.code, offline=True) from None
        return result_of(extension, answer)

    def _address(self, extension: str) -> Uri:
        return Uri(user=extension, host=self._settings.uri_domain)


def _reachable(address: str) -> ExtensionReachable | None:
    """The extension of an address that the PBX says is registered, if it can be read."""
    try:
        return ExtensionReachable(clean(parse_uri(address).user))
    except Unreadable:
        return None
