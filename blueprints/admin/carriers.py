"""Carriers page: what ``.env`` says, the webhook's address, the check of the credentials."""

from collections.abc import Mapping

from flask import Blueprint, Response, abort

from blueprints.admin.page import Pages, redirect_to
from services.operations.carrier_status import CarrierStatus
from services.providers.base import Provider
from services.providers.sandbox import Sandbox


def add_routes(
    routes: Blueprint,
    pages: Pages,
    status: CarrierStatus,
    providers: Mapping[str, Provider],
    *,
    has_public_address: bool,
) -> None:
    """Add ``/admin/carriers``; ``has_public_address``: APP_URL is set."""

    @routes.get("/carriers", endpoint="carriers")
    def overview() -> Response:
        return pages.render("carriers.html", carriers=status.all())

    @routes.get("/carriers/<name>", endpoint="carriers_show")
    def show(name: str) -> Response:
        found = status.one(name)
        if found is None:
            abort(404)
        reachable = has_public_address or name == Sandbox.name
        return pages.render("carrier.html", carrier=found, reachable=reachable)

    @routes.post("/carriers/<name>/check", endpoint="carriers_check")
    def check(name: str) -> Response:
        provider = providers.get(name)
        if provider is None:
            abort(404)
        found = status.check(provider)
        if all(finding.ok for finding in found):
            pages.set_notice(f"{provider.title} takes the credentials.")
        else:
            pages.set_notice(f"{provider.title}: something must be fixed, see below.", bad=True)
        return redirect_to("admin.carriers_show", name=name)
