"""The list of pages that are photographed is complete, and the comparison finds what changed."""

from pathlib import Path

import pytest
from PIL import Image, ImageDraw

from app import create_app
from scripts import translations
from tests.admin.conftest import PASSWORD
from tests.screenshots import docs_images
from tests.screenshots.camera import SCHEMES, SIZES
from tests.screenshots.compare import compare
from tests.screenshots.contact_sheet import write_sheets
from tests.screenshots.pages import (
    LANGUAGES,
    NO_PAGES,
    OPERATOR,
    OTHERS,
    PHONE,
    PHONE_VIEWS,
    SIGN_IN,
)


@pytest.fixture
def endpoints(tmp_path: Path) -> set[str]:
    """All endpoints that answer GET, but for the calls of the API."""
    storage = tmp_path / "storage"
    storage.mkdir(mode=0o700)
    app = create_app(
        {
            "ENV_FILE": "",
            "APP_ENV": "local",
            "APP_KEY": "a key of the tests, long enough",
            "STORAGE_PATH": str(storage),
            "ADMIN_PASSWORD": PASSWORD,
            "BULK_SENDING": "true",
        }
    )
    app.extensions["gateway"].close()
    rules = [one for one in app.url_map.iter_rules() if "GET" in (one.methods or ())]
    return {one.endpoint for one in rules if not one.rule.startswith("/api/v1")}


def test_every_page_has_a_picture_and_every_picture_a_page(endpoints: set[str]) -> None:
    shown = {one.endpoint for one in (*OPERATOR, *OTHERS, SIGN_IN)} | {PHONE}

    def is_no_page(endpoint: str) -> bool:
        return any(
            endpoint.startswith(one) if one.endswith(".") else endpoint == one for one in NO_PAGES
        )

    assert {one for one in endpoints if not is_no_page(one)} | {PHONE} == shown
    assert [one for one in NO_PAGES if not any(each.startswith(one) for each in endpoints)] == []
    names = [one.name for one in (*OPERATOR, SIGN_IN)]
    assert len(names) == len(set(names))


def test_the_app_is_photographed_in_all_its_languages() -> None:
    assert LANGUAGES.keys() == {"en", *translations.LANGUAGES}


def test_every_picture_of_the_documentation_is_made_from_a_screenshot(tmp_path: Path) -> None:
    assert {path.stem for path in docs_images.FOLDER.iterdir()} == docs_images.SHOWN.keys()
    views = {f"phone/{language}/{view}" for language in LANGUAGES for view in PHONE_VIEWS}
    pages = {f"operator/{one.name}" for one in OPERATOR} | {f"other/{one.name}" for one in OTHERS}
    for taken, _ in docs_images.SHOWN.values():
        page, width, scheme = taken.rsplit("-", 2)
        assert page in views | pages
        assert page.startswith(docs_images.PARTS)
        assert int(width) in SIZES
        assert scheme in SCHEMES
        file = tmp_path / f"{taken}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (int(width), 2000), "white").save(file)
    written = tmp_path / "written"
    written.mkdir()
    docs_images.write(tmp_path, written)
    for name, (_, height) in docs_images.SHOWN.items():
        with Image.open(written / f"{name}.png") as picture:
            assert picture.height == height


def test_a_comparison_names_what_changed_by_page(tmp_path: Path) -> None:
    before, now, differences = (tmp_path / name for name in ("before", "now", "differences"))
    for folder in (before, now):
        (folder / "phone").mkdir(parents=True)
        for name in ("list", "menu"):
            for ending in ("390-light", "390-dark"):
                Image.new("RGB", (40, 50), "white").save(folder / f"phone/{name}-{ending}.png")
    (before / "phone/menu-390-dark.png").unlink()
    (now / "phone/menu-390-light.png").unlink()
    with Image.open(now / "phone/list-390-light.png") as picture:
        ImageDraw.Draw(picture).rectangle((10, 10, 19, 19), fill="black")
        picture.save(now / "phone/list-390-light.png")
    smoothed = Image.new("RGB", (40, 50), (250, 250, 250))
    smoothed.save(now / "phone/list-390-dark.png")
    assert compare(before, now, differences).lines() == [
        "changed  phone/list: 390 light 5.0%",
        "new      phone/menu-390-dark.png",
        "gone     phone/menu-390-light.png",
        "1 changed, 1 new, 1 gone, 1 the same",
    ]
    assert [path.name for path in differences.rglob("*.png")] == ["list-390-light.png"]


@pytest.mark.parametrize(
    ("pixels", "colour", "is_change"),
    [(37, 199, False), (37, 150, True), (300, 199, True), (2000, 250, False)],
)
def test_a_few_faint_pixels_are_round_corners(
    tmp_path: Path, pixels: int, colour: int, is_change: bool
) -> None:
    for name in ("before", "now"):
        (tmp_path / name).mkdir()
        Image.new("L", (40, 50), "white").save(tmp_path / name / "page-390-light.png")
    picture = Image.new("L", (40, 50), "white")
    picture.putdata([colour] * pixels + [255] * (2000 - pixels))
    picture.save(tmp_path / "now" / "page-390-light.png")
    found = compare(tmp_path / "before", tmp_path / "now", tmp_path / "differences")
    assert bool(found.changed) is is_change


def test_a_longer_page_has_changed(tmp_path: Path) -> None:
    for name, height in (("before", 50), ("now", 60)):
        (tmp_path / name).mkdir()
        Image.new("RGB", (40, height), "white").save(tmp_path / name / "page-390-light.png")
    found = compare(tmp_path / "before", tmp_path / "now", tmp_path / "differences")
    assert found.changed == {"page-390-light.png": pytest.approx(1 / 6)}
    assert [path.name for path in write_sheets(tmp_path / "now", "390-light", tmp_path)] == [
        "390-light-1.png"
    ]
