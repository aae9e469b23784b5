"""What is known of the conversation of a mail: names, description of our number, link."""

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field

from services.core.messages import Message
from services.core.phone_numbers import international
from services.mail.headers import one_line

MOST_NAME = 60  # characters
RIGHT_TO_LEFT = {"R", "AL"}  # letters, by Unicode's bidirectional classes
LEFT_TO_RIGHT_MARK = "\u200e"


@dataclass(frozen=True, slots=True)
class MailDetails:
    """What a mail shows besides its message.

    ``names`` are contact names by address, ``description`` is that of our number. ``link`` opens
    the conversation in the phone app. What is not known is empty. All that the methods return is
    one line.
    """

    names: Mapping[str, str] = field(default_factory=dict)
    description: str = ""
    link: str = ""

    def name(self, peer: str) -> str:
        """The contact name of a peer, or the address as people write it."""
        return self._contact(peer) or _written(peer)

    def name_and_address(self, peer: str) -> str:
        """The contact name of a peer with the address, or the address alone."""
        return _both(self._contact(peer), peer)

    def our_name(self, number: str) -> str:
        """The description of our number, or the number as people write it."""
        return _name(self.description) or _written(number)

    def our_name_and_number(self, number: str) -> str:
        """The description of our number with the number, or the number alone."""
        return _both(_name(self.description), number)

    def other_members(self, message: Message) -> list[str]:
        """The members of a group besides its sender and us; those with a name come first."""
        others = [member for member in message.participants if member != message.peer]
        return sorted(others, key=lambda member: not self._contact(member))

    def _contact(self, peer: str) -> str:
        return _name(self.names.get(peer, ""))


def _name(text: str) -> str:
    """A name in one line. One in Arabic or Hebrew does not reverse the number behind it."""
    name = one_line(text, MOST_NAME)
    reverses = any(unicodedata.bidirectional(character) in RIGHT_TO_LEFT for character in name)
    return f"{LEFT_TO_RIGHT_MARK}{name}{LEFT_TO_RIGHT_MARK}" if reverses else name


def _both(name: str, address: str) -> str:
    return f"{name} ({_written(address)})" if name else _written(address)


def _written(address: str) -> str:
    return _name(international(address))
