"""Phone app of an extension, installable: ``/phone/``. It uses ``/api/v1`` only.

The pages are the same for every browser: messages come from the API alone. The files in ``static``
are the source of the app and run without a build.
"""

import hashlib
import json
from pathlib import Path

from flask import Blueprint, Flask, Response, jsonify, make_response, render_template, request

from blueprints.headers import page_headers
from services.core.language import LANGUAGES, Language, sentence
from services.gateway import Gateway

STATIC = Path(__file__).parent / "static"
NO_SCRIPTS = sentence("This is an app made with JavaScript. Please allow it here.")
GROUND = "#f3f5f8"  # background of the light theme, see static/base.css


def register(app: Flask, gateway: Gateway) -> None:
    """Add the pages of the phone app."""
    routes = Blueprint(
        "phone",
        __name__,
        url_prefix="/phone",
        static_folder="static",
        static_url_path="",
        template_folder="templates",
    )
    routes.after_request(page_headers(own=("manifest-src", "worker-src", "media-src")))
    name = gateway.environment.service.app_name
    languages = {tag: Language(tag) for tag in LANGUAGES}
    without_scripts = {tag: language.t(NO_SCRIPTS) for tag, language in languages.items()}
    workers = {tag: _service_worker(name, tag) for tag in LANGUAGES}

    @routes.get("/")
    def show() -> Response:
        return make_response(
            render_template("phone.html", app_name=name, without_scripts=without_scripts)
        )

    @routes.get("/manifest.webmanifest")
    def manifest() -> Response:
        answer = jsonify(_manifest(name, languages[_accepted_language()]))
        answer.mimetype = "application/manifest+json"
        answer.vary.add("Accept-Language")
        return answer

    @routes.get("/service-worker.js")
    def service_worker() -> Response:
        """The service worker of the language that the app asks for."""
        asked = request.args.get("language", "en")
        return Response(workers.get(asked, workers["en"]), mimetype="text/javascript")

    app.register_blueprint(routes)


def _accepted_language() -> str:
    """The first of the browser's languages that there is, whatever its country."""
    by_primary = {tag.split("-")[0]: tag for tag in LANGUAGES}
    wanted = (tag.lower().split("-")[0] for tag in request.accept_languages.values())
    return next((by_primary[one] for one in wanted if one in by_primary), "en")


def _service_worker(name: str, language: str) -> str:
    """The service worker with the list of the files of the app in a language.

    It contains a digest of these files, so it changes when one of them does: then a browser fetches
    them anew.
    """
    other_words = {f"words_{tag}.json" for tag in LANGUAGES if tag != language}
    files = sorted(
        path for path in STATIC.iterdir() if path.is_file() and path.name not in other_words
    )
    digest = hashlib.sha256(name.encode())
    for path in [*files, Path(__file__), *sorted((Path(__file__).parent / "templates").iterdir())]:
        digest.update(path.name.encode() + path.read_bytes())
    names = [path.name for path in files if path.name != "worker.js"]
    shell = {
        "version": digest.hexdigest()[:16],
        "language": language,
        "files": ["./", "manifest.webmanifest", *names],
    }
    source = (STATIC / "worker.js").read_text(encoding="utf-8")
    return f"const SHELL = {json.dumps(shell)};\n\n{source}"


def _manifest(name: str, language: Language) -> dict[str, object]:
    """The web app manifest (https://www.w3.org/TR/appmanifest/)."""

    def icon(file: str, size: int, purpose: str = "any") -> dict[str, str]:
        return {
            "src": f"/phone/{file}",
            "sizes": f"{size}x{size}",
            "type": "image/png",
            "purpose": purpose,
        }

    return {
        "id": "/phone/",
        "name": name,
        "short_name": name,
        "lang": language.tag,
        "description": language.t("Texts and pictures of your extension."),
        "start_url": "/phone/",
        "scope": "/phone/",
        "display": "standalone",
        "background_color": GROUND,
        "theme_color": GROUND,
        "icons": [
            icon("icon-192.png", 192),
            icon("icon-512.png", 512),
            icon("icon-maskable-512.png", 512, "maskable"),
        ],
    }
