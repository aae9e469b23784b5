"""What the same calls cost with few and with many messages, due jobs and numbers."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from operator import methodcaller
from typing import TypeVar

from sqlalchemy import Connection, delete, insert, select

from bench.figures import Figure
from bench.load_generator import LoadResult, median
from bench.measure import RunLength, cost_of_delivery, limit_of
from bench.measured_server import CONVERSATIONS, MANY, NUMBERS, MeasuredServer, settings, webhooks
from bench.processes import Process
from bench.request_template import RequestTemplate
from bench.seed_data import seed_messages
from services.message_settings import MessageSettings
from services.operations.settings_source import open_settings
from services.store import job_leasing, jobs
from services.store.database.schema import jobs as table
from services.store.database.schema import messages
from services.store.database.store import Store
from services.store.maintenance import invariants
from tests.conftest import settings_file

T = TypeVar("T")
MAX_SLOWDOWN = 1.2
COST = "× no-op's"
HOT = ("conversation list", "history page", "cost of delivering")
UNSERVED = "push:bench"  # a destination that no worker serves: its jobs stay due
SEARCHES = 240  # a device may search 300 times a minute
CLAIMS, CLAIM = 100, 16
EDIT_SECONDS = 6.0
EARLY = CONVERSATIONS + 900  # a seq among the first of the seed data, after those of the warm-up


def grown_messages(
    noop: Process,
    measured: MeasuredServer,
    sizes: list[int],
    run_length: RunLength,
    database_url: str | None,
) -> list[Figure]:
    """The cost of the same calls with few and with many stored messages."""
    figures: list[Figure] = []
    first: dict[str, float] = {}
    for total in sizes:
        _with_store(measured, database_url, partial(seed_messages, total=total))
        for name, cost in _costs(noop, measured, run_length).items():
            before = first.setdefault(name, cost)
            last = total == sizes[-1] and len(sizes) > 1
            aim = MAX_SLOWDOWN if last and name in HOT else None
            figures.append(
                Figure(f"{name}, {total:,} messages", cost, COST, cost / before, aim, more=False)
            )
    return figures


def _costs(noop: Process, measured: MeasuredServer, run_length: RunLength) -> dict[str, float]:
    """The cost of calls, in units of a request to the no-op at the same time."""
    history = f"/api/v1/conversations/{measured.longest_conversation()}/messages?limit=50"
    calls = {
        "conversation list": "/api/v1/conversations?limit=50",
        "list of the unread": "/api/v1/conversations?limit=50&unread=1",
        "history page": history,
        "older history page": f"{history}&before={EARLY}",
    }
    searches = {
        "search, rare word": "/api/v1/search?q=ref0000007&limit=50",
        "search, common words": "/api/v1/search?q=morning%20order&limit=50",
    }
    costs = {
        name: _cost(noop, measured, measured.read(path), run_length) for name, path in calls.items()
    }
    for name, path in searches.items():
        template = measured.read(path, measured.new_token())
        costs[name] = _cost(noop, measured, template, run_length, SEARCHES // run_length.turns)
    costs["cost of delivering"] = cost_of_delivery(noop, measured, run_length)
    return costs


def _cost(
    noop: Process,
    measured: MeasuredServer,
    template: RequestTemplate,
    run_length: RunLength,
    max_requests: int = 0,
) -> float:
    turns = []
    for _ in range(run_length.turns):
        limit = limit_of(noop, 16, run_length.seconds).rate
        result = measured.run(
            template, connections=16, seconds=run_length.seconds, max_requests=max_requests
        )
        assert result.answered, "nothing was answered"
        assert not result.refused, "calls were refused"
        turns.append(limit / result.rate)
    return median(turns)


def grown_queue(
    noop: Process,
    measured: MeasuredServer,
    due: int,
    run_length: RunLength,
    database_url: str | None,
) -> list[Figure]:
    """Claims, and the cost of delivering, with few and with many due jobs, five in each lane."""
    few = _with_store(measured, database_url, _claims_of_few)
    before = cost_of_delivery(noop, measured, run_length)
    many = _with_store(measured, database_url, lambda store: _claims_of_many(store, due))
    after = cost_of_delivery(noop, measured, run_length)
    _with_store(measured, database_url, _forget_queue)
    return [
        Figure(f"claim of {CLAIM} jobs, 20 due", few * 1000, "ms", more=False),
        _slowdown(f"claim of {CLAIM} jobs, {due:,} due, × 20 due", many / few),
        _slowdown(f"cost of delivering, {due:,} jobs due elsewhere, × none", after / before),
    ]


def _slowdown(name: str, value: float) -> Figure:
    return Figure(name, value, "×", None, MAX_SLOWDOWN, more=False)


def _claims_of_few(store: Store) -> float:
    """The median time of a claim in seconds where only a few jobs are due."""
    taken = []
    for _ in range(CLAIMS):
        store.write(lambda tx: _queue(tx, 20, 20))
        taken.append(store.write(_claim, durable=False))
        _forget_queue(store)
    return median(taken)


def _claims_of_many(store: Store, due: int) -> float:
    """The median time of a claim in seconds, each after the jobs of the last one are done."""
    store.write(lambda tx: _queue(tx, due, due // 5))
    return median([store.write(_claim, durable=False) for _ in range(CLAIMS)])


def _queue(tx: Connection, due: int, lanes: int) -> None:
    message_id = tx.execute(select(messages.c.id).limit(1)).scalar_one()
    now = time.time()
    row = {
        "kind": "push",
        "message_id": message_id,
        "about": "",
        "destination": UNSERVED,
        "state": "due",
        "attempts": 0,
        "lapses": 0,
        "started": False,
        "due": now,
        "hold_until": now + jobs.HOLD_SECONDS,
        "created_at": now,
        "updated_at": now,
    }
    rows = [{**row, "target": f"bench {at}", "lane": f"bench {at % lanes}"} for at in range(due)]
    tx.execute(insert(table), rows)


def _claim(tx: Connection) -> float:
    """Claim jobs and mark them as done; returns the seconds of the claim."""
    begun = time.perf_counter()
    claimed = job_leasing.lease(tx, "bench", UNSERVED, CLAIM, time.time())
    seconds = time.perf_counter() - begun
    assert len(claimed) == CLAIM, "a claim found too few jobs"
    for job in claimed:
        jobs.done(tx, job)
    return seconds


def _forget_queue(store: Store) -> None:
    store.write(lambda tx: tx.execute(delete(table).where(table.c.destination == UNSERVED)))
    store.write(invariants.settle)  # the audit did not see these jobs come


def grown_settings(
    noop: Process,
    measured: MeasuredServer,
    numbers: int,
    run_length: RunLength,
    database_url: str | None,
) -> list[Figure]:
    """An edit of Message Settings, and webhooks meanwhile, with few and with many numbers."""
    few, few_edit = _edited(noop, measured, NUMBERS, run_length, database_url)
    many, many_edit = _edited(noop, measured, numbers, run_length, database_url)
    _with_settings(
        measured,
        database_url,
        lambda known: known.put_document(settings_file(*settings()).encode()),
    )
    figures = []
    for count, loads, seconds in ((NUMBERS, few, few_edit), (numbers, many, many_edit)):
        slowest = max(max(load.waits) for load in loads) * 1000
        refused = float(sum(load.refused for load in loads))
        during = f"during an edit, {count:,} numbers"
        figures += [
            Figure(f"edit of Message Settings, {count:,} numbers", seconds, "s", more=False),
            Figure(f"slowest webhook {during}", slowest, "ms", None, 1000.0, more=False),
            Figure(f"webhooks refused {during}", refused, "", None, 0.0, more=False),
        ]
    rates = [median([load.rate for load in loads]) for loads in (few, many)]
    name = f"cost of acknowledging during an edit, {numbers:,} numbers, × {NUMBERS}"
    return [*figures, _slowdown(name, rates[0] / rates[1])]


def _edited(
    noop: Process,
    measured: MeasuredServer,
    numbers: int,
    run_length: RunLength,
    database_url: str | None,
) -> tuple[list[LoadResult], float]:
    """Webhooks while the description of one number is edited, and the seconds of the edit."""
    document = settings_file(*settings(numbers)).encode()
    _with_settings(measured, database_url, lambda known: known.put_document(document))
    loads, seconds = [], []
    for turn in range(run_length.turns):
        measured.reset_receiver()
        changed = {**settings()[-1], "description": f"turn {turn}"}
        with ThreadPoolExecutor(1) as pool:
            load = pool.submit(measured.run, webhooks(MANY), connections=16, seconds=EDIT_SECONDS)
            time.sleep(1.0)
            begun = time.monotonic()
            _with_settings(measured, database_url, methodcaller("put", changed))
            seconds.append(time.monotonic() - begun)
            loads.append(load.result())
        measured.wait_for(loads[-1].answered)
    return loads, median(seconds)


def _with_settings(
    measured: MeasuredServer, database_url: str | None, work: Callable[[MessageSettings], object]
) -> None:
    storage = measured.server.storage
    _with_store(measured, database_url, lambda store: work(open_settings(store, storage, "US")))


def _with_store(
    measured: MeasuredServer, database_url: str | None, work: Callable[[Store], T]
) -> T:
    """Run something with a store of its own on the measured server's database."""
    store = Store(database_url, measured.server.storage)
    try:
        return work(store)
    finally:
        store.close()
