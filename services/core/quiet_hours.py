"""Quiet hours: the time of the day in which a device wants no notifications."""

from dataclasses import asdict, dataclass
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo


@dataclass(frozen=True, slots=True)
class QuietHours:
    """From ``start`` to ``end`` (``HH:MM``, often over midnight) by the clocks of ``time_zone``."""

    start: str
    end: str
    time_zone: str

    def ends(self, at: float) -> float | None:
        """When the quiet hours that a moment falls into are over (both seconds since 1970).

        ``None`` for a moment outside of them.

        >>> QuietHours("22:00", "07:00", "UTC").ends(0.0)
        25200.0
        >>> QuietHours("22:00", "07:00", "UTC").ends(43200.0) is None
        True
        """
        now = datetime.fromtimestamp(at, ZoneInfo(self.time_zone))
        start, end = time.fromisoformat(self.start), time.fromisoformat(self.end)
        clock = now.time()
        over_midnight = start > end
        if not (clock >= start or clock < end if over_midnight else start <= clock < end):
            return None
        day = now.date() + timedelta(days=1 if clock >= end else 0)
        return datetime.combine(day, end, now.tzinfo).timestamp()

    def written(self) -> dict[str, str]:
        """As apps and the database see it."""
        return asdict(self)
