"""Code rules that no linter checks: constant-time comparison, no catch of every exception."""

import ast
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SECRET_NAMES = ("token", "secret", "password", "signature", "hmac")
CATCHES_EVERYTHING = {
    "services/delivery/mailbox_poller.py",  # one mail must not hold up the others
    "services/delivery/worker.py",  # one failed job must not end the worker
    "services/messaging/process.py",  # one call must not hold up the others
    "services/messaging/scheduling.py",  # nor one text
}


def sources() -> dict[str, ast.Module]:
    """Every module of the product, by its path."""
    paths = [*ROOT.glob("*.py"), *ROOT.glob("services/**/*.py"), *ROOT.glob("blueprints/**/*.py")]
    return {
        str(path.relative_to(ROOT)): ast.parse(path.read_text(encoding="utf-8"))
        for path in sorted(paths)
    }


def compared_secrets(tree: ast.Module) -> list[str]:
    """Lines that compare a name which sounds like a secret by ``==`` or ``!=``."""
    return [
        f"line {node.lineno} compares {name}"
        for node in ast.walk(tree)
        if isinstance(node, ast.Compare)
        and any(isinstance(op, ast.Eq | ast.NotEq) for op in node.ops)
        for side in (node.left, *node.comparators)
        if (name := getattr(side, "attr", getattr(side, "id", ""))).lower().endswith(SECRET_NAMES)
    ]


def test_secrets_are_compared_in_constant_time() -> None:
    found = {path: compared_secrets(tree) for path, tree in sources().items()}
    assert {path: lines for path, lines in found.items() if lines} == {}


def test_the_check_sees_a_compared_secret() -> None:
    assert compared_secrets(ast.parse("if given == self.webhook_token: pass"))


def test_only_what_the_worker_repeats_catches_every_exception() -> None:
    found = {
        path
        for path, tree in sources().items()
        for node in ast.walk(tree)
        if isinstance(node, ast.ExceptHandler) and getattr(node.type, "id", "") == "Exception"
    }
    assert found == CATCHES_EVERYTHING
