"""``flask settings schema``: the JSON Schema of Message Settings agrees with their reader."""

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from blueprints.cli.settings_schema import json_schema
from services.operations.settings_source import FILE, open_settings
from services.store.database.store import Store
from tests.cli.conftest import PUBLIC, Terminal
from tests.conftest import NUMBER
from tests.server import ROOT


def entry(**changes: Any) -> dict[str, Any]:
    """A Message Settings file with one entry that differs from a good one."""
    return {"version": 1, "numbers": [PUBLIC | changes]}


def with_parts(**parts: Any) -> dict[str, Any]:
    """A file of version 2 with a number, a group and these parts."""
    groups = {"sales": {"extensions": ["201", 202], "assign": "round-robin"}}
    return {"version": 2, "numbers": [PUBLIC], "groups": groups, **parts}


def test_the_published_schema_is_the_one_of_the_code(terminal: Terminal) -> None:
    published = (ROOT / "docs" / "message_settings.schema.json").read_text(encoding="utf-8")
    assert published == terminal.flask("settings", "schema").stdout, (
        "run: flask settings schema > docs/message_settings.schema.json"
    )


@pytest.mark.parametrize(
    ("document", "good"),
    [
        (entry(), True),
        (entry(extensions=[201, "202"], emails=["a@example.com"], sender_id=None), True),
        (entry(sender_id="ACME", description="Front desk", enabled=False), True),
        ({"numbers": []}, True),
        ({"version": 1, "numbers": [{"number": NUMBER, "carrier": "sandbox"}]}, True),
        ({}, False),
        ([], False),
        ({"version": 2, "numbers": []}, True),
        ({"version": 3, "numbers": []}, False),
        (entry(aliases=["rcs-agent"]), False),
        (entry(aliases=[]) | {"version": 2}, True),
        (entry(aliases=["rcs-agent"]) | {"version": 2}, True),
        (entry(aliases=["two words"]) | {"version": 2}, False),
        (with_parts(), True),
        (with_parts(templates=[{"name": "A", "text": "Hi {contact} {{}}"}]), True),
        (with_parts(templates=[{"name": "A", "text": "x", "extensions": ["201-220"]}]), True),
        (with_parts(templates=[{"name": "A", "text": "Hi {name}"}]), False),
        (with_parts(templates=[{"name": "A", "text": "{"}]), False),
        (with_parts(templates=[{"name": "A", "text": "x", "extensions": [" "]}]), False),
        (with_parts(templates=[{"name": "A", "text": "x"}]) | {"version": 1}, False),
        (with_parts() | {"version": 1}, False),
        (with_parts(hours={"office": {"daily": ["08:00-12:00"]}}), False),
        (
            with_parts(hours={"office": {"sat-mon": ["22:00-06:00"], "closed": ["2026-12-25"]}}),
            True,
        ),
        (with_parts(hours={"office": {"mon": ["25:00-26:00"]}}), False),
        (with_parts(hours={"office": {"mon": "08:00-12:00"}}), False),
        (with_parts(hours={"two words": {}}), False),
        (with_parts(groups={"sales": {"extensions": []}}), False),
        (with_parts(groups={"sales": {"extensions": [201], "assign": "anybody"}}), False),
        (with_parts(extensions={"201": {"name": "Ann"}}), True),
        (with_parts(extensions={"2 01": {"name": "Ann"}}), False),
        (with_parts(inbound=[{"to": [NUMBER]}]), False),
        (with_parts(inbound=[{"name": "A", "from": ["+44*"], "keywords": ["PRICE"]}]), True),
        (with_parts(inbound=[{"name": "A", "from": ["+44 7*"]}]), False),
        (with_parts(inbound=[{"name": "A", "when": "at night"}]), False),
        (with_parts(inbound=[{"name": "A", "reply_once_hours": 0}]), False),
        (with_parts(inbound=[{"name": "A", "reply": ""}]), False),
        (with_parts(inbound=[{"name": "A", "continue": "yes"}]), False),
        (with_parts(inbound=[{"name": "A", "deliver": {"mail": ["a@example.com"]}}]), False),
        (with_parts(outbound=[{"name": "A", "from": [NUMBER], "extensions": ["201-220"]}]), True),
        (with_parts(outbound=[{"name": "A", "from": []}]), False),
        ({"numbers": {}}, False),
        ({"numbers": [], "nubmers": []}, False),
        ({"numbers": [NUMBER]}, False),
        ({"numbers": [{"number": NUMBER}]}, False),
        ({"numbers": [{"carrier": "sandbox"}]}, False),
        (entry(number=None), False),
        (entry(number=12025550100), False),
        (entry(carrier="carrot"), False),
        (entry(extention="201"), False),
        (entry(extensions="201"), False),
        (entry(extensions=[True]), False),
        (entry(extensions=[""]), False),
        (entry(extensions=["2 01"]), False),
        (entry(extensions=["2" * 33]), False),
        (entry(emails=["nobody"]), False),
        (entry(emails=["a@example.com, b@example.com"]), False),
        (entry(emails=[None]), False),
        (entry(sender_id="x" * 33), False),
        (entry(description="x" * 201), False),
        (entry(description=None), False),
        (entry(enabled="yes"), False),
        (entry(enabled=None), False),
    ],
)
def test_the_schema_agrees_with_what_reads_the_file(
    tmp_path: Path, document: Any, good: bool
) -> None:
    (tmp_path / FILE).write_text(json.dumps(document))
    store = Store(None, tmp_path)
    settings = open_settings(store, tmp_path, "US")
    store.close()
    assert (settings.problem is None) == good, settings.problem
    assert Draft202012Validator(json_schema()).is_valid(document) == good


def test_the_schema_is_a_schema() -> None:
    Draft202012Validator.check_schema(json_schema())
