"""Page of the API for people: Swagger UI at ``/api/docs``.

Everybody may see it, as everybody may read the OpenAPI document: neither tells anything about this
installation. Its files are those of the npm package ``swagger-ui-dist``; no other server is asked.
"""

from pathlib import Path

from flask import Blueprint, Response, make_response, render_template, send_from_directory

from blueprints.headers import page_headers

SWAGGER_UI = Path(__file__).parent / "swagger_ui"


def blueprint(app_name: str) -> Blueprint:
    """The page and its files."""
    routes = Blueprint(
        "api_docs",
        __name__,
        url_prefix="/api/docs",
        static_folder="page_files",
        static_url_path="/static",
        template_folder="templates",
    )
    routes.after_request(page_headers())

    @routes.get("")
    def show() -> Response:
        return make_response(render_template("api.html", app_name=app_name))

    @routes.get("/swagger-ui/<name>")
    def swagger_ui(name: str) -> Response:
        return send_from_directory(SWAGGER_UI, name)

    return routes
