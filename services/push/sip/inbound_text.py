"""Inbound SIP texts: which extension wrote a MESSAGE, by the PBX's word, and to which number."""

import re
from collections.abc import Sequence
from hashlib import sha256

from services.core.messages import clean
from services.core.phone_numbers import MOST_ADDRESS
from services.push.base import InboundText
from services.push.sip.addresses import parse_name_addresses
from services.push.sip.events import IncomingMessage
from services.push.sip.grammar import Unreadable
from services.push.sip.settings import HostPort, SipSettings

_USER = re.compile(r"[A-Za-z0-9._*+-]{1,32}", re.ASCII)


class Unvouched(Exception):
    """The PBX does not say which extension wrote a text; the text of the error says why."""


def inbound_text(settings: SipSettings, event: IncomingMessage) -> InboundText:
    """The text of an extension in a MESSAGE. Raises ``Unvouched``."""
    extension = _extension(settings, event)
    to, sender = _dialled(settings, event)
    # A PBX that counts its Call-IDs from 1 again has other texts for them.
    text_id = sha256(f"{event.id} {event.text}".encode("utf-8", "replace")).hexdigest()[:32]
    to = clean(to)[:MOST_ADDRESS]
    return InboundText(extension, to, clean(event.text), f"sip:{text_id}", sender)


def _dialled(settings: SipSettings, event: IncomingMessage) -> tuple[str, str | None]:
    """The outside number that a MESSAGE is for, and the number of ours by which it is to go.

    A header that cannot be read names nobody: the number is empty then.
    """
    values = event.request.headers.all(settings.number_header)
    try:
        user = _user(values, ()) if values else event.to.uri.user
    except Unreadable:
        user = ""
    return settings.from_.read(user)


def _extension(settings: SipSettings, event: IncomingMessage) -> str:
    """The extension that the PBX names in the header of the settings. Raises ``Unvouched``."""
    name = settings.extension_header
    hosts = (settings.uri_domain, str(HostPort(settings.server.host)))
    values = event.request.headers.all(name)
    if not values:
        raise Unvouched(f"There is no header {name}.")
    try:
        user = _user(values, hosts)
    except Unreadable as error:
        raise Unvouched(f"The header {name} cannot be read: {error}") from None
    if not _USER.fullmatch(user):
        raise Unvouched(f"The header {name} does not name one extension of {hosts[0]}.")
    return user


def _user(values: Sequence[str], hosts: tuple[str, ...]) -> str:
    """The user of the one SIP address in the values of a header, or the bare user that it is.

    Empty for several addresses, as one of them may be the phone's own, and for one of another host
    than ``hosts``, where there are any. Raises ``Unreadable``.
    """
    value = ",".join(values).strip()
    if _USER.fullmatch(value):
        return value
    found = [one.uri for one in parse_name_addresses(value) if one.uri.scheme in ("sip", "sips")]
    if len(found) != 1 or (hosts and found[0].host not in hosts):
        return ""
    return found[0].user
