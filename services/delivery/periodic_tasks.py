"""Periodic tasks: work that a delivery worker repeats at an interval beside its jobs."""

import time
from collections.abc import Callable
from dataclasses import dataclass

Spawn = Callable[["PeriodicTask"], object]


@dataclass(frozen=True, slots=True)
class PeriodicTask:
    """Work that is repeated every ``interval`` seconds, one run at a time.

    ``on_change``: only after a commit since the last run. ``delayed``: the first run waits for one
    interval. ``one_worker``: of several workers only the youngest does it. Where ``work`` returns
    true there is more to do, and the next run follows after ``again_after`` seconds.
    """

    name: str
    interval: float
    work: Callable[[], object]
    on_change: bool = False
    delayed: bool = False
    one_worker: bool = False
    again_after: float | None = None


class Schedule:
    """When each task runs next, and which are running."""

    def __init__(self, tasks: tuple[PeriodicTask, ...]) -> None:
        now = time.monotonic()
        self._next = {task: now + task.interval if task.delayed else 0.0 for task in tasks}
        self._seen_change = dict.fromkeys(tasks, -1)
        self._running: set[PeriodicTask] = set()

    def start_due(self, changes: int, spawn: Spawn) -> None:
        """Call ``spawn`` with every task that is due; ``changes`` counts the commits so far."""
        now = time.monotonic()
        for task, due in self._next.items():
            if now < due or task in self._running:
                continue
            if task.on_change and changes == self._seen_change[task]:
                continue
            self._next[task] = now + task.interval
            self._seen_change[task] = changes
            self._running.add(task)
            spawn(task)

    def finished(self, task: PeriodicTask, *, more: bool) -> None:
        """A run has ended; with ``more`` the next one follows soon."""
        self._running.discard(task)
        if more and task.again_after is not None:
            self._next[task] = time.monotonic() + task.again_after
