"""Geometry of charts with columns or lines, in units of their SVG.

A chart is ``WIDTH`` wide; templates/admin/pictures.html draws it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import ceil

WIDTH = 900
HEIGHT = 230
LEFT, RIGHT, TOP, BOTTOM = 62, 38, 12, 30
GAP = 0.24  # of the width of a step
LINES = 4  # at most, beside the zero
INSIDE = HEIGHT - TOP - BOTTOM


@dataclass(frozen=True, slots=True)
class Tick:
    """A position on an axis and its label."""

    at: float
    label: str


@dataclass(frozen=True, slots=True)
class Bar:
    """A part of a column; ``look`` names its colour and pattern."""

    look: str
    y: float
    height: float


@dataclass(frozen=True, slots=True)
class Column:
    """One step of time: its bars, from ``x`` on, and its title."""

    x: float
    title: str
    bars: tuple[Bar, ...]


@dataclass(frozen=True, slots=True)
class Dot:
    """A value on a line."""

    x: float
    y: float


@dataclass(frozen=True, slots=True)
class Line:
    """A line in runs of dots, with gaps where no value is known."""

    look: str
    runs: tuple[tuple[Dot, ...], ...]


@dataclass(frozen=True, slots=True)
class Picture:
    """Columns side by side, lines over them, and both axes; ``width`` is that of a bar."""

    columns: tuple[Column, ...]
    lines: tuple[Line, ...]
    below: tuple[Tick, ...]
    beside: tuple[Tick, ...]
    zero: float
    width: float

    @property
    def step(self) -> float:
        """The width of a column with the gap at its side."""
        return _step(len(self.columns))


Step = tuple[str, str]
"""The title of a step of time, and its label on the axis (or an empty text)."""
Parts = Sequence[tuple[str, int]]
"""Looks and amounts, the first at the zero."""


def columns(steps: Sequence[Step], up: Sequence[Parts], down: Sequence[Parts] = ()) -> Picture:
    """Amounts in columns that grow up from the zero, and down from it as well if there are some."""
    highest, lowest = _most(up), _most(down)
    unit = _unit(max(highest + lowest, 1))
    above, under = ceil(highest / unit) * unit, ceil(lowest / unit) * unit
    scale = INSIDE / max(above + under, 1)
    zero = TOP + above * scale
    step = _step(len(steps))
    drawn = []
    for turn, (title, _) in enumerate(steps):
        bars = [*_stack(up[turn], zero, -scale), *_stack(down[turn] if down else (), zero, scale)]
        drawn.append(Column(LEFT + turn * step, title, tuple(bars)))
    beside = (
        Tick(zero - value * scale, f"{abs(value):,}") for value in range(-under, above + 1, unit)
    )
    return Picture(tuple(drawn), (), _below(steps), tuple(beside), zero, max(step * (1 - GAP), 1.0))


def lines(
    steps: Sequence[Step],
    values: Iterable[tuple[str, Sequence[float | None]]],
    beside: Iterable[tuple[float, str]],
) -> Picture:
    """Lines by their looks, of values between 0 and 1, with these labels at the side."""
    step = _step(len(steps))
    zero = float(TOP + INSIDE)
    drawn = []
    for look, known in values:
        runs: list[list[Dot]] = [[]]
        for turn, value in enumerate(known):
            if value is not None:
                runs[-1].append(Dot(LEFT + (turn + 0.5) * step, zero - value * INSIDE))
            elif runs[-1]:
                runs.append([])
        drawn.append(Line(look, tuple(tuple(run) for run in runs if run)))
    return Picture(
        tuple(Column(LEFT + turn * step, title, ()) for turn, (title, _) in enumerate(steps)),
        tuple(drawn),
        _below(steps),
        tuple(Tick(zero - value * INSIDE, label) for value, label in beside),
        zero,
        step,
    )


def _step(count: int) -> float:
    return (WIDTH - LEFT - RIGHT) / count


def _most(stacks: Sequence[Parts]) -> int:
    return max((sum(amount for _, amount in parts) for parts in stacks), default=0)


def _unit(most: int) -> int:
    """A round number that goes into an amount a few times.

    >>> [_unit(most) for most in (1, 4, 5, 17, 90, 2400)]
    [1, 1, 2, 5, 50, 1000]
    """
    power = 1
    while True:
        for factor in (1, 2, 5):
            if most <= LINES * factor * power:
                return factor * power
        power *= 10


def _stack(parts: Parts, zero: float, scale: float) -> Iterable[Bar]:
    """The bars of a column from the zero on; ``scale`` is negative for upwards."""
    reached = zero
    for look, amount in parts:
        if amount:
            height = abs(amount * scale)
            yield Bar(look, reached - height if scale < 0 else reached, height)
            reached += amount * scale


def _below(steps: Sequence[Step]) -> tuple[Tick, ...]:
    step = _step(len(steps))
    return tuple(
        Tick(LEFT + (turn + 0.5) * step, label) for turn, (_, label) in enumerate(steps) if label
    )
