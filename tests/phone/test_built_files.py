"""The built files of the phone app: they are what the sources give, and few and small."""

import hashlib
import json
import shutil
from pathlib import Path

import pytest

from blueprints.phone.files import BUILT, ENTRY, STATIC, STYLES, app_files, digest_of_sources
from scripts import build_app

HOW = "The sources of the phone app have changed: run `make app`, and commit what it has built."


def test_the_built_files_are_of_these_sources() -> None:
    made = json.loads((BUILT / "built.json").read_text("utf-8"))
    assert made["sources"] == digest_of_sources(), HOW
    names = {made["script"], made["style"], made["logo"]}
    assert {path.name for path in BUILT.iterdir()} == {*names, "built.json"}
    for name in names:
        digest = hashlib.sha256((BUILT / name).read_bytes()).hexdigest()
        assert name.startswith(f"app-{digest[:12]}."), "it was changed after it was built"
    files = app_files()
    assert [files.script, *files.styles] == [f"built/{made['script']}", f"built/{made['style']}"]


def test_a_new_build_gives_the_same_files() -> None:
    if not build_app.ESBUILD.exists():
        pytest.skip("esbuild is not installed (make app).")
    made = build_app.build()
    assert made == {path.name: path.read_bytes() for path in BUILT.iterdir()}, HOW


def test_sources_that_somebody_works_on_are_served_themselves(tmp_path: Path) -> None:
    static = tmp_path / "static"
    shutil.copytree(STATIC, static)
    assert app_files(static).script.startswith("built/")
    (static / "db.js").write_text("// changed", "utf-8")
    files = app_files(static)
    assert (files.script, files.styles) == (ENTRY, STYLES)
    assert {"app.js", "db.js", "base.css"} < set(files.kept)
    assert "worker.js" not in files.kept
    assert app_files(STATIC, tmp_path / "not built").script == ENTRY


def test_every_style_of_the_app_is_loaded() -> None:
    assert set(STYLES) == {path.name for path in STATIC.glob("*.css")}
