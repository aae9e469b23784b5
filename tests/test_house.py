"""The plan of the house: imports point down, Flask and the environment stay where they belong."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
FLOOR_0 = {
    "connections", "in_turn",
    "errors", "messages", "config", "http", "phone_numbers", "quiet_hours", "segments", "metrics",
    "taken", "values",
}  # fmt: skip
FLOOR_1 = {"store", "message_settings", "media", "mail", "pictures", "providers", "push"}


def python_files() -> list[Path]:
    return sorted(
        [*ROOT.glob("*.py"), *ROOT.glob("services/**/*.py"), *ROOT.glob("blueprints/**/*.py")]
    )


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def room_of(module: str) -> str:
    """``services.store.jobs`` is in the room ``store``."""
    return module.split(".")[1] if module.startswith("services.") else ""


def floor_of(path: Path) -> int:
    parts = path.relative_to(ROOT).parts
    if parts[0] == "blueprints":
        return 3
    if parts[0] != "services" or parts[1] == "__init__.py":
        return 4
    room = parts[1].removesuffix(".py")
    return 0 if room in FLOOR_0 else 1 if room in FLOOR_1 else 2


@pytest.mark.parametrize("path", python_files(), ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_point_down(path: Path) -> None:
    floor = floor_of(path)
    own_room = path.relative_to(ROOT / "services").parts[0].removesuffix(".py") if floor < 3 else ""
    for module in imports(path):
        room = room_of(module)
        if floor == 0 and room:
            assert room in FLOOR_0, f"{path.name} (floor 0) imports {module}"
        if floor == 1 and room and room != own_room:
            assert room in FLOOR_0, f"{path.name} (room {own_room}) imports {module}"
        if floor < 3:
            assert module.split(".")[0] != "blueprints", f"{path.name} imports {module}"
            assert module.split(".")[0] not in ("flask", "werkzeug", "flask_smorest"), (
                f"{path.name} imports {module}: Flask stays behind the doors"
            )


@pytest.mark.parametrize("path", python_files(), ids=lambda p: str(p.relative_to(ROOT)))
def test_only_the_entry_reads_the_environment(path: Path) -> None:
    if path.name == "wsgi.py":
        return
    tree = ast.parse(path.read_text(encoding="utf-8"))
    names = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    assert not names & {"environ", "getenv"}, f"{path.name} reads the environment"
    assert not any(module.split(".")[0] == "dotenv" for module in imports(path))


@pytest.mark.parametrize("path", python_files(), ids=lambda p: str(p.relative_to(ROOT)))
def test_secrets_are_never_compared_with_equals(path: Path) -> None:
    telling = ("token", "secret", "password", "signature", "hmac")
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.Compare):
            continue
        if not any(isinstance(op, ast.Eq | ast.NotEq) for op in node.ops):
            continue
        for side in (node.left, *node.comparators):
            name = getattr(side, "attr", getattr(side, "id", ""))
            assert not name.lower().endswith(telling), f"{path.name}:{node.lineno} compares {name}"


@pytest.mark.parametrize("path", python_files(), ids=lambda p: str(p.relative_to(ROOT)))
def test_no_bare_except_and_everything_public_says_what_it_is(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assert ast.get_docstring(tree), f"{path.name} does not say what it is"
    for node in ast.walk(tree):
        if isinstance(node, ast.ExceptHandler):
            caught = getattr(node.type, "id", "")
            assert node.type is not None, f"{path.name}:{node.lineno} has a bare except"
            if caught == "Exception":
                assert path.name == "worker.py", f"{path.name}:{node.lineno} catches everything"
    public = [node for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef)]
    for node in public:
        if not node.name.startswith("_"):
            assert ast.get_docstring(node), f"{path.name}: {node.name} has no docstring"


def test_the_guard_sees_a_forbidden_import(tmp_path: Path) -> None:
    """The checks above can fail."""
    bad = tmp_path / "bad.py"
    bad.write_text("import flask\nfrom services.gateway import Gateway\n", encoding="utf-8")
    assert {"flask", "services.gateway"} <= set(imports(bad))
    assert room_of("services.gateway") not in FLOOR_0
