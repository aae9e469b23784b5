"""Documentation agrees with the code: variables, commands, limits, files, links."""

import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

import pytest
from click import Command, Group
from dotenv import dotenv_values

from app import create_app
from scripts.error_pages import MEANINGS, refusals
from scripts.write_docs import generated
from services.config.variables import Variable, load, variables
from services.gateway import load_environment
from services.operations.config_findings import SECTIONS
from services.providers import PROVIDERS
from services.providers.sandbox import Sandbox

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
README = ROOT / "README.md"
INDEX = DOCS / "README.md"
EXAMPLE = ROOT / ".env.example"
PAGES = sorted([*ROOT.glob("*.md"), *DOCS.glob("**/*.md")])
MOST_README_LINES = 150


def declared() -> list[Variable]:
    return [variable for _, prefix, section in SECTIONS for variable in variables(section, prefix)]


def test_the_generated_parts_are_up_to_date() -> None:
    for path, text in generated().items():
        assert path.read_text(encoding="utf-8") == text, f"{path.name} is old: run `make docs`"


def test_every_error_code_has_a_meaning() -> None:
    found = refusals()
    assert len(found) > 80
    assert [code for code, one in found.items() if not one.sentences and code not in MEANINGS] == []
    assert set(MEANINGS) <= set(found)


def test_the_readme_is_short() -> None:
    assert len(README.read_text(encoding="utf-8").splitlines()) <= MOST_README_LINES


def test_the_example_has_every_variable_and_no_other() -> None:
    written = list(dotenv_values(EXAMPLE))
    assert sorted(written) == sorted(variable.name for variable in declared())
    assert len(written) == len(set(written))


def test_the_example_shows_every_default() -> None:
    written = dotenv_values(EXAMPLE)
    for variable in declared():
        expected = "local" if variable.name == "APP_ENV" else variable.default
        if expected is not None:
            assert written[variable.name] == expected, variable.name


def test_the_example_runs_as_it_stands(tmp_path: Path) -> None:
    env = {name: value or "" for name, value in dotenv_values(EXAMPLE).items()}
    environment = load_environment({**env, "STORAGE_PATH": str(tmp_path)})
    assert list(environment.carriers) == ["sandbox"]


def test_every_carrier_has_its_page_and_its_payloads() -> None:
    for provider in PROVIDERS:
        if provider is not Sandbox:
            assert (DOCS / "carriers" / f"{provider.name}.md").is_file(), provider.name
            assert (ROOT / "tests" / "payloads" / provider.name).is_dir(), provider.name


def test_the_index_has_every_page_once() -> None:
    listed = LINK.findall(INDEX.read_text(encoding="utf-8"))
    for page in DOCS.glob("**/*.md"):
        if page != INDEX:
            assert listed.count(str(page.relative_to(DOCS))) == 1, page.name


def commands(group: Command, path: str = "") -> Iterator[tuple[str, Command]]:
    if isinstance(group, Group):
        for name, command in group.commands.items():
            yield from commands(command, f"{path} {name}".strip())
    else:
        yield path, group


@pytest.fixture(scope="module")
def all_commands(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Command]:
    """Every command of the application by its words, such as ``settings list``."""
    storage = tmp_path_factory.mktemp("storage")
    app = create_app({"APP_ENV": "local", "STORAGE_PATH": str(storage)})
    app.extensions["gateway"].close()
    return dict(commands(app.cli))


def test_every_command_has_help_and_is_documented(all_commands: dict[str, Command]) -> None:
    text = (DOCS / "commands.md").read_text(encoding="utf-8")
    assert len(all_commands) > 15
    for name, command in all_commands.items():
        assert command.help, f"flask {name} has no help"
        assert f"| `flask {name}" in text, f"flask {name} is not in docs/commands.md"


TYPED = re.compile(r"\.venv/bin/flask ([a-z]+)(?: ([a-z]+))?")
MAKE = re.compile(r"(?:`|^)(?:sudo )?make ([a-z-]+)", re.MULTILINE)
TARGET = re.compile(r"^([a-z-]+):", re.MULTILINE)


def test_commands_in_the_documents_exist(all_commands: dict[str, Command]) -> None:
    groups = {name.partition(" ")[0] for name in all_commands if " " in name}
    targets = set(TARGET.findall((ROOT / "Makefile").read_text(encoding="utf-8")))
    for page in set(PAGES) - {ROOT / "CHANGELOG.md"}:  # it may name what was removed
        text = page.read_text(encoding="utf-8")
        for first, second in TYPED.findall(text):
            name = f"{first} {second}".strip() if first in groups else first
            assert name in all_commands, f"{page.name} has flask {name}"
        for target in MAKE.findall(text):
            assert target in targets, f"{page.name} has make {target}"


LINK = re.compile(r"\]\((?!https?:|mailto:)([^)]+)\)")
FENCED = re.compile(r"^( *)```.*?^\1```", re.MULTILINE | re.DOTALL)
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)


def anchors(page: Path) -> set[str]:
    """The anchors that GitHub gives to the headings of a page."""
    headings = HEADING.findall(FENCED.sub("", page.read_text(encoding="utf-8")))
    return {re.sub(r"[^\w -]", "", title.lower()).strip().replace(" ", "-") for title in headings}


def test_links_between_the_documents_lead_somewhere() -> None:
    for page in PAGES:
        for target in LINK.findall(FENCED.sub("", page.read_text(encoding="utf-8"))):
            file, _, anchor = unquote(target).partition("#")
            found = page.parent / file if file else page
            assert found.exists(), f"{page.name} links to {target}"
            if anchor:
                assert anchor in anchors(found), f"{page.name} links to {target}"


def test_loading_a_section_names_every_problem_at_once() -> None:
    for _, prefix, section in SECTIONS:
        required = [v for v in variables(section, prefix) if v.required]
        _, problems = load(section, prefix, {})
        assert [problem.variable for problem in problems] == [v.name for v in required]
        assert all(problem.remedy for problem in problems)
