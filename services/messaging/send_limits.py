"""Spending: how much extensions may send and keep, and to which countries.

Stolen phones and tokens are used to text numbers abroad that earn their owner money, or to flood
somebody. The defaults are more than anybody types and less than what hurts.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog
from sqlalchemy import Connection

from services.config.parsers import ANYWHERE
from services.core.durations import DAY, HOUR, MINUTE, in_words
from services.core.errors import RequestRefused
from services.core.messages import Message
from services.core.phone_numbers import destination, home_countries, is_country
from services.store import quotas
from services.store.quotas import Quota

if TYPE_CHECKING:
    from services.gateway import Gateway

log = structlog.get_logger()
SPANS = {MINUTE: "a minute", HOUR: "an hour", DAY: "a day"}
MB = 1_000_000


def check_countries(gateway: "Gateway", recipients: Sequence[str]) -> None:
    """Raise ``RequestRefused`` unless all recipients are where texts may go.

    Short codes are the home country's own.
    """
    written = gateway.environment.sending.countries
    allowed = home_countries(gateway.country) if written is None else frozenset(written)
    if ANYWHERE in allowed:
        return
    for recipient in recipients:
        if recipient.startswith("+") and (where := destination(recipient)) not in allowed:
            raise _elsewhere(recipient, where)


def _elsewhere(recipient: str, where: str) -> RequestRefused:
    add = where if is_country(where) else ANYWHERE
    remedy = f"To allow it, add {add} to SEND_COUNTRIES in .env."
    log.warning("country not allowed", peer=recipient, country=where, remedy=remedy)
    if where == "premium":
        reason = f"{recipient} is a premium-rate number, and texts to those are turned off here."
    elif add == ANYWHERE:
        reason = f"{recipient} is in no country, and texts to such numbers are turned off here."
    else:
        reason = (
            f"{recipient} is in another country ({where}), and texts to it are turned off here. "
            f"The operator can allow them: add {where} to SEND_COUNTRIES."
        )
    return RequestRefused("country_not_allowed", reason, field="to", status=403)


def count_sent(
    tx: Connection, gateway: "Gateway", extension: str, parts: Sequence[Message]
) -> None:
    """Count the messages that fulfil a request, in the transaction that keeps them.

    Raises ``RequestRefused`` where there are too many.
    """
    known = gateway.environment.sending
    limits = [
        _Limit(f"send:{extension}", f"Extension {extension} may send", most, seconds)
        for most, seconds in ((known.per_minute, MINUTE), (known.per_day, DAY))
    ]
    limits += [
        _Limit(f"peer:{peer}", f"{peer} may be sent", most, seconds)
        for peer in parts[0].participants or (parts[0].peer,)
        for most, seconds in ((known.per_peer_hour, HOUR), (known.per_peer_day, DAY))
    ]
    _take(tx, limits, len(parts), "messages")


def count_upload(tx: Connection, gateway: "Gateway", extension: str, size: int) -> None:
    """Count the bytes of an upload, in the transaction that notes it. Raises ``RequestRefused``."""
    most = gateway.environment.service.upload_mb_per_day
    who = f"Extension {extension} may upload"
    _take(tx, [_Limit(f"upload:{extension}", who, most * MB, DAY)], size, "bytes")


def has_sent_too_much(tx: Connection, gateway: "Gateway", peer: str) -> str:
    """Why no more files of a sender are kept, or nothing."""
    spent = quotas.used_up(tx, _received(gateway, peer))
    if spent is None:
        return ""
    most = spent.quota.most // MB
    return f"{peer} has sent more than {most} MB of files within a day (RECEIVED_MB_PER_DAY)."


def count_received(tx: Connection, gateway: "Gateway", peer: str, size: int) -> None:
    """Count the bytes of a file that a sender's message has brought."""
    quotas.take(tx, _received(gateway, peer), size)


def _received(gateway: "Gateway", peer: str) -> list[Quota]:
    most = gateway.environment.service.received_mb_per_day
    return [Quota(f"received:{peer}", most * MB, DAY)] if most else []


@dataclass(frozen=True, slots=True)
class _Limit:
    """At most so many for a name, in a sentence that begins with ``who``; 0 is no limit."""

    name: str
    who: str
    most: int
    seconds: float

    @property
    def allowance(self) -> Quota:
        return Quota(self.name, self.most, self.seconds)


def _take(tx: Connection, limits: Sequence[_Limit], amount: int, what: str) -> None:
    by_allowance = {limit.allowance: limit for limit in limits if limit.most}
    spent = quotas.take(tx, list(by_allowance), amount)
    if spent is None:
        return
    limit = by_allowance[spent.quota]
    may = f"{limit.who} {_shown(limit.most, what)} {SPANS[limit.seconds]}"
    log.warning("limit reached", name=limit.name, most=limit.most, seconds=limit.seconds)
    if amount > limit.most:
        raise RequestRefused(
            "too_much_at_once", f"{may}, and this is {_shown(amount, what)}. Make it smaller."
        )
    raise RequestRefused(
        "limit_reached",
        f"{may}. Try again in {in_words(spent.seconds)}.",
        status=429,
        retry_after=spent.seconds,
    )


def _shown(amount: int, what: str) -> str:
    if what == "bytes":
        return f"{math.ceil(amount / MB)} MB"
    return f"{amount} {what}" if amount != 1 else "1 message"
