"""Inbound SIP: reads FreeSWITCH events for texts from phones and for registrations.

Source: https://developer.signalwire.com/freeswitch/FreeSWITCH-Explained/Introduction/Event-System/Event-List_7143557/
"""

import re
from collections.abc import Mapping
from urllib.parse import unquote
from uuid import uuid4

from services.core.messages import clean
from services.push.base import ExtensionReachable, InboundText
from services.push.freeswitch.event_socket import EventSocket, Packet

_USER = re.compile(r"[A-Za-z0-9._*+-]{1,32}", re.ASCII)


def parse_event(
    connection: EventSocket, event: Packet, domain: str, profile: str
) -> InboundText | ExtensionReachable | None:
    """The text or registration in an event, if any. Raises ``PushError`` on a lost connection."""
    headers = event.headers
    if headers.get("event-subclass") == "sofia::register":
        is_local = headers.get("from-host", "").lower() == domain
        return ExtensionReachable(headers.get("from-user", "")) if is_local else None
    if not _is_text(headers, domain, profile) or not event.body.strip():
        return None
    to = unquote(headers.get("to_user", "")).partition(";")[0]
    if _USER.fullmatch(to) and connection.api(f"user_exists id {to} {domain}") == "true":
        return None  # a text between two extensions of the PBX
    # Core and sequence are the same in every process that receives the event.
    text_id = f"sip:{headers.get('core-uuid', '')}:{headers.get('event-sequence') or uuid4()}"
    return InboundText(clean(headers.get("from_user", "")), clean(to), clean(event.body), text_id)


def _is_text(headers: Mapping[str, str], domain: str, profile: str) -> bool:
    """Whether a SIP MESSAGE is a plain text that a phone of this domain sent.

    Only the profile of the phones counts: another one, such as the profile for SIP trunks, accepts
    messages from anyone. Other content types are reports of the phone's software.
    """
    return (
        headers.get("sip_profile") == profile
        and headers.get("from_host", "").lower() == domain
        and headers.get("type", "text/plain").lower().startswith("text/plain")
    )
