"""The start page: what is wrong, what is set up, and the next thing to do."""

from dataclasses import dataclass
from typing import Any

from flask import Blueprint, Response, current_app, url_for

from blueprints.admin.page import onward, render
from blueprints.admin.session import tell
from blueprints.cli.server import reread
from services import health
from services.activity import activity_of
from services.carriers import carriers
from services.errors import StorageUnwell
from services.gateway import Gateway
from services.journey import Stage, Step, journey
from services.providers.sandbox import Sandbox

# Where a trouble is looked into: its name in services/health.py, the page, the words of the button.
REMEDIES = {
    "settings": ("admin.settings", "Message Settings"),
    "unrouted": ("admin.messages_unrouted", "Look at them"),
    "dead": ("admin.messages_dead", "Look at them"),
    "quarantine": ("admin.messages_quarantine", "Look at them"),
    "paused": ("admin.carriers", "Carriers"),
}


@dataclass(frozen=True, slots=True)
class Button:
    """What leads on: a page, or with ``posts`` a change."""

    words: str
    address: str
    posts: bool = False


@dataclass(frozen=True, slots=True)
class Trouble:
    """A sentence about what is wrong, and what leads to its remedy."""

    words: str
    bad: bool
    button: Button | None


def open_pages(door: Blueprint, gateway: Gateway) -> None:
    """Open ``/admin/``."""

    @door.get("/")
    def start() -> Response:
        try:
            steps = journey(gateway)
            known = [one for one in carriers(gateway) if one.is_on]
            today = activity_of(gateway, steps=24).total
        except StorageUnwell:  # the first of the troubles says so
            steps, known, today = [], [], None
        coming = next((step for step in steps if not step.done), None)
        return render(
            "start.html",
            troubles=_troubles(gateway),
            steps=steps,
            coming=coming,
            button=_onward(gateway, coming) if coming else None,
            carriers=known,
            today=today,
        )

    @door.post("/reload")
    def reload() -> Response:
        reread(gateway.environment.service.storage_path.resolve())
        tell("The file .env is read again; this takes a few seconds.")
        return onward("admin.start")


def _troubles(gateway: Gateway) -> list[Trouble]:
    checks = [check for check in health.checks(gateway) if not check.ok]
    return [
        *(Trouble(check.reason, True, _remedy(check.name)) for check in checks),
        *(
            Trouble(warned.reason, False, _remedy(warned.name))
            for warned in health.warnings(gateway)
        ),
    ]


def _remedy(name: str) -> Button | None:
    if name == "env":
        return Button("Apply it now", url_for("admin.reload"), posts=True)
    endpoint, words = REMEDIES.get(name, ("", ""))
    return _to(endpoint, words)


def _onward(gateway: Gateway, step: Step) -> Button | None:
    """What leads to the step that comes next."""
    sandbox = Sandbox.name in gateway.providers
    if step.stage in (Stage.WEBHOOK, Stage.TEXT) and sandbox:
        return Button("Open the sandbox", url_for("sandbox.show"))
    if step.stage in (Stage.CREDENTIALS, Stage.WEBHOOK) and len(gateway.providers) == 1:
        return _to("admin.carriers_show", "Open its page", name=next(iter(gateway.providers)))
    if step.stage is Stage.NUMBER:
        return _to("admin.settings_new", "Add a number") or _to("admin.settings", "Add a number")
    if step.stage is Stage.DEVICE:
        return _to("admin.devices", "Pair a phone")
    if step.stage is Stage.TEXT:
        return _to("admin.messages", "Watch the messages")
    return _to("admin.carriers", "Carriers")


def _to(endpoint: str, words: str, **values: Any) -> Button | None:
    if endpoint not in current_app.view_functions:
        return None
    return Button(words, url_for(endpoint, **values))
