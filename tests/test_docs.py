"""What the documents promise is there: every variable, every command, every file.

``python -m tests.test_docs`` writes the table of variables into the README anew.
"""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from click import Command, Group
from dotenv import dotenv_values

from blueprints.cli.config import SECTIONS
from services.config.variables import Variable, load, variables
from services.gateway import load_environment
from services.providers import PROVIDERS
from services.providers.sandbox import Sandbox

ROOT = Path(__file__).resolve().parent.parent
README = ROOT / "README.md"
EXAMPLE = ROOT / ".env.example"
LIMITS = re.compile(r"(<!-- limits -->\n).*?(<!-- /limits -->)", re.DOTALL)
TABLE = re.compile(r"(<!-- variables -->\n).*?(<!-- /variables -->)", re.DOTALL)


def declared() -> list[Variable]:
    return [variable for _, prefix, section in SECTIONS for variable in variables(section, prefix)]


def table() -> str:
    lines = []
    for title, prefix, section in SECTIONS:
        lines += [f"\n**{title}**\n", "| variable | what it is | if unset |", "|---|---|---|"]
        for v in variables(section, prefix):
            unset = f"`{v.default}`" if v.default is not None else "" if v.optional else "required"
            lines.append(f"| `{v.name}` | {v.doc} | {unset} |")
    return "\n".join(lines) + "\n\n"


def limits_table() -> str:
    """The carriers' limits, as the API tells them to apps and holds to them."""
    lines = ["| carrier | text | files | of up to | recipients |", "|---|---|---|---|---|"]
    for provider in PROVIDERS:
        if provider is not Sandbox:
            limits = provider.limits
            longer = "then several" if limits.splits else "then refused"
            lines.append(
                f"| {provider.title} | {limits.text} characters, {longer} | {limits.media} "
                f"| {limits.media_bytes / 1e6:g} MB | {limits.recipients} |"
            )
    return "\n".join(lines) + "\n"


def test_the_readme_has_the_limits_that_the_code_keeps() -> None:
    found = LIMITS.search(README.read_text(encoding="utf-8"))
    assert found is not None
    assert found.group(0) == f"<!-- limits -->\n{limits_table()}<!-- /limits -->", (
        "run: .venv/bin/python -m tests.test_docs"
    )


def test_the_readme_names_every_variable_as_the_code_declares_it() -> None:
    found = TABLE.search(README.read_text(encoding="utf-8"))
    assert found is not None
    assert found.group(0) == f"<!-- variables -->\n{table()}<!-- /variables -->", (
        "run: .venv/bin/python -m tests.test_docs"
    )


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


@pytest.mark.parametrize("provider", PROVIDERS, ids=lambda p: p.name)
def test_every_carrier_has_its_page_and_its_payloads(provider: type) -> None:
    if provider is not Sandbox:
        page = ROOT / "docs" / "carriers" / f"{provider.name}.md"  # type: ignore[attr-defined]
        assert page.is_file()
        assert f"docs/carriers/{page.name}" in README.read_text(encoding="utf-8")
        assert (ROOT / "tests" / "payloads" / provider.name).is_dir()  # type: ignore[attr-defined]


def commands(group: Command, path: str = "") -> Iterator[tuple[str, Command]]:
    if isinstance(group, Group):
        for name, command in group.commands.items():
            yield from commands(command, f"{path} {name}".strip())
    else:
        yield path, group


def test_every_command_has_help_and_stands_in_the_readme(tmp_path: Path) -> None:
    from app import create_app

    app = create_app({"APP_ENV": "local", "STORAGE_PATH": str(tmp_path)})
    app.extensions["gateway"].close()
    text = README.read_text(encoding="utf-8")
    found = dict(commands(app.cli))
    assert len(found) > 15
    for name, command in found.items():
        assert command.help, f"flask {name} has no help"
        assert f"flask {name}" in text, f"flask {name} is not in the README"


LINK = re.compile(r"\]\((?!https?:|#|mailto:)([^)#]+)")


@pytest.mark.parametrize(
    "page", sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]), ids=lambda p: p.name
)
def test_links_between_the_documents_lead_somewhere(page: Path) -> None:
    for target in LINK.findall(page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), f"{page.name} points at {target}"


def test_loading_a_section_names_every_problem_at_once() -> None:
    for _, prefix, section in SECTIONS:
        required = [v for v in variables(section, prefix) if v.required]
        _, problems = load(section, prefix, {})
        assert [problem.variable for problem in problems] == [v.name for v in required]
        assert all(problem.remedy for problem in problems)


if __name__ == "__main__":
    text = README.read_text(encoding="utf-8")
    text = TABLE.sub(lambda m: m[1] + table() + m[2], text)
    text = LIMITS.sub(lambda m: m[1] + limits_table() + m[2], text)
    README.write_text(text, encoding="utf-8")
