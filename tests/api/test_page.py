"""The page of the API: its policy for scripts, and the version and licence of Swagger UI."""

import json
import re

from blueprints.api.page import SWAGGER_UI
from tests.api.conftest import Service
from tests.server import ROOT


def test_everybody_sees_a_page_without_code_in_it(service: Service) -> None:
    client = service.client
    page = client.get("/api/docs")
    assert page.status_code == 200
    policy = page.headers["Content-Security-Policy"]
    assert "script-src 'self';" in policy
    assert "style-src 'self';" in policy
    assert not re.search(r"<script(?![^>]* src=)|<style|\sstyle=|\son\w+=|https?://", page.text)
    for address in re.findall(r'(?:src|href)="([^"]+)"', page.text):
        answer = client.get(address)
        assert answer.status_code == 200, address
        answer.close()


def test_swagger_ui_is_the_version_that_is_pinned_with_its_licence() -> None:
    pinned = json.loads((ROOT / "package.json").read_text("utf-8"))["devDependencies"]
    assert (SWAGGER_UI / "VERSION").read_text("utf-8").strip() == pinned["swagger-ui-dist"]
    assert "Apache License" in (SWAGGER_UI / "LICENSE").read_text("utf-8")
    assert (SWAGGER_UI / "NOTICE").exists()
    package = ROOT / "node_modules/swagger-ui-dist"
    if package.exists():
        for path in SWAGGER_UI.iterdir():
            if path.name != "VERSION":
                assert path.read_bytes() == (package / path.name).read_bytes()
