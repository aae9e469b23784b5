"""Start page: what is wrong, what is set up, and the next thing to do."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from flask import Blueprint, Response, url_for

from blueprints.admin.page import Pages, redirect_to
from services.core.errors import StorageUnwell
from services.operations.carrier_status import CarrierStatus
from services.operations.health import Health
from services.operations.server_process import reload_server
from services.operations.setup_checklist import SetupChecklist, Stage, Step
from services.operations.statistics import activity_of
from services.providers.base import Provider
from services.providers.sandbox import Sandbox
from services.store.database.store import Store

# The button for each problem and its page, by its name in services/operations/health.py.
PAGES = {
    "settings": ("Open Message Settings", "admin.settings"),
    "unrouted": ("Assign", "admin.messages_unrouted"),
    "dead": ("See what failed", "admin.messages_given_up"),
    "quarantine": ("See what could not be read", "admin.messages_quarantine"),
    "no_device": ("Pair a phone", "admin.devices_pair"),
    "device": ("Open devices", "admin.devices"),
}


@dataclass(frozen=True, slots=True)
class Button:
    """A button: a link to a page, or with ``posts`` a form."""

    label: str
    address: str
    posts: bool = False


@dataclass(frozen=True, slots=True)
class Trouble:
    """A problem with the button that leads to its remedy."""

    reason: str
    bad: bool
    button: Button | None


def add_routes(
    routes: Blueprint,
    pages: Pages,
    store: Store,
    providers: Mapping[str, Provider],
    health: Health,
    checklist: SetupChecklist,
    carrier_status: CarrierStatus,
    storage: Path,
) -> None:
    """Add ``/admin/``; ``storage`` is the storage folder, absolute."""

    @routes.get("/")
    def start() -> Response:
        try:
            steps = checklist.steps()
            known = [one for one in carrier_status.all() if one.is_on]
            today = activity_of(store, steps=24).total
        except StorageUnwell:  # the first problem on the page says so
            steps, known, today = [], [], None
        coming = next((step for step in steps if not step.done), None)
        return pages.render(
            "start.html",
            troubles=_troubles(health),
            steps=steps,
            coming=coming,
            button=_next_button(providers, coming) if coming else None,
            carriers=known,
            today=today,
        )

    @routes.post("/reload")
    def reload() -> Response:
        reload_server(storage)
        pages.set_notice("The file .env is read again; this takes a few seconds.")
        return redirect_to("admin.start")


def _troubles(health: Health) -> list[Trouble]:
    checks = [check for check in health.checks() if not check.ok]
    return [
        *(Trouble(check.reason, True, _remedy(check.name)) for check in checks),
        *(
            Trouble(warned.reason if button else str(warned), False, button)
            for warned in health.warnings()
            for button in [_remedy(warned.name, warned.about)]
        ),
    ]


def _remedy(name: str, about: str = "") -> Button | None:
    if name == "env":
        return Button("Apply it now", url_for("admin.reload"), posts=True)
    if name in PAGES:
        label, endpoint = PAGES[name]
        return Button(label, url_for(endpoint))
    kind, _, carrier = about.partition(":")
    if kind in ("send", "fetch", "reconcile"):
        return Button("Open carrier", url_for("admin.carriers_show", name=carrier))
    return Button("Open devices", url_for("admin.devices")) if kind == "push" else None


def _next_button(providers: Mapping[str, Provider], step: Step) -> Button:
    """The button that leads to the next step."""
    sandbox = Sandbox.name in providers
    if step.stage in (Stage.WEBHOOK, Stage.TEXT) and sandbox:
        return Button("Open the sandbox", url_for("sandbox.show"))
    if step.stage in (Stage.CREDENTIALS, Stage.WEBHOOK) and len(providers) == 1:
        name = next(iter(providers))
        return Button("Check credentials", url_for("admin.carriers_show", name=name))
    if step.stage is Stage.NUMBER:
        return Button("Add a number", url_for("admin.settings_new"))
    if step.stage is Stage.DEVICE:
        return Button("Pair a phone", url_for("admin.devices_pair"))
    if step.stage is Stage.TEXT:
        return Button("Watch the messages", url_for("admin.messages"))
    return Button("Carriers", url_for("admin.carriers"))
