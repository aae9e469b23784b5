"""Quiet hours: the time of day in which a device gets no notifications."""

from dataclasses import asdict, dataclass
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo


@dataclass(frozen=True, slots=True)
class QuietHours:
    """From ``start`` to ``end`` (``HH:MM``, may span midnight), local time in ``time_zone``."""

    start: str
    end: str
    time_zone: str

    def ends(self, at: float) -> float | None:
        """The end of the quiet hours that contain the time ``at`` (both seconds since 1970).

        ``None`` if ``at`` is outside of quiet hours.

        >>> QuietHours("22:00", "07:00", "UTC").ends(0.0)
        25200.0
        >>> QuietHours("22:00", "07:00", "UTC").ends(43200.0) is None
        True
        """
        now = datetime.fromtimestamp(at, ZoneInfo(self.time_zone))
        start, end = time.fromisoformat(self.start), time.fromisoformat(self.end)
        clock = now.time()
        spans_midnight = start > end
        if not (clock >= start or clock < end if spans_midnight else start <= clock < end):
            return None
        day = now.date() + timedelta(days=1 if clock >= end else 0)
        return datetime.combine(day, end, now.tzinfo).timestamp()

    def to_json(self) -> dict[str, str]:
        """The form in the API and in the database."""
        return asdict(self)
