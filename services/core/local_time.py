"""Local time: times as people read and write them on pages, in mails and in commands."""

from datetime import datetime
from zoneinfo import ZoneInfo

FIRST_YEAR, LAST_YEAR = 1970, 2200  # of times that people write


class LocalTime:
    """Times in one time zone, that of ``APP_TIMEZONE``."""

    def __init__(self, time_zone: str = "UTC") -> None:
        self.zone = ZoneInfo(time_zone)
        self.name = time_zone

    def of(self, at: float) -> datetime:
        """The local time of a time (seconds since 1970)."""
        return datetime.fromtimestamp(at, self.zone)

    def text(self, at: float) -> str:
        """A time to the second, with its zone.

        >>> LocalTime("America/New_York").text(1_800_000_000.0)
        '2027-01-15 03:00:00 EST'
        """
        return f"{self.of(at):%Y-%m-%d %H:%M:%S %Z}"

    def read(self, written: str) -> datetime:
        """A day or time in ISO 8601, local unless it has an offset.

        Raises ``ValueError`` for what is none, and for years before 1970 and after 2200.

        >>> LocalTime().read("0001-01-01")
        Traceback (most recent call last):
        ValueError: 0001-01-01 is not between 1970 and 2200.
        """
        moment = datetime.fromisoformat(written.strip())
        if not FIRST_YEAR <= moment.year <= LAST_YEAR:
            raise ValueError(f"{written.strip()} is not between {FIRST_YEAR} and {LAST_YEAR}.")
        return moment if moment.tzinfo is not None else moment.replace(tzinfo=self.zone)


UTC_TIME = LocalTime()
