"""Sender IDs at Wavix: a number, or a name where the recipient's country allows names.

The rules: https://docs.wavix.com/messaging/send-sms.
"""

import re

from services.core.errors import Kind, SendError
from services.core.messages import Message
from services.core.phone_numbers import country_of

_NUMBER = re.compile(r"\+?[1-9][0-9]{7,14}", re.ASCII)
_NAME = re.compile(r"(?=.*[A-Za-z])[A-Za-z0-9 ]{3,11}", re.ASCII)


def sender_id(value: str) -> str:
    """A Sender ID: a number with its country code, or a name; raises ``ValueError`` for neither."""
    if not _NUMBER.fullmatch(value) and not _NAME.fullmatch(value):
        raise ValueError(
            "it must be a number with its country code such as +12025550143, or a name of 3 to 11 "
            "letters, digits and spaces with a letter in it."
        )
    return value


def sender_of(message: Message, default: str | None) -> str:
    """The Sender ID of a message: its number's own, the installation's, or the number itself.

    A name gives way to the number where the recipient's country takes none. Raises ``SendError``.
    """
    wanted = message.sender_id or default or message.number
    try:
        sender = sender_id(wanted)
    except ValueError as error:
        reason = f"“{wanted}” cannot be a Sender ID at Wavix: {error}"
        raise SendError(reason, Kind.REFUSED) from None
    if _NUMBER.fullmatch(sender) or _takes_names(message.peer):
        return sender
    return message.number


def _takes_names(peer: str) -> bool:
    """Whether a recipient may get a name for a sender: not in the USA and Canada."""
    if peer.startswith("+1"):  # shared with Jamaica and others; an unknown number may be theirs
        return country_of(peer) not in ("US", "CA", None)
    return peer.startswith("+")  # a short code wants a number
