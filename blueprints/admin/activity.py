"""Activity page: charts of messages by carrier and state, of delivery rates and push times."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from math import isinf

from flask import Blueprint, Response, abort, request

from blueprints.admin import charts
from blueprints.admin.charts import Picture, Step
from blueprints.admin.formats import counted
from blueprints.admin.page import Pages
from services.core.local_time import LocalTime
from services.core.messages import Status
from services.operations.statistics import MEDIAN, MOST, OPEN, Activity, Figures, Point, activity_of
from services.providers import PROVIDERS
from services.store import deletions
from services.store.database.store import Store
from services.store.push_times import WITHIN

MOST_DELETIONS = 50  # calls of apps that are shown
STATES = {
    "delivered": (Status.DELIVERED,),
    "sent": (Status.SENT,),
    "waiting": (Status.QUEUED, Status.SENDING),
    "unknown": (Status.UNKNOWN,),
    "failed": (Status.FAILED,),
}
STATE_LABELS = {state: state for state in STATES} | {"sent": "sent, not confirmed"}
LEVELS = tuple(bound / 1000 for bound in WITHIN)
LEVEL_LABELS = {0.01: "10 ms", 0.1: "100 ms", 1.0: "1 s", 10.0: "10 s", 60.0: "1 min"}


@dataclass(frozen=True, slots=True)
class Span:
    """A span of time to choose: ``steps`` of ``hours`` hours, a label at every ``nth``."""

    label: str
    steps: int
    hours: int
    nth: int


SPANS = {
    "day": Span("24 hours", 24, 1, 3),
    "week": Span("7 days", 28, 6, 4),
    "month": Span("30 days", 30, 24, 5),
}


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart with its explanation, its legend, and the same figures as a table."""

    name: str
    title: str
    explanation: str
    picture: Picture
    legend: Sequence[tuple[str, str]]
    heads: Sequence[str]
    rows: Sequence[tuple[str, Sequence[str]]]


def add_routes(routes: Blueprint, pages: Pages, store: Store, local_time: LocalTime) -> None:
    """Add ``/admin/activity``."""

    @routes.get("/activity")
    def activity() -> Response:
        name = request.args.get("span", "day")
        if name not in SPANS:
            abort(404)
        span = SPANS[name]
        found = activity_of(store, span.steps, span.hours, local_time)
        shown = [draw(found, span) for draw in (_carriers, _states, _rate, _pushes)]
        return pages.render(
            "activity.html",
            spans=SPANS,
            here=name,
            zone=local_time.name,
            total=found.total,
            open=found.total.sent(OPEN),
            pushed=_seconds(found.total.pushed(MEDIAN)),
            shown=shown if found.total.messages else [],
            deletions=store.read(partial(deletions.newest, limit=MOST_DELETIONS)),
        )


def _carriers(found: Activity, span: Span) -> Chart:
    looks = {each.name: f"carrier-{turn % 6}" for turn, each in enumerate(PROVIDERS)}
    looks = {name: looks.get(name, "carrier-5") for name in found.carriers}

    def summary(figures: Figures) -> str:
        parts = (
            f"{title} {figures.received(name):,} received and {figures.sent(carrier=name):,} sent"
            for name, title in found.carriers.items()
            if figures.received(name) or figures.sent(carrier=name)
        )
        return "; ".join(parts) or "nothing"

    return Chart(
        "carriers",
        "Messages by carrier",
        "Received above, sent below.",
        charts.columns(
            _steps(found, span, summary),
            [[(looks[n], p.figures.received(n)) for n in looks] for p in found.points],
            [[(looks[n], p.figures.sent(carrier=n)) for n in looks] for p in found.points],
        ),
        [(looks[name], title) for name, title in found.carriers.items()],
        [f"{title}, {way}" for title in found.carriers.values() for way in ("received", "sent")],
        _rows(
            found,
            lambda figures: [
                _amount(count)
                for name in looks
                for count in (figures.received(name), figures.sent(carrier=name))
            ],
        ),
    )


def _states(found: Activity, span: Span) -> Chart:
    def summary(figures: Figures) -> str:
        parts = (
            f"{figures.sent(states):,} {STATE_LABELS[state]}"
            for state, states in STATES.items()
            if figures.sent(states)
        )
        return ", ".join(parts) or "nothing sent"

    return Chart(
        "states",
        "Delivery results",
        "Sent messages by the time at which they were written, in their state of now.",
        charts.columns(
            _steps(found, span, summary),
            [
                [(f"state-{name}", point.figures.sent(states)) for name, states in STATES.items()]
                for point in found.points
            ],
        ),
        [(f"state-{state}", label) for state, label in STATE_LABELS.items()],
        [label.capitalize() for label in STATE_LABELS.values()],
        _rows(found, lambda figures: [_amount(figures.sent(each)) for each in STATES.values()]),
    )


def _rate(found: Activity, span: Span) -> Chart:
    def summary(figures: Figures) -> str:
        return f"{_percent(figures.rate())} delivered, {figures.sent(OPEN):,} awaiting confirmation"

    return Chart(
        "rate",
        "Delivered",
        "Of the messages whose result is known. The others await confirmation by a delivery "
        "receipt, which not every carrier sends.",
        charts.lines(
            _steps(found, span, summary),
            [("rate", [point.figures.rate() for point in found.points])],
            [(part / 100, f"{part} %") for part in (0, 25, 50, 75, 100)],
        ),
        [],
        ["Delivered", "Awaiting confirmation"],
        _rows(found, lambda figures: [_percent(figures.rate()), _amount(figures.sent(OPEN))]),
    )


def _pushes(found: Activity, span: Span) -> Chart:
    def summary(figures: Figures) -> str:
        if not figures.pushes.total():
            return "no notifications"
        half, most = _seconds(figures.pushed(MEDIAN)), _seconds(figures.pushed(MOST))
        total = counted(figures.pushes.total(), "notification", "notifications")
        return f"median {half}, 95 % {most}, of {total}"

    return Chart(
        "pushes",
        "Notifications",
        "How long it took from a text's arrival until the notification of a phone was accepted. "
        "They are counted two minutes after it.",
        charts.lines(
            _steps(found, span, summary),
            [
                ("half", [_level(point.figures.pushed(MEDIAN)) for point in found.points]),
                ("most", [_level(point.figures.pushed(MOST)) for point in found.points]),
            ],
            [*((_level(at) or 0.0, word) for at, word in LEVEL_LABELS.items()), (1.0, "later")],
        ),
        [("half", "Median"), ("most", "95 %")],
        ["Median", "95 %", "Notifications"],
        _rows(
            found,
            lambda figures: [
                _seconds(figures.pushed(MEDIAN)),
                _seconds(figures.pushed(MOST)),
                _amount(figures.pushes.total()),
            ],
        ),
    )


def _steps(found: Activity, span: Span, summary: Callable[[Figures], str]) -> list[Step]:
    """The title of each step, and the label of every ``nth`` on the axis."""
    return [
        (
            f"{_when(found, point)}: {summary(point.figures)}",
            _mark(found, point) if found.is_multiple(point, span.nth) else "",
        )
        for point in found.points
    ]


def _rows(
    found: Activity, cells: Callable[[Figures], Sequence[str]]
) -> list[tuple[str, Sequence[str]]]:
    return [(_when(found, point), cells(point.figures)) for point in reversed(found.points)]


def _when(found: Activity, point: Point) -> str:
    begin = found.begins(point)
    if found.hours == 24:
        return f"{begin:%a} {begin.day} {begin:%b}"
    end = begin + timedelta(hours=found.hours)
    return f"{begin:%a} {begin.day} {begin:%b}, {begin:%H:%M}–{end:%H:%M}"


def _mark(found: Activity, point: Point) -> str:
    at = found.begins(point)
    return f"{at:%H:%M}" if found.hours == 1 else f"{at:%a} {at.day} {at:%b}"


def _amount(count: int) -> str:
    return f"{count:,}" if count else "–"


def _percent(rate: float | None) -> str:
    return "–" if rate is None else f"{rate * 100:.3g} %"


def _seconds(seconds: float | None) -> str:
    if seconds is None:
        return "–"
    if isinf(seconds):
        return "later than 2 min"
    return f"within {seconds * 1000:g} ms" if seconds < 1 else f"within {seconds:g} s"


def _level(seconds: float | None) -> float | None:
    """The height of a time in the chart (0 to 1); the bounds have equal distances."""
    if seconds is None or isinf(seconds):
        return None if seconds is None else 1.0
    return LEVELS.index(seconds) / len(LEVELS)
