"""Jobs: lanes in order, leases, rates, pauses."""

import itertools
import time
from concurrent.futures import ThreadPoolExecutor

from sqlalchemy import Connection

from services.store import circuit_breakers, job_leasing, jobs, rate_limits, workers
from services.store.database.store import Store
from services.store.jobs import Job, JobKind
from tests.store.conftest import add_jobs, inbound, store_inbound


def lease(store: Store, destination: str = "d", limit: int = 10, owner: str = "w") -> list[Job]:
    return store.write(lambda tx: job_leasing.lease(tx, owner, destination, limit, time.time()))


def a_job(store: Store, target: str = "t", lane: str = "", **more: object) -> Job:
    message = store_inbound(store, inbound(target + str(time.time_ns())))
    assert message is not None
    return Job(JobKind.PUSH, message.id, "d", target=target, lane=lane, **more)  # type: ignore[arg-type]


def test_a_job_is_written_once(store: Store) -> None:
    job = a_job(store)
    add_jobs(store, job, job)
    add_jobs(store, job)
    assert len(lease(store)) == 1


def test_jobs_of_a_lane_are_done_in_order(store: Store) -> None:
    add_jobs(store, *(a_job(store, f"t{index}", lane="one") for index in range(3)))
    order = []
    while claimed := lease(store):
        assert len(claimed) == 1
        order.append(claimed[0].target)
        store.write(lambda tx, job=claimed[0]: jobs.done(tx, job))
    assert order == ["t0", "t1", "t2"]


def test_the_head_of_a_lane_holds_it_for_a_limited_time(store: Store) -> None:
    old = time.time() - jobs.HOLD_SECONDS - 1
    add_jobs(store, a_job(store, "head", lane="one", created_at=old, due=old))
    (head,) = lease(store)
    add_jobs(store, a_job(store, "next", lane="one"))
    assert lease(store) == []
    store.write(lambda tx: jobs.retry(tx, head, time.time() + 600, "later"))
    assert [job.target for job in lease(store)] == ["next"]


def test_new_jobs_do_not_wait_behind_all_old_ones(store: Store) -> None:
    old = time.time() - 3600
    add_jobs(store, *(a_job(store, f"t{index}", due=old + index) for index in range(40)))
    add_jobs(store, a_job(store, "new"))
    assert [job.target for job in lease(store, limit=4)] == ["t0", "t1", "t2", "new"]
    add_jobs(store, a_job(store, "newer"))
    claimed = [lease(store, limit=1)[0].target for _ in range(35)]  # by lot: 2**-35 that it fails
    assert "newer" in claimed
    assert "t3" in claimed


def test_new_jobs_do_not_overtake_their_own_lane(store: Store) -> None:
    old = time.time() - 3600
    add_jobs(store, *(a_job(store, f"t{index}", due=old + index) for index in range(9)))
    first = a_job(store, "first", lane="one", created_at=old, due=old + 10)
    add_jobs(store, first, a_job(store, "second", lane="one"))
    assert [job.target for job in lease(store, limit=3)] == ["t0", "t1", "first"]


def test_two_workers_never_get_the_same_job(store: Store) -> None:
    add_jobs(store, *(a_job(store, f"t{index}") for index in range(60)))
    with ThreadPoolExecutor(6) as pool:
        claimed = list(pool.map(lambda w: lease(store, owner=f"w{w}", limit=10), range(6)))
    ids = [job.id for part in claimed for job in part]
    assert len(ids) == len(set(ids)) == 60


def test_a_worker_that_lost_its_lease_cannot_finish_the_job(store: Store) -> None:
    add_jobs(store, a_job(store))
    (job,) = lease(store, owner="old")
    store.write(lambda tx: workers.beat(tx, "new", time.time()))
    (orphan,) = store.write(jobs.abandoned)
    store.write(lambda tx: jobs.retry(tx, orphan, time.time(), "interrupted"))
    lease(store, owner="new")
    assert store.write(lambda tx: jobs.done(tx, job)) is False


def test_a_rate_limit_lets_a_burst_pass_and_then_one_after_the_other(store: Store) -> None:
    now, left = 1000.0, []

    def ask(tx: Connection) -> float:
        if not (wait := rate_limits.wait(tx, "carrier", now)):
            rate_limits.count(tx, "carrier", 4.0, now)
        return wait

    while len(left) < 20:
        if wait := store.write(ask):
            now += wait
        else:
            left.append(now)
    assert left[:5] == [1000.0] * 5
    assert [round(b - a, 3) for a, b in itertools.pairwise(left[5:])] == [0.25] * 14
    assert store.write(lambda tx: rate_limits.wait(tx, "another", now)) == 0.0


def test_a_pause_that_was_asked_for_outlasts_what_had_begun_before(store: Store) -> None:
    now = time.time()

    def unwell() -> list[str]:
        return [pause.name for pause in store.read(circuit_breakers.unwell)]

    def pause(seconds: float, *, config: bool) -> None:
        store.write(
            lambda tx: circuit_breakers.pause(tx, "d", now + seconds, "busy", config=config)
        )
        store.write(lambda tx: circuit_breakers.resume(tx, "d"))

    pause(600, config=False)
    assert unwell() == ["d"]
    pause(-1, config=False)
    assert unwell() == []
    pause(600, config=True)
    assert unwell() == [], "our fault, and for others it works"
