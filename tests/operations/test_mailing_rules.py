"""Findings about e-mail that rules need."""

import json
from pathlib import Path

from tests.conftest import NUMBER_ENTRY
from tests.operations.test_config_findings import Make, check, make_app

__all__ = ["make_app"]


def test_a_rule_that_delivers_to_an_address_needs_a_mail_server(
    make_app: Make, tmp_path: Path
) -> None:
    app = make_app()
    assert not any(found.startswith("MAIL_HOST") for found in check(app))
    rule = {"name": "Archive", "deliver": {"emails": ["archive@example.com"]}}
    entry = NUMBER_ENTRY | {"carrier": "bandwidth"}
    document = {"version": 2, "numbers": [entry], "inbound": [rule]}
    app.extensions["gateway"].settings.put_document(json.dumps(document).encode())
    [found] = [found for found in check(app) if found.startswith("MAIL_HOST")]
    assert "texts of the rule “Archive” should go to e-mail addresses" in found
