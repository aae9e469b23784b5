"""Write the parts of the documentation that are generated from the code: ``make docs``.

The table of variables in docs/configuration.md, the table of carrier limits in docs/limits.md, the
example rules in docs/rules.md, the verdicts in docs/why.md, docs/errors.md, docs/command-options.md
and docs/api-calls.md, the JSON Schema of Message Settings.
"""

import json
import re
from pathlib import Path

from blueprints.cli.settings_schema import json_schema
from scripts import error_pages, reference_pages
from services.config.variables import variables
from services.message_settings.example_rules import example_rules
from services.operations import verdict_table
from services.operations.config_findings import SECTIONS
from services.providers import PROVIDERS
from services.providers.sandbox import Sandbox

VERDICTS = {
    "out": "A text that goes out",
    "carrier": "A text that a carrier refused or did not deliver",
    "in": "A text that came in",
    "missing": "A text that is not here",
}
DOCS = Path(__file__).resolve().parent.parent / "docs"


def generated() -> dict[Path, str]:
    """The content of every file that has a generated part, as it should be."""
    commands, calls = reference_pages.both()
    return {
        DOCS / "errors.md": _with(DOCS / "errors.md", "errors", error_pages.table()),
        DOCS / "command-options.md": _with(DOCS / "command-options.md", "commands", commands),
        DOCS / "api-calls.md": _with(DOCS / "api-calls.md", "calls", calls),
        DOCS / "configuration.md": _with(DOCS / "configuration.md", "variables", _variables()),
        DOCS / "limits.md": _with(DOCS / "limits.md", "limits", _limits()),
        DOCS / "rules.md": _with(DOCS / "rules.md", "examples", _examples()),
        DOCS / "why.md": _with(DOCS / "why.md", "verdicts", _verdicts()),
        DOCS / "message_settings.schema.json": json.dumps(json_schema(), indent=2) + "\n",
    }


def _with(page: Path, mark: str, table: str) -> str:
    """The text of a page with the table between its marks ``<!-- mark -->`` and ``<!-- /mark -->``.

    Raises ``ValueError`` for a page without these marks.
    """
    text = page.read_text(encoding="utf-8")
    between = re.compile(rf"(<!-- {mark} -->\n).*?(<!-- /{mark} -->)", re.DOTALL)
    text, count = between.subn(lambda found: found[1] + table + found[2], text)
    if count != 1:
        raise ValueError(f"{page.name} needs the marks <!-- {mark} --> and <!-- /{mark} --> once.")
    return text


def _variables() -> str:
    lines = []
    for title, prefix, section in SECTIONS:
        lines += [f"\n### {title}\n", "| variable | what it is | if unset |", "|---|---|---|"]
        for v in variables(section, prefix):
            unset = f"`{v.default}`" if v.default is not None else "" if v.optional else "required"
            lines.append(f"| `{v.name}` | {v.doc} | {unset} |")
    return "\n".join(lines) + "\n\n"


def _examples() -> str:
    lines = []
    for count, example in enumerate(example_rules(), 1):
        parts = ",\n ".join(
            f'"{name}": {_json(part, " " * len(name) + "     ")}'
            for name, part in example.sections.items()
        )
        lines.append(f"### {count}. {example.title}\n\n```json\n{{{parts}}}\n```\n")
        if example.remark:
            lines.append(f"{example.remark}\n")
    return "\n".join(lines) + "\n"


def _json(part: object, indent: str) -> str:
    """JSON in one line, the items of a list each in its own."""
    if not isinstance(part, list):
        return json.dumps(part, ensure_ascii=False)
    return "[" + f",\n{indent} ".join(json.dumps(one, ensure_ascii=False) for one in part) + "]"


def _verdicts() -> str:
    lines = []
    for name, rows in verdict_table.load().items():
        lines += [f"\n### {VERDICTS[name]}\n", "| code | what happened | next step | who |"]
        lines.append("|---|---|---|---|")
        for row in rows.values():
            lines.append(f"| `{row.code}` | {row.sentence} | {row.next} | {row.who} |")
    return "\n".join(lines) + "\n\n"


def _limits() -> str:
    lines = [
        "| carrier | text | with emoji or letters outside GSM-7 "
        "| files | size of a file | of all files | recipients |",
        "|---|---|---|---|---|---|---|",
    ]
    for provider in PROVIDERS:
        if provider is not Sandbox:
            limits = provider.limits
            total = limits.media_total_bytes
            longer = "then split" if limits.splits else "then refused"
            lines.append(
                f"| {provider.title} | {limits.text} characters, {longer} "
                f"| {limits.unicode_text or limits.text} | {limits.media} "
                f"| {limits.media_bytes / 1e6:g} MB | {f'{total / 1e6:g} MB' if total else ''} "
                f"| {limits.recipients} |"
            )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    for path, text in generated().items():
        path.write_text(text, encoding="utf-8")
