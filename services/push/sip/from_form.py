"""Form of From: how an outside number, and a number of ours, stand in the user part of an address.

A phone answers to the address in From, so the same form reads the address that a phone writes to.
"""

import re
from dataclasses import dataclass

from services.core.phone_numbers import CHANNEL_NAMES

PEER, OWN = "{peer}", "{number}"
_FORM = re.compile(r"[A-Za-z0-9._*-]{0,16}\{peer\}(?:[A-Za-z._*-]{1,16}\{number\})?", re.ASCII)
_NUMBER = r"\+?[0-9]{3,15}"
_ADDRESS = rf"(?:(?:{'|'.join(CHANNEL_NAMES)}):)?{_NUMBER}"


@dataclass(frozen=True, slots=True)
class FromForm:
    """A form such as ``{peer}``, ``sms-{peer}`` or ``{peer}_{number}``."""

    written: str

    def __str__(self) -> str:
        return self.written

    def user(self, peer: str, number: str | None) -> str:
        """The user part of the address of ``peer``, who wrote to ``number`` of ours.

        >>> FromForm("{peer}_{number}").user("+13035550177", "+12025550143")
        '+13035550177_+12025550143'
        """
        if number is None:
            return self.written.partition(PEER)[0] + peer
        return self.written.replace(PEER, peer).replace(OWN, number)

    def read(self, user: str) -> tuple[str, str | None]:
        """Outside number and number of ours in the user part of an address.

        Of another form it is as a whole the outside number, as somebody dialled it.

        >>> FromForm("{peer}_{number}").read("+13035550177_+12025550143")
        ('+13035550177', '+12025550143')
        >>> FromForm("sms-{peer}").read("3035550177")
        ('3035550177', None)
        >>> FromForm("{peer}_{number}").read("whatsapp:+13035550177_+12025550143")
        ('whatsapp:+13035550177', '+12025550143')
        """
        pattern = re.escape(self.written).replace(re.escape(PEER), f"(?P<peer>{_ADDRESS})")
        pattern = pattern.replace(re.escape(OWN), f"(?P<number>{_NUMBER})")
        found = re.fullmatch(pattern, user, re.ASCII)
        if found is None:
            start = self.written.partition(PEER)[0]
            return user.removeprefix(start) if start else user, None
        return found["peer"], found.groupdict().get("number")


def from_form(value: str) -> FromForm:
    """Parse a form. Raises ``ValueError``."""
    if not _FORM.fullmatch(value):
        raise ValueError(
            "it must be {peer}, with letters before it as in sms-{peer} if you like, and may end "
            "with a sign and the number of yours as in {peer}_{number}."
        )
    return FromForm(value)
