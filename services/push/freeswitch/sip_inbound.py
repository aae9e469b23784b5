"""What the events of FreeSWITCH mean: a phone texts somebody outside, or registers.

https://developer.signalwire.com/freeswitch/FreeSWITCH-Explained/Introduction/Event-System/Event-List_7143557/
"""

import re
from collections.abc import Mapping
from urllib.parse import unquote
from uuid import uuid4

from services.core.messages import clean
from services.push.base import CameBack, Wrote
from services.push.freeswitch.event_socket import EventSocket, Packet

_USER = re.compile(r"[A-Za-z0-9._*+-]{1,32}", re.ASCII)


def understood(
    connection: EventSocket, event: Packet, domain: str, profile: str
) -> Wrote | CameBack | None:
    """What an event means to us, if anything. Raises ``PushError`` when the connection is lost."""
    said = event.headers
    if said.get("event-subclass") == "sofia::register":
        ours = said.get("from-host", "").lower() == domain
        return CameBack(said.get("from-user", "")) if ours else None
    if not _is_text(said, domain, profile) or not event.body.strip():
        return None
    to = unquote(said.get("to_user", "")).partition(";")[0]
    if _USER.fullmatch(to) and connection.api(f"user_exists id {to} {domain}") == "true":
        return None  # phones of the house among themselves
    # Core and sequence are the same for everybody who hears the event.
    name = f"sip:{said.get('core-uuid', '')}:{said.get('event-sequence') or uuid4()}"
    return Wrote(clean(said.get("from_user", "")), clean(to), clean(event.body), name)


def _is_text(said: Mapping[str, str], domain: str, profile: str) -> bool:
    """Whether a SIP MESSAGE is a text from one of our phones, and no notice of its software.

    Another profile, such as the one that faces the carriers, takes messages from anybody.
    """
    return (
        said.get("sip_profile") == profile
        and said.get("from_host", "").lower() == domain
        and said.get("type", "text/plain").lower().startswith("text/plain")
    )
