"""Start page ``/``: redirects this machine to the sandbox where it is on, else explains itself."""

from flask import Blueprint, Response, make_response, redirect, render_template, url_for

from blueprints.client_address import Callers
from blueprints.headers import page_headers


def blueprint(callers: Callers, app_name: str, *, sandbox: bool) -> Blueprint:
    """The route ``/``."""
    routes = Blueprint(
        "home", __name__, template_folder="templates", static_folder="home", static_url_path="/home"
    )
    routes.after_request(page_headers())

    @routes.get("/")
    def home() -> Response:
        if sandbox and callers.caller().is_this_machine:
            return make_response(redirect(url_for("sandbox.show")))
        return make_response(render_template("home.html", app_name=app_name))

    return routes
