"""The start page: what is set up, what is missing, and the next thing to do."""

from flask import Blueprint, Response

from blueprints.admin.page import render
from services import health
from services.gateway import Gateway


def open_pages(door: Blueprint, gateway: Gateway) -> None:
    """Open ``/admin/``."""

    @door.get("/")
    def start() -> Response:
        troubles = [check for check in health.checks(gateway) if not check.ok]
        return render("start.html", troubles=troubles, warnings=health.warnings(gateway))
