"""Health for monitoring: ``/up``, ``/ready`` and ``/metrics`` (Prometheus)."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict
from typing import Any

from flask import Blueprint, Response, jsonify
from prometheus_client import CollectorRegistry, generate_latest, multiprocess, values
from prometheus_client.core import REGISTRY, GaugeMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.registry import Collector
from werkzeug.exceptions import Forbidden

from blueprints.admin_access import USER, AdminAccess
from blueprints.errors import problem
from services.core.errors import RequestRefused, StorageUnwell
from services.operations.health import Figures, Health
from services.store.database.time_limits import CALL_SECONDS, within
from services.store.maintenance.invariants import Invariant

CHALLENGE = {"WWW-Authenticate": 'Basic realm="Textbridge", charset="UTF-8"'}


def blueprint(health: Health, access: AdminAccess) -> Blueprint:
    """The routes; only this machine and the operator see more than whether it is ready."""
    routes = Blueprint("health", __name__)
    gauges = CollectorRegistry()
    gauges.register(_Gauges(health))

    @routes.get("/up")
    def up() -> Response:
        return jsonify(status="up")

    @routes.get("/ready")
    def ready() -> Response:
        with within(CALL_SECONDS):
            checks = health.checks()
            well = all(check.ok for check in checks)
            answer: dict[str, Any] = {"ready": well}
            if _sees_details(access):
                answer["checks"] = [asdict(check) for check in checks]
                answer["warnings"] = [
                    asdict(warned) | {"reason": str(warned)} for warned in health.warnings()
                ]
        response = jsonify(answer)
        response.status_code = 200 if well else 503
        return response

    @routes.get("/metrics")
    def metrics() -> Response:
        if not access.callers.caller().is_this_machine and not access.is_operator():
            return _refusal(access)
        with within(CALL_SECONDS):
            text = generate_latest(_counters()) + generate_latest(gauges)
        return Response(text, content_type=CONTENT_TYPE_PLAIN_0_0_4)

    @routes.after_request
    def fresh(response: Response) -> Response:
        response.headers["Cache-Control"] = "no-store"
        return response

    return routes


def _sees_details(access: AdminAccess) -> bool:
    """Whether the caller sees the details of ``/ready``; not after too many wrong passwords.

    This machine does, and the operator from where ADMIN_ALLOW allows it.
    """
    try:
        return access.callers.caller().is_this_machine or access.is_operator()
    except (Forbidden, RequestRefused, StorageUnwell):
        return False


def _refusal(access: AdminAccess) -> Response:
    if not access.has_password:
        return problem(
            403,
            "forbidden",
            "Metrics are for this machine only. To read them from elsewhere, set ADMIN_PASSWORD "
            f"in .env and sign in as {USER}.",
        )
    answer = problem(401, "unauthorized", f"Sign in as {USER} with ADMIN_PASSWORD.")
    answer.headers.update(CHALLENGE)
    return answer


def _counters() -> CollectorRegistry:
    """The counters of all processes of the server, or of this one where they share no folder."""
    if values.ValueClass is values.MutexValue:
        return REGISTRY
    shared = CollectorRegistry()
    multiprocess.MultiProcessCollector(shared)  # type: ignore[no-untyped-call]
    return shared


class _Gauges(Collector):
    """Gauges from the database and the disk, read at each request."""

    def __init__(self, health: Health) -> None:
        self._health = health

    def collect(self) -> Iterator[GaugeMetricFamily]:
        yield self._checks()
        with suppress(OSError):
            free = self._health.free_bytes()
            yield _gauge("disk_free_bytes", "Free space of the storage folder", free)
        try:
            known = self._health.figures()
        except StorageUnwell:
            return
        yield from _work(known)

    def _checks(self) -> GaugeMetricFamily:
        family = GaugeMetricFamily(
            "textbridge_check_ok", "Checks of /ready: 1 is well", labels=["check"]
        )
        for check in self._health.checks():
            family.add_metric([check.name], float(check.ok))
        return family


def _work(known: Figures) -> Iterator[GaugeMetricFamily]:
    jobs = GaugeMetricFamily(
        "textbridge_jobs", "Jobs that are due, leased or dead", labels=["kind", "state"]
    )
    for (kind, state), count in sorted(known.jobs.items()):
        jobs.add_metric([kind, state], count)
    yield jobs
    yield _gauge("oldest_due_seconds", "Age of the job due for the longest time", known.oldest_due)
    yield _gauge("inbox_calls", "Webhook calls that are not processed yet", known.inbox)
    yield _gauge("inbox_oldest_seconds", "Age of the oldest of them", known.inbox_oldest)
    yield _gauge("worker_silent_seconds", "Since a worker last beat", known.worker_silent)
    yield _gauge("unrouted_numbers", "Numbers whose messages reach nobody", len(known.unrouted))
    yield _gauge("quarantined", "Webhooks that could not be read", known.quarantined)
    family = GaugeMetricFamily(
        "textbridge_conservation_breach", "Laws of conservation: 1 does not hold", labels=["law"]
    )
    broken = {violation.invariant for violation in known.violations}
    for invariant in Invariant:
        family.add_metric([invariant], float(invariant in broken))
    yield family
    yield _gauge("paused_destinations", "Carriers, channels and mail left alone", len(known.pauses))


def _gauge(name: str, meaning: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"textbridge_{name}", meaning, value=value)
