"""``flask activity``: statistics of messages and pushes by the hour or by the day."""

from collections.abc import Iterator
from math import isinf
from typing import Any

import click

from blueprints.cli.parts import parts
from blueprints.cli.terminal import command, document, json_option, name_time_zone, stamp, table
from services.core.messages import Status
from services.operations.statistics import MEDIAN, MOST, OPEN, Activity, Figures, activity_of

BAR_COLUMNS = 8
TITLES = ("IN", "OUT", "DELIVERED", "FAILED", "UNKNOWN", "OPEN", "RATE")


@command("activity")
@click.option("--hours", type=click.IntRange(1, 168), help="So many hours, by the hour. [24]")
@click.option("--days", type=click.IntRange(1, 90), help="So many days, by the day.")
@json_option
def activity(hours: int | None, days: int | None, as_json: bool) -> None:
    """Count the messages received (IN) and sent (OUT), by the hour or by the day.

    Hours and days without messages are left out. PUSH 50% and 95%: within that time so many of
    the notifications were made; they are counted two minutes after their text. The same as the
    pictures of /admin/activity.
    """
    if hours is not None and days is not None:
        raise click.UsageError("Give either --hours or --days.")
    store, local_time = parts().store, parts().local_time
    steps, step_hours = (days, 24) if days else (hours or 24, 1)
    found = activity_of(store, steps, step_hours, local_time)
    if as_json:
        document(_document(found))
        return
    busy = [point for point in found.points if _all(point.figures) or point.figures.pushes]
    most = max(_all(point.figures) for point in found.points)
    table(
        ("FROM", "MESSAGES", *TITLES, "PUSH 50%", "PUSH 95%"),
        [
            (
                f"{found.begins(point):{'%Y-%m-%d' if days else '%Y-%m-%d %H:%M'}}",
                _bar(_all(point.figures), most),
                *_cells(point.figures),
                _pushed(point.figures, MEDIAN),
                _pushed(point.figures, MOST),
            )
            for point in busy
        ],
        "No messages in this time.",
    )
    name_time_zone(*_left_out(len(found.points) - len(busy), "day" if days else "hour"))
    click.echo()
    table(
        ("CARRIER", "SHARE", *TITLES),
        [
            (title, _bar(_all(found.total, name), _all(found.total)), *_cells(found.total, name))
            for name, title in found.carriers.items()
        ],
        "No messages in this time.",
    )


def _left_out(count: int, step: str) -> Iterator[str]:
    if count:
        yield f"{count} {step}{'' if count == 1 else 's'} without messages left out."


def _all(figures: Figures, carrier: str | None = None) -> int:
    return figures.received(carrier) + figures.sent(carrier=carrier)


def _bar(count: int, most: int) -> str:
    """A bar in proportion to the longest; a count above zero is always visible."""
    eighths = -(-count * BAR_COLUMNS * 8 // most) if most else 0
    return "█" * (eighths // 8) + " ▏▎▍▌▋▊▉"[eighths % 8].strip()


def _cells(figures: Figures, carrier: str | None = None) -> Iterator[object]:
    yield figures.received(carrier) or "-"
    yield figures.sent(carrier=carrier) or "-"
    for states in ((Status.DELIVERED,), (Status.FAILED,), (Status.UNKNOWN,), OPEN):
        yield figures.sent(states, carrier) or "-"
    rate = figures.rate(carrier)
    yield "-" if rate is None else f"{rate:.0%}"


def _pushed(figures: Figures, part: float) -> str:
    seconds = figures.pushed(part)
    if seconds is None:
        return "-"
    return "later" if isinf(seconds) else f"{seconds:g} s"


def _document(found: Activity) -> dict[str, Any]:
    return {
        "hours": found.hours,
        "points": [
            {"from": stamp(point.at), **_shown(point.figures, found)} for point in found.points
        ],
        "total": _shown(found.total, found),
    }


def _shown(figures: Figures, found: Activity) -> dict[str, Any]:
    return {
        **_counted(figures),
        "carriers": {name: _counted(figures, name) for name in found.carriers},
        "pushes": figures.pushes.total(),
        "pushed_seconds": {"p50": _finite(figures, MEDIAN), "p95": _finite(figures, MOST)},
    }


def _counted(figures: Figures, carrier: str | None = None) -> dict[str, Any]:
    """``outbound`` is the sum of the states after it."""
    uncounted = (Status.RECEIVED, Status.SCHEDULED, Status.CANCELLED)
    states = [state for state in Status if state not in uncounted]
    return {
        "received": figures.received(carrier),
        "outbound": figures.sent(carrier=carrier),
        **{str(state): figures.sent((state,), carrier) for state in states},
        "delivery_rate": figures.rate(carrier),
    }


def _finite(figures: Figures, part: float) -> float | str | None:
    seconds = figures.pushed(part)
    return "later" if seconds is not None and isinf(seconds) else seconds
