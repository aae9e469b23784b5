"""Diagnosis page: runs the doctor, and shows its last report."""

import json
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from threading import Lock
from typing import Any

from flask import Blueprint, Response

from blueprints.admin.page import Pages, redirect_to
from services.operations.doctor.diagnosis import State
from services.operations.doctor.doctor import Doctor
from services.store import sightings
from services.store.database.store import Store
from services.store.sightings import Subject

KIND = "report"


def add_routes(routes: Blueprint, pages: Pages, store: Store, doctor: Callable[[], Doctor]) -> None:
    """Add ``/admin/doctor``; ``doctor`` makes one for each run."""
    running = Lock()  # one run at a time in a process

    @routes.get("/doctor", endpoint="start_doctor")
    def show() -> Response:
        seen = store.read(partial(sightings.of, subject=Subject.DOCTOR))
        lines: list[dict[str, Any]] = json.loads(seen[0].text) if seen else []
        lines.sort(key=lambda line: list(State).index(State(line["state"])), reverse=True)
        return pages.render("doctor.html", lines=lines, at=seen[0].at if seen else None)

    @routes.post("/doctor", endpoint="start_doctor_run")
    def run() -> Response:
        if not running.acquire(blocking=False):
            pages.set_notice("A check is running. Look again in half a minute.", bad=True)
            return redirect_to("admin.start_doctor")
        try:
            lines = [asdict(each) for each in doctor().run()]
        finally:
            running.release()
        put = partial(sightings.put, subject=Subject.DOCTOR, kind=KIND, text=json.dumps(lines))
        store.write(put, durable=False)
        return redirect_to("admin.start_doctor")
