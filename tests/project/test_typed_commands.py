"""Every command and every line of ``.env`` in the documentation is one that works.

A command is parsed by the real command line: it exists, its options exist and have their values,
and it has no argument too many. A line of ``.env`` names a declared variable and has a value that
can be read. What the pages themselves say must be replaced (“…”, ``NUMBER``) is replaced here.
"""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click import Command, Group

from app import create_app
from services.config.variables import Variable
from tests.project.test_docs import FENCED, PAGES, ROOT, declared

HISTORY = {ROOT / "CHANGELOG.md"}  # it may name what was removed
PREFIXES = re.compile(
    r"^(?:\$ |env -i |sudo (?:-u textbridge )?|--preserve-env=\S+ |-u textbridge "
    r"|[A-Z_]+=\S* |cd \S+ && "
    r"|docker compose exec (?:-T )?textbridge |/opt/textbridge/)*"
)
PROGRAM = re.compile(r"^(?:(?:\.venv/bin/)?flask|textbridge) (?=[a-z])")
FENCE = re.compile(r"^ *```(\w*)\n(.*?)^ *```", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"`([^`\n]+(?:\n[^`\n]+)?)`")
# Not subcommands of ours: of the Debian package's program, and of Flask.
OTHER = {"downgrade", "--help"}


def typed(text: str) -> Iterator[str]:
    """The commands of a page, without ``flask``."""
    lines = []
    for _, block in FENCE.findall(text):
        lines += re.sub(r"\\\n\s*", "", block).split("\n")
    lines += [" ".join(each.split()) for each in INLINE.findall(FENCED.sub("", text))]
    for line in lines:
        for part in re.split(r" && | \|\|? |; | > | >> ", line.strip()):
            rest = PREFIXES.sub("", part.strip())
            if PROGRAM.match(rest):
                yield PROGRAM.sub("", rest)


def problem(cli: Group, line: str) -> str:
    """What is wrong with a command; empty if it can be typed."""
    words = shlex.split(line.rstrip("&").strip(), comments=True)
    command: Command = cli
    while isinstance(command, Group) and words:
        if words[0] in OTHER or words[0] == "…":
            return ""
        found = command.commands.get(words[0])
        if found is None:
            return f"there is no {words[0]}"
        command, words = found, words[1:]
    if isinstance(command, Group) or "--help" in words:
        return ""
    given = [word for word in words if word != "…" or len(words) > 1]
    context = click.Context(command)
    parser = command.make_parser(context)
    try:
        _, left, _ = parser.parse_args(list(given))
    except click.UsageError as error:
        return error.format_message()
    return f"{left} is too much" if [each for each in left if each != "…"] else ""


@pytest.fixture(scope="module")
def cli(tmp_path_factory: pytest.TempPathFactory) -> Group:
    app = create_app({"APP_ENV": "local", "STORAGE_PATH": str(tmp_path_factory.mktemp("s"))})
    app.extensions["gateway"].close()
    return app.cli


def test_commands_can_be_typed_as_the_documents_have_them(cli: Group) -> None:
    wrong, count = [], 0
    for page in set(PAGES) - HISTORY:
        for line in typed(page.read_text(encoding="utf-8")):
            count += 1
            said = problem(cli, line)
            if said:
                wrong.append(f"{page.relative_to(ROOT)}: flask {line}: {said}")
    assert wrong == []
    assert count > 200


def test_the_check_sees_what_cannot_be_typed(cli: Group) -> None:
    assert problem(cli, "settings set +12025550143 --carier bandwidth")
    assert problem(cli, "settings set +12025550143 one-too-many")
    assert problem(cli, "devices pari 201")
    assert problem(cli, "devices add 201 --name")
    assert not problem(cli, "settings set +12025550143 --carrier bandwidth --extension 201")
    assert list(
        typed("`flask status`, then\n```\nsudo -u textbridge .venv/bin/flask why 1\n```")
    ) == [
        "why 1",
        "status",
    ]


# Variables of other programs in blocks of `.env`, and of compose.
OF_OTHERS = {"POSTGRES_PASSWORD", "ENV_FILE", "COMPOSE_FILE"}
DESCRIBED = re.compile(r"(?:the|its|AC and) ")  # such as BANDWIDTH_API_SECRET=the client secret
BEFORE_COMMAND = re.compile(r"(\S*) +(?:make|\.venv/|[A-Z_]+=)")
SHELL = {"bash", "ini", "nginx", "json", "lua", "xml", "sql", "python", "yaml", "toml"}
LINE = re.compile(r"^ *([A-Z][A-Z0-9]*(?:_[A-Z0-9]+)*)=(.*)$", re.MULTILINE)
PASSED = re.compile(r"(?:-e |^Environment=)([A-Z][A-Z0-9_]*)=(\S*)", re.MULTILINE)
ASSIGNED = re.compile(r"""^([A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+)=("[^"]*"|'[^']*'|[^\s<>…]*)""")


def set_in(text: str) -> Iterator[tuple[str, str]]:
    """The variables that a page says to set, with their values."""
    for language, block in FENCE.findall(text):
        if language not in SHELL:
            yield from ((name, value) for name, value in LINE.findall(block))
        yield from PASSED.findall(block)
    for each in INLINE.findall(FENCED.sub("", text)):
        yield from ASSIGNED.findall(each)


def unusable(known: dict[str, Variable], name: str, value: str) -> str:
    """What is wrong with a line of ``.env``; empty if it can be used."""
    if name in OF_OTHERS:
        return ""
    variable = known.get(name.removesuffix("_FILE") if name not in known else name)
    if variable is None:
        return "is not a variable of Textbridge"
    value = value.partition(" #")[0].strip().strip("'\"")
    command = BEFORE_COMMAND.match(value)
    value = command[1] if command else value
    if not value or "…" in value or DESCRIBED.match(value) or name not in known:
        return ""
    try:
        variable.parse(value)
    except ValueError as error:
        is_file = value.startswith("/") and "No such file" in str(error)
        return "" if is_file else f"cannot be {value}: {error}"
    return ""


def test_lines_of_env_in_the_documents_can_be_used() -> None:
    known = {variable.name: variable for variable in declared()}
    wrong, count = [], 0
    for page in set(PAGES) - HISTORY:
        for name, value in set_in(page.read_text(encoding="utf-8")):
            count += 1
            said = unusable(known, name, value)
            if said:
                wrong.append(f"{page.relative_to(ROOT)}: {name} {said}")
    assert wrong == []
    assert count > 80


def test_the_check_sees_a_line_that_cannot_be_used() -> None:
    known = {variable.name: variable for variable in declared()}
    assert unusable(known, "BANDWITH_ACCOUNT_ID", "1")
    assert unusable(known, "PORT", "many")
    assert not unusable(known, "PORT", "8000")
    page = "```\nPORT=1\n```\n`APP_ENV=local` ```bash\nCODE=1\n```"
    assert list(set_in(page))[:1] == [("PORT", "1")]


INSTALLS = re.compile(r"apt-get install ([a-z0-9 -]+)")


def test_the_first_hour_installs_what_make_asks_for() -> None:
    first = (ROOT / "docs" / "first-hour.md").read_text(encoding="utf-8")
    packages = set(INSTALLS.findall(first)[0].split())
    asked = INSTALLS.findall((ROOT / "Makefile").read_text(encoding="utf-8"))
    assert {"python3", "python3-venv"} <= packages
    assert any({"python3", "python3-venv"} <= set(each.split()) for each in asked)


def test_files_that_the_first_hour_names_exist() -> None:
    first = (ROOT / "docs" / "first-hour.md").read_text(encoding="utf-8")
    named = re.findall(r"\b(?:packaging|scripts)/[\w./]+", first)
    assert named
    assert [name for name in named if not Path(ROOT, name).is_file()] == []
    assert "{$APP_URL}" in (ROOT / "packaging/caddy/Caddyfile").read_text(encoding="utf-8")
