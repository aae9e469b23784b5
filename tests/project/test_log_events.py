"""``docs/logs.md`` has every log event of the code, with its level and keys, and no other."""

import ast
import re
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "logs.md"
LEVELS = {"exception": "error"}
ROW = re.compile(
    r"^\| `(?P<event>[^`]+)` \| (?P<level>[a-z]+) \| (?P<keys>[a-z_, ]*)\|", re.MULTILINE
)


def logged(tree: ast.AST) -> list[tuple[str, str, set[str]]]:
    """(event, level, keys) of each call ``log.level("event", key=…)``."""
    found = []
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
            continue
        if isinstance(node.func.value, ast.Name) and node.func.value.id == "log":
            event = node.args[0]
            assert isinstance(event, ast.Constant), f"not a fixed text: {ast.unparse(node)}"
            keys = {keyword.arg for keyword in node.keywords if keyword.arg}
            level = LEVELS.get(node.func.attr, node.func.attr)
            found.append((str(event.value), level, keys))
    return found


def test_the_page_has_every_log_event() -> None:
    in_code: dict[tuple[str, str], set[str]] = defaultdict(set)
    for package in ("services", "blueprints"):
        for path in (ROOT / package).rglob("*.py"):
            for event, level, keys in logged(ast.parse(path.read_text(encoding="utf-8"))):
                in_code[event, level] |= keys
    rows = list(ROW.finditer(PAGE.read_text(encoding="utf-8")))
    on_page = {
        (row["event"], row["level"]): set(filter(None, re.split(r"[, ]+", row["keys"])))
        for row in rows
    }
    assert len(on_page) == len(rows), "an event is listed twice"
    assert on_page == dict(in_code)
