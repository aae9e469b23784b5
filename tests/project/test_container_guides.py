"""Commands of compose in the guides work with Caddy as well: ``.env`` names both files."""

import re
from pathlib import Path

import pytest
import yaml

from tests.project.test_docs import PAGES
from tests.server import ROOT

COMMAND = re.compile(r"docker compose\b[^`\n]*")
BOTH = re.compile(r"COMPOSE_FILE=([\w.:-]+)")
CADDY = "compose.caddy.yaml"
GUIDES = [ROOT / "docs" / "install.md", ROOT / "docs" / "deploy.md", ROOT / CADDY]


def with_files(text: str) -> list[str]:
    """Commands of compose that name files themselves: the next command without them undoes it."""
    return [each for each in COMMAND.findall(text) if re.search(r" (-f|--file)\b.*compose", each)]


def test_no_command_names_the_files() -> None:
    pages = [*PAGES, ROOT / "compose.yaml", ROOT / CADDY]
    texts = {page.name: page.read_text(encoding="utf-8") for page in pages}
    assert {name: found for name, text in texts.items() if (found := with_files(text))} == {}
    assert sum(len(COMMAND.findall(text)) for text in texts.values()) > 10
    assert with_files("`docker compose -f compose.yaml -f compose.caddy.yaml up -d`")
    assert not with_files("docker compose logs -f textbridge")


@pytest.mark.parametrize("guide", GUIDES, ids=lambda guide: str(guide.name))
def test_a_guide_with_caddy_names_both_files_in_env_before_it_starts_them(guide: Path) -> None:
    text = guide.read_text(encoding="utf-8")
    named = BOTH.search(text)
    assert named
    assert "docker compose up -d" in text[named.end() :]
    base, more = (ROOT / each for each in named[1].split(":"))
    services = [yaml.safe_load(each.read_text())["services"] for each in (base, more)]
    assert "TRUSTED_PROXIES" in services[0]["textbridge"]["environment"]
    assert {"caddy", "textbridge"} <= set(services[1])
