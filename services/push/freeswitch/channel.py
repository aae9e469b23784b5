"""SIP MESSAGE through FreeSWITCH, to and from desk phones and plain SIP clients.

https://developer.signalwire.com/freeswitch/FreeSWITCH-Explained/Modules/mod_sms_6586946/

FreeSWITCH keeps nothing: what a phone does not take at once stays with us, and goes out when the
phone registers.
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
from services.http import DeadlineExceeded, deadline
from services.push.base import CameBack, ChannelContext, TwoWayChannel, Wrote
from services.push.freeswitch.event_socket import EventSocket, Packet
from services.push.freeswitch.sip_inbound import understood
from services.push.freeswitch.sip_text import fitting, texts

REPORT_SECONDS = 25.0  # FreeSWITCH itself waits 20 seconds for the phone
PING_SECONDS = 30
REMEMBERED = 2000
CANNOT = {"404", "405", "415", "488"}  # this phone takes no texts, now or later


def host(value: str) -> str:
    """A host name or an address in lower case."""
    if not re.fullmatch(r"[A-Za-z0-9.:\[\]_-]{1,253}", value, re.ASCII):
        raise ValueError("it must be a host name or an address, without a port.")
    return value.lower()


def profile_name(value: str) -> str:
    """The name of a SIP profile."""
    if not re.fullmatch(r"[A-Za-z0-9._-]{1,64}", value, re.ASCII):
        raise ValueError("it must be the name of a SIP profile, such as internal.")
    return value


def one_line(value: str) -> str:
    """A text of one line."""
    if not value.isprintable():
        raise ValueError("it must be one line of printable characters.")
    return value


@dataclass(frozen=True)
class FreeSwitchSettings:
    """The event socket, and where the phones are registered."""

    esl_ip: str = variable(
        "Address of FreeSWITCH's event socket.",
        parse=host,
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
        parse=host,
        example="pbx.example.com",
    )
    sip_profile: str = variable(
        "SIP profile at which the phones register.",
        parse=profile_name,
        default="internal",
        example="internal",
    )


class FreeSwitch(TwoWayChannel):
    """Texts the phones of every extension, and hears what they text."""

    name = "freeswitch"
    title = "FreeSWITCH"
    prefix = "FS_"
    Settings = FreeSwitchSettings
    per_device = False
    updates = True
    seconds = 40.0  # the total deadline of one SIP MESSAGE

    def __init__(self, settings: FreeSwitchSettings, around: ChannelContext) -> None:
        self._settings = settings
        self._opening = Lock()
        self._connection: EventSocket | None = None
        self._reports: dict[str, Queue[Packet | None]] = {}
        self._taken: deque[str] = deque(maxlen=REMEMBERED)  # what phones have; none comes twice

    def notify(self, device: Device, notice: Notice) -> None:
        """Send what a notice says; returns when the phone has it. Raises ``PushError``."""
        for key, peer, text in texts(notice):
            if key not in self._taken:
                self._deliver(device.extension, peer, text)
                self._taken.append(key)

    def answer(self, wrote: Wrote, reason: str) -> None:
        """Tell a user why a text was not taken, without waiting for the phone."""
        with self._in_time():
            connection = self._open()
            for part in fitting(f"Not sent to {wrote.to}: {reason}"):
                headers = self._headers(wrote.extension, wrote.to)
                connection.send_event("CUSTOM", headers | {"blocking": "false"}, part)

    def listen(self) -> Generator[Wrote | CameBack | None, None, None]:
        """What phones text and which of them register, see ``TwoWayChannel``."""
        known = self._settings
        events: Queue[Packet | None] = Queue()
        connection = self._connect(events.put)
        try:
            connection.command("event plain RECV_MESSAGE CUSTOM sofia::register")
            yield None
            silent = 0
            while True:
                try:
                    event = events.get(timeout=1.0)
                except Empty:
                    silent += 1
                    if silent % PING_SECONDS == 0:
                        connection.api("uptime")  # notices a connection that hangs
                    yield None
                    continue
                if event is None:
                    raise PushError("The connection to FreeSWITCH broke.", Kind.RETRY)
                silent = 0
                yield understood(connection, event, known.sip_domain, known.sip_profile)
        finally:
            connection.close()

    def close(self) -> None:
        """Hang up."""
        with self._opening:
            if self._connection is not None:
                self._connection.close()

    # Out

    def _deliver(self, extension: str, peer: str, text: str) -> None:
        """Send one SIP MESSAGE and wait for what the phone says to it."""
        headers = self._headers(extension, peer)
        report: Queue[Packet | None] = Queue()
        self._reports[headers["gateway-msg-id"]] = report
        try:
            with self._in_time():
                connection = self._open()
                self._find(connection, extension)
                connection.send_event("CUSTOM", headers, text)
                said = report.get(timeout=REPORT_SECONDS)
        except Empty:
            raise PushError("FreeSWITCH did not report what became of it.", Kind.RETRY) from None
        finally:
            del self._reports[headers["gateway-msg-id"]]
        if said is None:
            raise PushError("The connection to FreeSWITCH broke meanwhile.", Kind.RETRY)
        if said.headers.get("status") == "Failure":
            raise self._refusal(extension, said.headers.get("delivery-result-code", ""))

    def _find(self, connection: EventSocket, extension: str) -> None:
        """Make sure that an extension is registered: FreeSWITCH would lose its text otherwise."""
        contact = connection.api(f"sofia_contact */{extension}@{self._settings.sip_domain}")
        if "user_not_registered" in contact:
            reason = f"No phone of {extension} is registered. It gets the text when one is."
            raise PushError(reason, Kind.RETRY, code="user_not_registered")
        if contact.startswith(("-ERR", "error/")):
            reason = f"FreeSWITCH cannot say where {extension} is registered: “{contact[:80]}”."
            raise PushError(reason, Kind.RETRY)

    def _refusal(self, extension: str, code: str) -> PushError:
        if code in CANNOT:
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
            "from_full": f"<sip:{sender}@{domain}>",  # becomes the phone's From
            "to": f"{extension}@{domain}",
            "to_user": extension,
            "to_host": domain,
            "sip_profile": self._settings.sip_profile,
            "type": "text/plain",  # else it is text/html
            "subject": "SIMPLE MESSAGE",
            "blocking": "true",
            "replying": "true",
            "gateway-msg-id": str(uuid4()),  # comes back in the report
        }

    # The connection

    def _open(self) -> EventSocket:
        """The connection on which we send, made anew if it is lost."""
        with self._opening:
            if self._connection is None or self._connection.lost:
                self._connection = self._connect(self._reported)
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

    def _connect(self, hear: Callable[[Packet | None], None]) -> EventSocket:
        known = self._settings
        return EventSocket(known.esl_ip, known.esl_port, known.esl_pw, hear)

    def _reported(self, event: Packet | None) -> None:
        if event is None:
            for waiting in list(self._reports.values()):
                waiting.put(None)
        elif waits := self._reports.get(event.headers.get("gateway-msg-id", "")):
            waits.put(event)

    @contextmanager
    def _in_time(self) -> Iterator[None]:
        try:
            with deadline(self.seconds):
                yield
        except DeadlineExceeded:
            reason = f"FreeSWITCH was not done within {self.seconds:.0f} seconds."
            raise PushError(reason, Kind.RETRY) from None
