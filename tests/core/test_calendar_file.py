"""Calendar files: which dates are closed, and what is left out."""

from datetime import date
from pathlib import Path

import pytest

from services.core import calendar_file
from services.core.calendar_file import closed_dates
from services.core.yearly_rule import yearly_rule

HOLIDAYS = Path(__file__).parents[1] / "data" / "calendars" / "holidays.ics"
BEGIN, END = date(2026, 1, 1), date(2027, 12, 31)
UNTIL = date(2030, 12, 31)


def event(*lines: str, title: str = "Day off") -> bytes:
    """A calendar with one event."""
    inside = "\r\n".join(("BEGIN:VEVENT", f"SUMMARY:{title}", *lines, "END:VEVENT"))
    return f"BEGIN:VCALENDAR\r\n{inside}\r\nEND:VCALENDAR\r\n".encode()


def dates(*lines: str, zone: str = "America/New_York") -> list[str]:
    found = closed_dates(event(*lines), zone, BEGIN, END)
    assert not found.left_out
    return [day.isoformat() for day in found.titles]


END_OF_TIME = "99991231T235959Z"


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/New_York", "Pacific/Auckland"])
@pytest.mark.parametrize("line", [f"RDATE:{END_OF_TIME}", f"RRULE:FREQ=YEARLY;UNTIL={END_OF_TIME}"])
def test_the_end_of_time_is_read_as_never(zone: str, line: str) -> None:
    found = dates("DTSTART;VALUE=DATE:20260704", line, zone=zone)
    assert found == ["2026-07-04", "2027-07-04"][: 1 + line.startswith("RRULE")]


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/New_York"])
@pytest.mark.parametrize(
    "lines",
    [
        ("DTSTART:20260704T000000Z", f"DTEND:{END_OF_TIME}"),
        ("DTSTART:00010101T000000Z", "DTEND:00010102T000000Z"),
    ],
)
def test_an_event_whose_times_are_out_of_reach_is_left_out(
    zone: str, lines: tuple[str, ...]
) -> None:
    found = closed_dates(event(*lines), zone, BEGIN, END)
    assert (found.titles, len(found.left_out)) == ({}, 1)


def test_a_calendar_of_holidays() -> None:
    found = closed_dates(HOLIDAYS.read_bytes(), "America/New_York", BEGIN, END)
    assert {day.isoformat(): title for day, title in found.titles.items()} == {
        "2026-05-25": "Memorial Day",
        "2026-06-02": "Founding Day (moved)",
        "2026-11-03": "Election Day",
        "2026-11-26": "Thanksgiving",
        "2026-12-25": "Christmas, both days",
        "2026-12-26": "Christmas, both days",
        "2027-01-04": "Stock-taking",
        "2027-01-05": "Still stock-taking",
        "2027-05-31": "Memorial Day",
        "2027-06-01": "Founding Day",
        "2027-11-25": "Thanksgiving",
    }
    assert found.left_out == [
        "“Staff lunch” (20270106T120000): it does not last whole days in America/New_York.",
        "“Every Tuesday” (20261201): it repeats in a way that is not read (FREQ=WEEKLY).",
        "“Cancelled” (20270107): it is cancelled.",
        "“No title” (20270108T000000): the time zone “Mars/Olympus” is not known.",
    ]


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (("DTSTART;VALUE=DATE:20260704",), ["2026-07-04"]),
        (("DTSTART:20260704", "DURATION:P2D"), ["2026-07-04", "2026-07-05"]),
        (("DTSTART:20260704", "DURATION:P1W"), [f"2026-07-{day:02}" for day in range(4, 11)]),
        (("DTSTART:20260704", "DTEND:20260704"), ["2026-07-04"]),  # as some programs write it
        (("DTSTART:20251231", "DTEND:20260102"), ["2026-01-01"]),
        (("DTSTART:20271231", "DTEND:20280103"), ["2027-12-31"]),
        (("DTSTART:20260704", "RDATE;VALUE=DATE:20260801,20260802"),
         ["2026-07-04", "2026-08-01", "2026-08-02"]),
        (("DTSTART:20260308T000000", "DTEND:20260309T000000"), ["2026-03-08"]),  # 23 hours
        (("DTSTART:20261101T040000Z", "DTEND:20261102T050000Z"), ["2026-11-01"]),  # 25 hours
        (("DTSTART;TZID=America/New_York:20260704T000000", "DURATION:PT24H"), ["2026-07-04"]),
        (("DTSTART;TZID=America/New_York:20200704T000000", "DURATION:P1D", "RRULE:FREQ=YEARLY",
          "EXDATE;TZID=America/New_York:20260704T000000"), ["2027-07-04"]),
        (("DTSTART:19000101", "RRULE:FREQ=YEARLY;COUNT=127"), ["2026-01-01"]),
    ],
)  # fmt: skip
def test_whole_days(lines: tuple[str, ...], expected: list[str]) -> None:
    assert dates(*lines) == expected


@pytest.mark.parametrize(
    ("begin", "rule", "expected"),
    [
        ("2024-02-29", "FREQ=YEARLY", ["2024-02-29", "2028-02-29"]),
        ("2024-05-01", "FREQ=YEARLY;COUNT=2", ["2024-05-01", "2025-05-01"]),
        ("2024-05-01", "FREQ=YEARLY;INTERVAL=3", ["2024-05-01", "2027-05-01", "2030-05-01"]),
        ("2024-05-01", "FREQ=YEARLY;UNTIL=20250501", ["2024-05-01", "2025-05-01"]),
        ("2028-12-31", "FREQ=YEARLY;BYMONTH=12;BYMONTHDAY=-1;WKST=SU",
         ["2028-12-31", "2029-12-31", "2030-12-31"]),
        ("2029-01-01", "FREQ=YEARLY;BYDAY=1MO", ["2029-01-01", "2030-01-07"]),
        ("2029-12-31", "FREQ=YEARLY;BYDAY=-1MO", ["2029-12-31", "2030-12-30"]),
        ("2030-02-03", "FREQ=YEARLY;BYMONTH=2;BYDAY=SU",
         ["2030-02-03", "2030-02-10", "2030-02-17", "2030-02-24"]),
        ("2029-01-02", "FREQ=YEARLY;BYMONTH=1,7;COUNT=3",
         ["2029-01-02", "2029-07-02", "2030-01-02"]),
        ("2029-03-01", "FREQ=YEARLY;BYMONTH=3;BYDAY=5TH", ["2029-03-01", "2029-03-29"]),
    ],
)  # fmt: skip
def test_yearly_repetition(begin: str, rule: str, expected: list[str]) -> None:
    read = yearly_rule(rule, date.fromisoformat)
    first = date.fromisoformat(begin)
    assert [day.isoformat() for day in read.dates(first, first, UNTIL)] == expected
    for at, later in enumerate(map(date.fromisoformat, expected)):
        assert [day.isoformat() for day in read.dates(first, later, UNTIL)] == expected[at:]


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        (("DTSTART:20260704", "RRULE:FREQ=YEARLY;BYSETPOS=1"), "not read (FREQ=YEARLY;BYSETPOS=1)"),
        (("DTSTART:20260704", "RRULE:FREQ=YEARLY;INTERVAL=0"), "it repeats in a way"),
        (("DTSTART:20260704", "RRULE:FREQ=YEARLY;BYDAY=9XX"), "it repeats in a way"),
        (("DTSTART:20260704", "RRULE:FREQ=YEARLY;BYMONTH=13"), "it repeats in a way"),
        (("DTSTART:20260704", "RRULE:FREQ=YEARLY;FREQ=YEARLY"), "it repeats in a way"),
        (("DTSTART:20260704", "RRULE:FREQ=YEARLY", "RRULE:FREQ=YEARLY"), "several RRULE"),
        (("DTSTART:20260230",), "“20260230” is no date or time"),
        (("DTSTART:20260704T250000Z",), "“20260704T250000Z” is no date or time"),
        (("DTSTART:18000704",), "before 1900"),
        (("DTSTART:20260704", "DURATION:P"), "DURATION"),
        (("DTSTART:20260704", "DTEND:20260705T000000Z"), "whole days"),
        (("DTSTART;TZID=../../etc/passwd:20260704T000000",), "“../../etc/passwd” is not known"),
        (("DTSTART;TZID=zone.tab:20260704T000000",), "the time zone “zone.tab” is not known"),
        (("DTSTART;TZID=tzdata.zi:20260704T000000",), "the time zone “tzdata.zi” is not known"),
        (("DTSTART:20260704", "RECURRENCE-ID;RANGE=THISANDFUTURE:20260704"), "all later"),
        (("DTSTART:" + "7" * 61,), f"“{'7' * 60}…” is no date"),
        (("DTSTART;TZID=" + "Z" * 61 + ":20260704T000000",), f"“{'Z' * 60}…” is not known"),
        (("DTSTART:20260704", "RRULE:" + "F" * 61), f"({'F' * 60}…)"),
        (
            (
                "DTSTART:20260101",
                "RRULE:FREQ=YEARLY;BYDAY="
                + ",".join(
                    f"{sign}{which}{day}"
                    for which in range(1, 54)
                    for sign in "+-"
                    for day in ("MO", "TU", "WE", "TH")
                ),
            ),
            "it repeats in a way",
        ),
        (("DTSTART:19000101", "DURATION:P9999W", "RRULE:FREQ=YEARLY;BYDAY=SU"), "too many dates"),
        (
            ("DTSTART:19000101", "RRULE:FREQ=YEARLY;COUNT=99999;BYDAY=MO,TU,WE,TH,FR,SA,SU"),
            "too many dates",
        ),
        (("DESCRIPTION:no date at all",), "DTSTART"),
        (("DTSTART;VALUE=DATE:99991231",), "after the year 9999"),
    ],
)
def test_what_cannot_be_read_is_left_out_and_named(lines: tuple[str, ...], reason: str) -> None:
    found = closed_dates(event(*lines), "America/New_York", BEGIN, END)
    assert not found.titles
    assert len(found.left_out) == 1
    assert reason in found.left_out[0]
    assert "“Day off”" in found.left_out[0]


@pytest.mark.parametrize(
    "content",
    [b"", b"\xff\xfe\x00", b"<html></html>", HOLIDAYS.read_bytes()[:-30],
     b"BEGIN:VCALENDAR\nEND:VEVENT\nEND:VCALENDAR", b"BEGIN:VEVENT\nDTSTART:20260704\nEND:VEVENT"],
)  # fmt: skip
def test_what_is_no_calendar_is_refused(content: bytes) -> None:
    with pytest.raises(ValueError, match="no calendar file"):
        closed_dates(content, "UTC", BEGIN, END)


def test_what_is_listed_twice_counts_once() -> None:
    days = ",".join(["MO"] * 200_000)
    found = dates("DTSTART:20260105", f"RRULE:FREQ=YEARLY;BYMONTH=1;BYDAY={days}")
    assert found == [f"2026-01-{day:02}" for day in (5, 12, 19, 26)] + [
        f"2027-01-{day:02}" for day in (4, 11, 18, 25)
    ]


def test_the_work_of_a_file_is_bounded() -> None:
    """Each event needs less than one may, all of them more than a file may."""
    long = event("DTSTART:19000101", "DURATION:P9999W", "RRULE:FREQ=YEARLY;INTERVAL=200")
    inside = long.removeprefix(b"BEGIN:VCALENDAR\r\n").removesuffix(b"END:VCALENDAR\r\n")
    content = b"BEGIN:VCALENDAR\r\n" + inside * 2000 + b"END:VCALENDAR\r\n"
    found = closed_dates(content, "UTC", BEGIN, END)
    assert len(found.titles) == (END - BEGIN).days + 1
    assert 1000 < len(found.left_out) < 2000
    assert "Divide the file" in found.left_out[-1]


def test_a_date_of_many_events_shows_the_first_titles() -> None:
    many = [event("DTSTART:20260704", title=f"Day {at}") for at in range(2000)]
    bodies = [
        one.removeprefix(b"BEGIN:VCALENDAR\r\n").removesuffix(b"END:VCALENDAR\r\n") for one in many
    ]
    content = b"BEGIN:VCALENDAR\r\n" + b"".join(bodies) + b"END:VCALENDAR\r\n"
    [titles] = closed_dates(content, "UTC", BEGIN, END).titles.values()
    assert titles.startswith("Day 0, Day 1, ")
    assert len(titles) <= 200


@pytest.mark.parametrize("separator", ["\u2028", "\u0085", "\x0b"])
def test_a_line_ends_only_where_the_format_says_so(separator: str) -> None:
    content = event("DTSTART:20260704", title=f"Fourth{separator}DTSTART:20260101")
    found = closed_dates(content, "UTC", BEGIN, END)
    assert found.titles == {date(2026, 7, 4): "Fourth DTSTART:20260101"}


def test_a_change_of_all_later_repetitions_leaves_the_repetition_as_it_is() -> None:
    first = event("DTSTART:20260704", "RRULE:FREQ=YEARLY", "UID:1")
    later = event("DTSTART:20270705", "RECURRENCE-ID;RANGE=THISANDFUTURE:20270704", "UID:1")
    found = closed_dates(first + later, "UTC", BEGIN, END)
    assert list(found.titles) == [date(2026, 7, 4), date(2027, 7, 4)]
    assert len(found.left_out) == 1


def test_a_large_file_is_refused() -> None:
    with pytest.raises(ValueError, match="up to 1 MB"):
        closed_dates(b"x" * (calendar_file.MOST_BYTES + 1), "UTC", BEGIN, END)
    many = event("DTSTART:20260704") * (calendar_file.MOST_EVENTS + 1)
    with pytest.raises(ValueError, match="more than 2,000 events"):
        closed_dates(many, "UTC", BEGIN, END)
