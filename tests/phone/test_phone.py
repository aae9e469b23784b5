"""The phone app's files: headers, what a browser may do with them, and its configuration."""

import json
import re
import shutil
import struct
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from app import create_app
from blueprints import phone
from blueprints.phone.files import STATIC, app_files
from services.core.language import LANGUAGES

FILES = sorted(path.name for path in STATIC.iterdir())
LOADED = [name for name in app_files().kept if name.startswith("built/")]
SCRIPTS = [name for name in FILES if name.endswith(".js")]


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FlaskClient]:
    folder = tmp_path_factory.mktemp("phone")
    app = create_app({"APP_ENV": "local", "STORAGE_PATH": str(folder), "APP_NAME": "Acme & Co"})
    yield app.test_client()
    app.extensions["gateway"].close()


def get(client: FlaskClient, path: str) -> TestResponse:
    """The answer, read and closed."""
    answer = client.get(path)
    assert answer.data is not None
    answer.close()
    return answer


class Elements(HTMLParser):
    """Every element of a page with its attributes."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


@pytest.mark.parametrize(
    "path", ["", "service-worker.js", "manifest.webmanifest", *LOADED, *FILES, "none"]
)
def test_a_browser_may_load_this_app_and_nothing_else(client: FlaskClient, path: str) -> None:
    answer = get(client, f"/phone/{path}")
    assert answer.status_code == (404 if path == "none" else 200)
    policy = dict(
        part.split(" ", 1) for part in answer.headers["Content-Security-Policy"].split("; ")
    )
    assert policy == {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": "'self'",
        "img-src": "'self' data: blob:",
        "connect-src": "'self'",
        "manifest-src": "'self'",
        "media-src": "'self'",
        "worker-src": "'self'",
        "frame-ancestors": "'none'",
        "base-uri": "'none'",
        "form-action": "'none'",
    }
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    if path.endswith(".js"):
        assert answer.mimetype == "text/javascript"


def test_the_page_has_no_code_in_it_and_loads_only_what_is_here(client: FlaskClient) -> None:
    page = get(client, "/phone/").text
    assert "<title>Acme &amp; Co</title>" in page
    for tag, attributes in Elements(page).found:
        assert not {name for name in attributes if name.startswith("on") or name == "style"}, tag
        assert tag not in ("style", "base", "iframe")
        for name in ("src", "href"):
            address = attributes.get(name) or ""
            if address and not address.startswith("#"):
                assert address.startswith("/phone/")
                assert get(client, address).status_code == 200
        if tag == "script":
            assert attributes["type"] == "module"


@pytest.mark.parametrize("name", SCRIPTS)
def test_texts_from_outside_never_become_markup(name: str) -> None:
    source = (STATIC / name).read_text("utf-8")
    for word in (
        "innerHTML",
        "outerHTML",
        "insertAdjacentHTML",
        "document.write",
        "eval(",
        "srcdoc",
    ):
        assert word not in source
    assert "//" not in re.sub(r"https?:\\?/\\?/|\s//.*|^//.*", "", source, flags=re.MULTILINE)
    assert source.startswith("// "), "every file says what it is"


@pytest.mark.parametrize("name", SCRIPTS)
def test_every_import_leads_to_a_file_and_a_name(name: str) -> None:
    source = (STATIC / name).read_text("utf-8")
    for names, file in re.findall(r'^import (.+?) from "\./(.+?)";', source, re.DOTALL | re.M):
        there = (STATIC / file).read_text("utf-8")
        for imported in re.findall(r"\w+", names.removeprefix("* as ") if "{" in names else ""):
            assert re.search(rf"export (async )?(function|class|const|let) {imported}\b", there), (
                file
            )


def test_without_a_slash_it_is_found_too(client: FlaskClient) -> None:
    answer = client.get("/phone")
    assert answer.status_code == 308
    assert answer.headers["Location"].endswith("/phone/")


def test_the_manifest_is_what_installing_wants(client: FlaskClient) -> None:
    answer = get(client, "/phone/manifest.webmanifest")
    assert answer.mimetype == "application/manifest+json"
    manifest = json.loads(answer.data)
    assert (manifest["name"], manifest["start_url"]) == ("Acme & Co", "/phone/")
    assert manifest["scope"] == "/phone/"
    for icon in manifest["icons"]:
        picture = get(client, icon["src"]).data
        width, height = struct.unpack(">II", picture[16:24])
        assert icon["sizes"] == f"{width}x{height}"
    assert "maskable" in {icon["purpose"] for icon in manifest["icons"]}


@pytest.mark.parametrize(
    ("asked", "language"),
    [("", "en"), *((f"?language={tag}", tag) for tag in LANGUAGES), ("?language=../x", "en")],
)
def test_the_service_worker_keeps_all_that_the_page_loads_and_one_language(
    client: FlaskClient, asked: str, language: str
) -> None:
    page = Elements(get(client, "/phone/").text)
    loaded = {
        str(attributes.get("src") or attributes.get("href")).removeprefix("/phone/")
        for tag, attributes in page.found
        if tag in ("script", "img")
        or (tag == "link" and attributes["rel"] in ("stylesheet", "icon", "manifest"))
    }
    shell = shell_of(client, asked)
    files = shell["files"]
    assert loaded < set(files)
    assert "./" in files
    words = {f"words_{language}.json"} - {"words_en.json"}
    assert {file for file in files if file.startswith("words_")} == words
    assert shell["language"] == language
    for file in files:
        assert get(client, f"/phone/{file.removeprefix('./')}").status_code == 200


def test_the_manifest_is_in_the_language_of_the_browser(client: FlaskClient) -> None:
    asked = {"Accept-Language": "fr-FR,fr;q=0.9,en;q=0.5"}
    answer = client.get("/phone/manifest.webmanifest", headers=asked)
    assert answer.json is not None
    assert answer.json["lang"] == "fr-CA"
    assert "poste" in answer.json["description"]
    assert "Accept-Language" in answer.headers["Vary"]


def shell_of(client: FlaskClient, asked: str = "") -> Any:
    """The list of the files that the service worker keeps."""
    source = get(client, f"/phone/service-worker.js{asked}").text
    return json.loads(source.removeprefix("const SHELL = ").split(";\n", 1)[0])


def test_a_change_of_any_file_is_a_new_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "phone"
    shutil.copytree(phone.PACKAGE, package)
    for name, folder in (("PACKAGE", package), ("STATIC", package / "static")):
        monkeypatch.setattr(phone, name, folder)

    def worker(name: str = "Textbridge") -> str:
        return phone._service_worker(name, app_files(package / "static", package / "built"), "de")

    seen = {worker(), worker("Another")}
    built = [str(file) for file in app_files().kept if file.startswith("built/")]
    changed = [*built, "static/worker.js", "static/db.js", "static/base.css"]
    for name in changed:
        (package / name).write_bytes((package / name).read_bytes() + b" ")
        seen.add(worker())
    assert len(seen) == len(changed) + 2
