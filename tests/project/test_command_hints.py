"""Commands in messages are made by ``flask_command``: as they are typed in this installation."""

import ast
import re
from pathlib import Path

from blueprints.cli import COMMANDS
from services.core import commands
from tests.project.test_code_rules import ROOT, sources

HINT = re.compile(rf"\bflask ({'|'.join(str(command.name) for command in COMMANDS)})\b")
WITH_DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
# Texts that do not depend on the installation: they are written into docs/ and .env.example. The
# remedy of the row of Message Settings stands in services/store.
FIXED = {"services/config/sections.py"}


def hints(tree: ast.Module) -> list[str]:
    """Texts outside of docstrings that write out a command."""
    docstrings = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, WITH_DOCUMENTED) and node.body and isinstance(node.body[0], ast.Expr)
    }
    return [
        f"line {node.lineno}: {node.value}"
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and id(node) not in docstrings
        and HINT.search(node.value)
    ]


def test_no_message_writes_a_command_out() -> None:
    found = {path: hints(tree) for path, tree in sources().items() if path not in FIXED}
    assert {path: lines for path, lines in found.items() if lines} == {}


def test_no_page_writes_a_command_out() -> None:
    pages = ROOT.glob("blueprints/admin/**/*.html")
    assert [str(page) for page in pages if HINT.search(page.read_text(encoding="utf-8"))] == []


def test_the_check_sees_a_command_in_a_message_and_none_in_a_docstring() -> None:
    assert hints(ast.parse('"""flask config reload"""\nsay(f"Run {name}: flask config reload")'))
    assert not hints(ast.parse('"""flask config reload"""\nsay("flask is a library")'))


def test_a_command_is_typed_as_this_installation_has_it() -> None:
    made = commands._program(Path("/opt/textbridge/.venv"), Path("/opt/textbridge"))
    assert made == ".venv/bin/flask"
    assert commands._program(Path("/venv"), Path("/app")) == "flask"
    assert commands.flask_command("status") == f"{commands.PROGRAM} status"
