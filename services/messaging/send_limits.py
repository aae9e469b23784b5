"""Limits on sending: messages per extension and recipient, countries, sizes of uploads.

Stolen phones and tokens are used to text numbers abroad that earn their owner money (toll fraud),
or to flood somebody. The defaults are more than a person types and less than what does harm.
"""

import math
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

import structlog
from sqlalchemy import Connection

from services.config.parsers import ANYWHERE
from services.config.sections import BulkSettings, SendSettings, ServiceSettings
from services.core.authors import named
from services.core.durations import DAY, HOUR, MINUTE, in_words
from services.core.errors import RequestRefused
from services.core.messages import Message
from services.core.phone_numbers import (
    destination,
    home_countries,
    is_country,
    without_channel,
)
from services.store import quotas
from services.store.quotas import Quota, UsedUp

log = structlog.get_logger()
SPANS = {MINUTE: "a minute", HOUR: "an hour", DAY: "a day"}
MB = 1_000_000
FILES_PER_MINUTE, FILES_PER_DAY = 120, 3_000  # uploads of one extension, however small


class SendLimits:
    """Checks and counts what extensions send and upload, and what outside senders send to us."""

    def __init__(self, sending: SendSettings, service: ServiceSettings, bulk: BulkSettings) -> None:
        self._sending = sending
        self._bulk = bulk
        self._upload_bytes = service.upload_mb_per_day * MB
        self._received_bytes = service.received_mb_per_day * MB
        countries = sending.countries
        home = home_countries(service.default_country)
        self._countries = home if countries is None else frozenset(countries)

    def check_countries(self, recipients: Sequence[str]) -> None:
        """Raise ``RequestRefused`` unless SEND_COUNTRIES allows every recipient's country.

        Short codes belong to the home country.
        """
        if ANYWHERE in self._countries:
            return
        for recipient in map(without_channel, recipients):
            if recipient.startswith("+") and (where := destination(recipient)) not in (
                self._countries
            ):
                raise _country_not_allowed(recipient, where, self._countries)

    def count_sent(self, tx: Connection, extension: str, parts: Sequence[Message]) -> None:
        """Count the messages of one request, in the transaction that stores them.

        Raises ``RequestRefused`` where there are too many.
        """
        known = self._sending
        limits = [
            _Limit(f"send:{extension}", f"{named(extension)} may send", most, seconds)
            for most, seconds in ((known.per_minute, MINUTE), (known.per_day, DAY))
        ]
        limits += self._of_peers(parts[0].recipients)
        _take(tx, limits, len(parts), "messages")

    def count_bulk(self, tx: Connection, recipients: int) -> None:
        """Count the recipients of a bulk send, in the transaction that stores it.

        No extension's limit counts them. Raises ``RequestRefused`` where there are too many.
        """
        most = self._bulk.send_recipients_a_day
        _take(tx, [_Limit("bulk", "Bulk sends may have", most, DAY)], recipients, "recipients")

    def check_peer(self, tx: Connection, peer: str) -> None:
        """Raise ``RequestRefused`` if a person may get no more texts now; counts nothing."""
        limits = {one.allowance: one for one in self._of_peers([peer]) if one.most}
        spent = quotas.used_up(tx, list(limits))
        if spent is not None:
            raise _used_up(limits[spent.quota], spent, "messages")

    def count_peer(self, tx: Connection, peer: str, amount: int) -> None:
        """Count texts to a person that no extension's limit counts."""
        quotas.take(tx, [one.allowance for one in self._of_peers([peer]) if one.most], amount)

    def _of_peers(self, peers: Iterable[str]) -> list["_Limit"]:
        spans = ((self._sending.per_peer_hour, HOUR), (self._sending.per_peer_day, DAY))
        return [
            _Limit(f"peer:{peer}", f"{peer} may be sent", most, seconds)
            for peer in peers
            for most, seconds in spans
        ]

    def count_upload(self, tx: Connection, extension: str, size: int) -> None:
        """Count the bytes of an upload as it came, before a picture is made smaller.

        Raises ``RequestRefused`` where there are too many.
        """
        _take(tx, [self._upload(extension)], size, "bytes")

    def begin_upload(self, tx: Connection, extension: str) -> None:
        """Count one more file, before it is fetched or written.

        Raises ``RequestRefused`` where there are too many, or where no more bytes may be uploaded.
        """
        limit = self._upload(extension)
        spent = quotas.used_up(tx, [limit.allowance]) if limit.most else None
        if spent is not None:
            raise _used_up(limit, spent, "bytes")
        spans = ((FILES_PER_MINUTE, MINUTE), (FILES_PER_DAY, DAY))
        limits = [_Limit(f"files:{extension}", limit.who, most, span) for most, span in spans]
        _take(tx, limits, 1, "files")

    def _upload(self, extension: str) -> "_Limit":
        who = f"{named(extension)} may upload"
        return _Limit(f"upload:{extension}", who, self._upload_bytes, DAY)

    def count_received(self, tx: Connection, peer: str, size: int) -> None:
        """Count the bytes of a file that an outside sender's message contained."""
        quotas.take(tx, self._received(peer), size)

    def received_too_much(self, tx: Connection, peer: str) -> str:
        """The reason why no more files of an outside sender are kept; empty while they are."""
        spent = quotas.used_up(tx, self._received(peer))
        if spent is None:
            return ""
        most = spent.quota.most // MB
        return f"{peer} has sent more than {most} MB of files within a day (RECEIVED_MB_PER_DAY)."

    def _received(self, peer: str) -> list[Quota]:
        most = self._received_bytes
        return [Quota(f"received:{peer}", most, DAY)] if most else []


def _country_not_allowed(recipient: str, where: str, allowed: Collection[str]) -> RequestRefused:
    """The refusal; its remedy names the whole list, as an empty one stands for the home country."""
    whole = ",".join((*sorted(allowed), where)) if is_country(where) else ANYWHERE
    remedy = f"To allow it, set SEND_COUNTRIES={whole} in .env."
    log.warning("country not allowed", peer=recipient, country=where, remedy=remedy)
    if where == "premium":
        reason = f"{recipient} is a premium-rate number, and texts to those are turned off here."
    elif whole == ANYWHERE:
        reason = f"{recipient} is in no country, and texts to such numbers are turned off here."
    else:
        reason = (
            f"{recipient} is in another country ({where}), and texts to it are turned off here. "
            f"The administrator can allow them: SEND_COUNTRIES={whole} in .env."
        )
    return RequestRefused("country_not_allowed", reason, field="to", status=403)


@dataclass(frozen=True, slots=True)
class _Limit:
    """At most ``most`` within some seconds; ``who`` begins the refusal; 0 is no limit."""

    name: str
    who: str
    most: int
    seconds: float

    @property
    def allowance(self) -> Quota:
        return Quota(self.name, self.most, self.seconds)

    def may(self, what: str) -> str:
        """The limit as the beginning of a sentence; ``what``: ``bytes`` or a plural."""
        return f"{self.who} {_shown(self.most, what)} {SPANS[self.seconds]}"


def _take(tx: Connection, limits: Sequence[_Limit], amount: int, what: str) -> None:
    by_allowance = {limit.allowance: limit for limit in limits if limit.most}
    spent = quotas.take(tx, list(by_allowance), amount)
    if spent is None:
        return
    limit = by_allowance[spent.quota]
    if amount > limit.most:
        log.warning("limit reached", name=limit.name, most=limit.most, seconds=limit.seconds)
        raise RequestRefused(
            "too_much_at_once",
            f"{limit.may(what)}, and this is {_shown(amount, what)}. Make it smaller.",
        )
    raise _used_up(limit, spent, what)


def _used_up(limit: _Limit, spent: UsedUp, what: str) -> RequestRefused:
    log.warning("limit reached", name=limit.name, most=limit.most, seconds=limit.seconds)
    return RequestRefused(
        "limit_reached",
        f"{limit.may(what)}. Try again in {in_words(spent.seconds)}.",
        status=429,
        retry_after=spent.seconds,
    )


def _shown(amount: int, what: str) -> str:
    if what == "bytes":
        return f"{math.ceil(amount / MB)} MB"
    return f"{amount} {what}" if amount != 1 else f"1 {what.removesuffix('s')}"
