"""Phone app of an extension, installable: ``/phone/``. It uses ``/api/v1`` only.

The pages are the same for every browser: messages come from the API alone. ``files`` says which
files browsers load.
"""

import hashlib
import json
from pathlib import Path

from flask import (
    Blueprint,
    Flask,
    Response,
    abort,
    jsonify,
    make_response,
    render_template,
    request,
)

from blueprints.headers import page_headers
from blueprints.phone.files import BUILT, PACKAGE, STATIC, WORKER, AppFiles, app_files
from services.core.language import LANGUAGES, Language, sentence
from services.gateway import Gateway

TYPES = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
FOR_EVER = "public, max-age=31536000, immutable"  # names that have a digest of the content
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
    files = app_files()
    languages = {tag: Language(tag) for tag in LANGUAGES}
    without_scripts = {tag: language.t(NO_SCRIPTS) for tag, language in languages.items()}
    workers = {tag: _service_worker(name, files, tag) for tag in LANGUAGES}
    # In memory, so that a running server has its own while those on the disk are replaced.
    contents = {path.name: path.read_bytes() for path in BUILT.glob("app-*")}

    @routes.get("/")
    def show() -> Response:
        return make_response(
            render_template(
                "phone.html", app_name=name, files=files, without_scripts=without_scripts
            )
        )

    @routes.get("/built/<name>")
    def built(name: str) -> Response:
        if name not in contents:
            abort(404)
        answer = Response(contents[name], mimetype=TYPES[Path(name).suffix])
        answer.headers["Cache-Control"] = FOR_EVER
        return answer

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
    known = {tag.split("-")[0]: tag for tag in LANGUAGES}
    wanted = (tag.lower().split("-")[0] for tag in request.accept_languages.values())
    return next((known[one] for one in wanted if one in known), "en")


def _service_worker(name: str, files: AppFiles, language: str) -> str:
    """The service worker with the list of the files of the app in a language.

    It contains a digest of these files, so it changes when one of them does: then a browser fetches
    them anew.
    """
    other_words = {f"words_{tag}.json" for tag in LANGUAGES if tag != language}
    kept = [file for file in files.kept if file not in other_words]
    digest = hashlib.sha256(name.encode())
    for path in (
        *(_path(file) for file in kept),
        *(STATIC / WORKER, Path(__file__)),
        *sorted((PACKAGE / "templates").iterdir()),
    ):
        digest.update(path.name.encode() + path.read_bytes())
    shell = {
        "version": digest.hexdigest()[:16],
        "language": language,
        "files": ["./", "manifest.webmanifest", *kept],
    }
    source = (STATIC / WORKER).read_text(encoding="utf-8")
    return f"const SHELL = {json.dumps(shell)};\n\n{source}"


def _path(file: str) -> Path:
    return PACKAGE / file if file.startswith("built/") else STATIC / file


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
