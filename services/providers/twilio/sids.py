"""SIDs, the ids of Twilio."""

import re

from services.core.messages import Message

_MESSAGE = re.compile(r"(SM|MM)[0-9a-f]{32}", re.ASCII)


def message_sid(message: Message) -> str:
    """The SID of a message: its own where it is known, else one made of our id."""
    known = message.provider_id or ""
    if _MESSAGE.fullmatch(known):
        return known
    return ("MM" if message.media else "SM") + message.id.replace("-", "")
