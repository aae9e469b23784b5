"""The carriers: what ``.env`` says, the webhook's address, the check of the credentials."""

from flask import Blueprint, Response, abort

from blueprints.admin.page import onward, render
from blueprints.admin.session import tell
from services.gateway import Gateway
from services.providers.sandbox import Sandbox


def open_pages(door: Blueprint, gateway: Gateway) -> None:
    """Open ``/admin/carriers``."""

    @door.get("/carriers", endpoint="carriers")
    def overview() -> Response:
        return render("carriers.html", carriers=gateway.carrier_status.all())

    @door.get("/carriers/<name>", endpoint="carriers_show")
    def show(name: str) -> Response:
        found = gateway.carrier_status.one(name)
        if found is None:
            abort(404)
        reachable = gateway.environment.service.app_url is not None or name == Sandbox.name
        return render("carrier.html", carrier=found, reachable=reachable)

    @door.post("/carriers/<name>/check", endpoint="carriers_check")
    def check(name: str) -> Response:
        provider = gateway.providers.get(name)
        if provider is None:
            abort(404)
        found = gateway.carrier_status.check(provider)
        if all(finding.ok for finding in found):
            tell(f"{provider.title} takes the credentials.")
        else:
            tell(f"{provider.title}: something is to be mended, see below.", bad=True)
        return onward("admin.carriers_show", name=name)
