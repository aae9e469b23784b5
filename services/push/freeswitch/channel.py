"""FreeSWITCH push channel: SIP MESSAGE to and from desk phones and SIP clients.

Source: https://developer.signalwire.com/freeswitch/FreeSWITCH-Explained/Modules/mod_sms_6586946/

FreeSWITCH does not store messages. A text that the phone does not accept at once stays queued here
and is sent when the phone registers.
"""

import re
from collections import deque
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from queue import Empty, Queue
from threading import Lock
from urllib.parse import quote
from uuid import uuid4

from services.config.parsers import whole_number
from services.config.variables import variable
from services.core.errors import Kind, PushError
from services.core.messages import Device, Notice
from services.http.deadline import DeadlineExceeded, deadline
from services.push.base import ChannelContext, InboundEvent, InboundText, TwoWayChannel
from services.push.freeswitch.event_socket import EventSocket, Packet
from services.push.freeswitch.sip_inbound import parse_event
from services.push.sip_text import sip_texts, split_for_sip

REPORT_SECONDS = 25.0  # FreeSWITCH waits 20 seconds for the phone
PING_SECONDS = 30
REMEMBERED_TEXTS = 2000
NOT_SUPPORTED = {"404", "405", "415", "488"}  # SIP codes of a phone that never accepts texts


def host_name(value: str) -> str:
    """Validate a host name or IP address; returns it in lower case. Raises ``ValueError``."""
    if not re.fullmatch(r"[A-Za-z0-9.:\[\]_-]{1,253}", value, re.ASCII):
        raise ValueError("it must be a host name or an address, without a port.")
    return value.lower()


def profile_name(value: str) -> str:
    """Validate the name of a SIP profile. Raises ``ValueError``."""
    if not re.fullmatch(r"[A-Za-z0-9._-]{1,64}", value, re.ASCII):
        raise ValueError("it must be the name of a SIP profile, such as internal.")
    return value


def one_line(value: str) -> str:
    """Validate a text of one line. Raises ``ValueError``."""
    if not value.isprintable():
        raise ValueError("it must be one line of printable characters.")
    return value


@dataclass(frozen=True)
class FreeSwitchSettings:
    """The variables ``FS_…``: the event socket, and the SIP domain and profile of the phones."""

    esl_ip: str = variable(
        "Address of FreeSWITCH's event socket.",
        parse=host_name,
        default="127.0.0.1",
        example="127.0.0.1",
    )
    esl_port: int = variable(
        "Its port.", parse=whole_number(1, 65535), default="8021", example="8021"
    )
    esl_pw: str = variable(
        "Its password; the default is FreeSWITCH's own, which you should change there.",
        parse=one_line,
        default="ClueCon",
        secret=True,
    )
    sip_domain: str = variable(
        "Domain of the phones' SIP addresses; turns texts to desk phones on.",
        parse=host_name,
        example="pbx.example.com",
    )
    sip_profile: str = variable(
        "SIP profile at which the phones register.",
        parse=profile_name,
        default="internal",
        example="internal",
    )


class FreeSwitch(TwoWayChannel):
    """Sends texts to the phones of every extension, and receives the texts that they send."""

    name = "freeswitch"
    title = "FreeSWITCH"
    prefix = "FS_"
    Settings = FreeSwitchSettings
    per_device = False
    wants_status_updates = True
    seconds = 40.0  # the total deadline of one SIP MESSAGE

    def __init__(self, settings: FreeSwitchSettings, context: ChannelContext) -> None:
        self._settings = settings
        self._opening = Lock()
        self._connection: EventSocket | None = None
        self._reports: dict[str, Queue[Packet | None]] = {}
        self._delivered: deque[str] = deque(maxlen=REMEMBERED_TEXTS)  # keys of texts

    def notify(self, device: Device, notice: Notice) -> None:
        """Send a notice as SIP texts; returns when the phone has them. Raises ``PushError``."""
        for told in sip_texts(notice):
            for position, part in enumerate(split_for_sip(told.text)):
                key = f"{told.key} {position}"
                if key not in self._delivered:
                    self._deliver(device.extension, told.peer, part)
                    self._delivered.append(key)

    def report_refusal(self, refused: InboundText, reason: str) -> None:
        """Tell a user why a text was not accepted, without waiting for the phone."""
        with self._total_deadline():
            connection = self._open()
            for part in split_for_sip(refused.refusal(reason)):
                headers = self._headers(refused.extension, refused.to)
                connection.send_event("CUSTOM", headers | {"blocking": "false"}, part)

    def inbound_events(self) -> Generator[InboundEvent | None, None, None]:
        """The texts that phones send, and their registrations, see ``TwoWayChannel``."""
        settings = self._settings
        events: Queue[Packet | None] = Queue()
        connection = self._connect(events.put)
        try:
            connection.command("event plain RECV_MESSAGE CUSTOM sofia::register")
            yield None
            idle_seconds = 0
            while True:
                try:
                    event = events.get(timeout=1.0)
                except Empty:
                    idle_seconds += 1
                    if idle_seconds % PING_SECONDS == 0:
                        connection.api("uptime")  # raises on a dead connection
                    yield None
                    continue
                if event is None:
                    raise PushError("The connection to FreeSWITCH broke.", Kind.RETRY)
                idle_seconds = 0
                yield parse_event(connection, event, settings.sip_domain, settings.sip_profile)
        finally:
            connection.close()

    def close(self) -> None:
        """Close the connection on which texts are sent."""
        with self._opening:
            if self._connection is not None:
                self._connection.close()

    # Sending

    def _deliver(self, extension: str, peer: str, text: str) -> None:
        """Send one SIP MESSAGE and wait for the phone's answer to it."""
        headers = self._headers(extension, peer)
        report: Queue[Packet | None] = Queue()
        self._reports[headers["gateway-msg-id"]] = report
        try:
            with self._total_deadline():
                connection = self._open()
                self._require_registration(connection, extension)
                connection.send_event("CUSTOM", headers, text)
                answer = report.get(timeout=REPORT_SECONDS)
        except Empty:
            raise PushError("FreeSWITCH did not report what became of it.", Kind.RETRY) from None
        finally:
            del self._reports[headers["gateway-msg-id"]]
        if answer is None:
            raise PushError("The connection to FreeSWITCH broke meanwhile.", Kind.RETRY)
        if answer.headers.get("status") == "Failure":
            raise self._refusal(extension, answer.headers.get("delivery-result-code", ""))

    def _require_registration(self, connection: EventSocket, extension: str) -> None:
        """Raise ``PushError`` for an unregistered extension: FreeSWITCH would lose the text."""
        contact = connection.api(f"sofia_contact */{extension}@{self._settings.sip_domain}")
        if "user_not_registered" in contact:
            reason = f"No phone of {extension} is registered. It gets the text when one is."
            raise PushError(reason, Kind.RETRY, code="user_not_registered")
        if contact.startswith(("-ERR", "error/")):
            reason = f"FreeSWITCH cannot say where {extension} is registered: “{contact[:80]}”."
            raise PushError(reason, Kind.RETRY)

    def _refusal(self, extension: str, code: str) -> PushError:
        if code in NOT_SUPPORTED:
            reason = f"The phone of {extension} takes no texts (SIP {code})."
            return PushError(reason, Kind.REFUSED, code=code)
        if not code:
            reason = (
                f"FreeSWITCH could not send to {extension} by the SIP profile "
                f"“{self._settings.sip_profile}”. Is FS_SIP_PROFILE where it is registered?"
            )
            return PushError(reason, Kind.RETRY)
        said = f"answered SIP {code}" if code != "0" else "did not answer"
        return PushError(f"The phone of {extension} {said}.", Kind.RETRY, code=code)

    def _headers(self, extension: str, peer: str) -> dict[str, str]:
        domain = self._settings.sip_domain
        sender = quote(peer, safe="+")
        return {
            "Event-Subclass": "SMS::SEND_MESSAGE",
            "proto": "sip",
            "dest_proto": "sip",
            "from": f"sip:{sender}@{domain}",
            "from_user": sender,
            "from_host": domain,
            "from_full": f"<sip:{sender}@{domain}>",  # the From header at the phone
            "to": f"{extension}@{domain}",
            "to_user": extension,
            "to_host": domain,
            "sip_profile": self._settings.sip_profile,
            "type": "text/plain",  # the default is text/html
            "subject": "SIMPLE MESSAGE",
            "blocking": "true",
            "replying": "true",
            "gateway-msg-id": str(uuid4()),  # repeated in the delivery report
        }

    # The connection

    def _open(self) -> EventSocket:
        """The connection for sending; opens a new one if it is lost."""
        with self._opening:
            if self._connection is None or self._connection.lost:
                self._connection = self._connect(self._on_report)
                try:
                    self._prepare(self._connection)
                except BaseException:
                    self._connection.close()
                    raise
            return self._connection

    def _prepare(self, connection: EventSocket) -> None:
        if connection.api("module_exists mod_sms") != "true":
            reason = (
                "FreeSWITCH's module mod_sms is not loaded. Run “load mod_sms” in fs_cli and add "
                "it to modules.conf.xml."
            )
            raise PushError(reason, Kind.CONFIG)
        connection.command("event plain CUSTOM SMS::DELIVERY_REPORT")

    def _connect(self, on_event: Callable[[Packet | None], None]) -> EventSocket:
        settings = self._settings
        return EventSocket(settings.esl_ip, settings.esl_port, settings.esl_pw, on_event)

    def _on_report(self, event: Packet | None) -> None:
        if event is None:
            for waiting in list(self._reports.values()):
                waiting.put(None)
        elif report := self._reports.get(event.headers.get("gateway-msg-id", "")):
            report.put(event)

    @contextmanager
    def _total_deadline(self) -> Iterator[None]:
        try:
            with deadline(self.seconds):
                yield
        except DeadlineExceeded:
            reason = f"FreeSWITCH was not done within {self.seconds:.0f} seconds."
            raise PushError(reason, Kind.RETRY) from None
