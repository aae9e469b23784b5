"""Catalogues of the languages, from the sentences in the sources: ``make words``.

Writes ``locales/<language>/messages.po`` for translators: new sentences are added without a
translation, those that are gone are removed. Then writes what the phone app and the server load,
``words_<language>.json``, from these files.

Sentences are the first argument of ``t``, the second and third of ``many``, the argument of
``sentence``, and in the page of the phone app the texts and labels of elements with ``data-words``.
The words for error codes are those of mails: ``reason_words.js`` is made of them first.
Babel's own reader of JavaScript is not used: it does not look into template literals, and its
tokenizer is deprecated.
"""

import ast
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from html.parser import HTMLParser
from io import BytesIO
from pathlib import Path

from babel.messages.catalog import Catalog, Message
from babel.messages.pofile import read_po, write_po

from services.core import error_words
from services.providers import PROVIDERS

ROOT = Path(__file__).resolve().parent.parent
PHONE = ROOT / "blueprints/phone"
LANGUAGES = {"es": "es", "fr-CA": "fr_CA", "de": "de"}  # tag of the web: folder of the catalogue
CATEGORIES = ("one", "other")  # plural categories (CLDR), in the order of a catalogue's forms
HEADER = """\
msgid ""
msgstr ""
"Project-Id-Version: Textbridge\\n"
"Language: {}\\n"
"Plural-Forms: nplurals=2; plural={};\\n"
"MIME-Version: 1.0\\n"
"Content-Type: text/plain; charset=utf-8\\n"
"Content-Transfer-Encoding: 8bit\\n"
"""
REASON_WORDS = PHONE / "static/reason_words.js"
REASON_HEAD = """\
// Words for error codes. Made by `make words` from services/core/error_words.py and errors.toml.

import { t } from "./words.js";
"""
LABELS = ("aria-label", "placeholder", "title")

_COMMENT = re.compile(r"(?:^|(?<=\s))//.*", re.MULTILINE)
_STRING = re.compile(r'\s*"((?:[^"\\]|\\.)*)"\s*([,)])')
_CALL = re.compile(r"(?<![\w.$#])(?<!function )(t|many)\(")
_OPENING, _CLOSING = "([{", ")]}"


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence in English, with its plural if it depends on a number."""

    text: str
    plural: str
    file: str  # relative to the root
    line: int = 0


def of_script(source: str, file: str) -> Iterator[Sentence]:
    """The sentences of a script. Raises ``ValueError`` for a call without whole sentences."""
    code = _COMMENT.sub(lambda found: " " * len(found[0]), source)
    for call in _CALL.finditer(code):
        at = call.end() if call[1] == "t" else _after_argument(code, call.end())
        found = _STRING.match(code, at)
        other = _STRING.match(code, found.end()) if found and call[1] == "many" else None
        if found is None or (call[1] == "many" and other is None):
            raise ValueError(f"{file}: no sentence in {code[call.start() : call.start() + 60]!r}.")
        line = code.count("\n", 0, call.start()) + 1
        yield Sentence(_value(found[1]), _value(other[1]) if other else "", file, line)


def _after_argument(code: str, at: int) -> int:
    """Where the next argument of a call begins."""
    depth = 0
    while depth or code[at] != ",":
        depth += (code[at] in _OPENING) - (code[at] in _CLOSING)
        at += 1
    return at + 1


def _value(literal: str) -> str:
    return str(json.loads(f'"{literal}"'))


class _Page(HTMLParser):
    """The sentences of a page."""

    def __init__(self, file: str) -> None:
        super().__init__()
        self.file = file
        self.found: list[Sentence] = []
        self._is_marked = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._is_marked = "data-words" in dict(attrs)
        if self._is_marked:
            for name, value in attrs:
                if name in LABELS:
                    self._add(value or "")

    def handle_endtag(self, tag: str) -> None:
        self._is_marked = False

    def handle_data(self, data: str) -> None:
        if self._is_marked and data.strip():
            self._add(data)

    def _add(self, text: str) -> None:
        self.found.append(Sentence(text, "", self.file, self.getpos()[0]))


def of_python(source: str, file: str) -> Iterator[Sentence]:
    """The sentences of a Python module."""
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call):
            continue
        name = getattr(node.func, "attr", getattr(node.func, "id", "")).lstrip("_")
        words = [one.value for one in node.args if isinstance(one, ast.Constant)]
        given = [one for one in words if isinstance(one, str)]
        if name in ("t", "sentence") and len(given) == 1:
            yield Sentence(given[0], "", file, node.lineno)
        elif name == "many" and len(given) == 2:
            yield Sentence(given[0], given[1], file, node.lineno)


def sentences() -> list[Sentence]:
    """All sentences of the phone app, mails and notifications."""
    found: list[Sentence] = []
    for path in sorted((PHONE / "static").glob("*.js")):
        found += of_script(path.read_text("utf-8"), _name(path))
    for path in sorted((PHONE / "templates").glob("*.html")):
        page = _Page(_name(path))
        page.feed(path.read_text("utf-8"))
        found += page.found
    for folder in ("blueprints/phone", "services"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            found += of_python(path.read_text("utf-8"), _name(path))
    return found


def reason_words() -> str:
    """The script with the phone app's words for error codes, and the carriers' codes by cause."""
    carriers: dict[str, dict[str, list[str]]] = {}
    for provider in PROVIDERS:
        for code, cause in provider.causes.items():
            carriers.setdefault(provider.name, {}).setdefault(cause, []).append(code)
    words = {"REASONS": error_words.REASONS, "CAUSES": error_words.CAUSES}
    lines = [REASON_HEAD]
    for name, sentences_by_code in words.items():
        entries = "".join(
            f"  {code}: t({json.dumps(one, ensure_ascii=False)}),\n"
            for code, one in sentences_by_code.items()
        )
        lines.append(f"export const {name} = {{\n{entries}}};\n")
    tables = "".join(
        f"  {carrier}: {{\n"
        + "".join(f'    {cause}: "{" ".join(codes)}",\n' for cause, codes in by_cause.items())
        + "  },\n"
        for carrier, by_cause in carriers.items()
    )
    lines.append(
        f"// The codes of each carrier by their cause.\nexport const CARRIERS = {{\n{tables}}};\n"
    )
    statuses: dict[str, list[str]] = {}
    for status, kind in error_words.STATUS_CAUSES.items():
        statuses.setdefault(kind, []).append(status)
    rows = "".join(f'  {cause}: "{" ".join(codes)}",\n' for cause, codes in statuses.items())
    lines.append(
        f"// HTTP statuses of a carrier's answer.\nexport const STATUSES = {{\n{rows}}};\n"
    )
    return "\n".join(lines)


def _name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def template() -> Catalog:
    """All sentences, without translations."""
    catalog = Catalog(fuzzy=False)
    for one in sentences():
        catalog.add((one.text, one.plural) if one.plural else one.text, locations=[(one.file, 0)])
    return catalog


def catalogue_path(language: str) -> Path:
    """Where the catalogue of a language is, such as ``fr-CA``."""
    return ROOT / "locales" / LANGUAGES[language] / "messages.po"


def read_catalogue(language: str) -> Catalog:
    """The catalogue of a language."""
    return read_po(BytesIO(catalogue_path(language).read_bytes()), locale=LANGUAGES[language])


def updated(language: str) -> str:
    """The catalogue of a language with the sentences that there are now."""
    catalog = read_catalogue(language)
    catalog.update(template(), no_fuzzy_matching=True, update_creation_date=False)
    catalog.obsolete.clear()
    buffer = BytesIO()
    write_po(buffer, catalog, width=100, omit_header=True, include_lineno=False, sort_by_file=True)
    header = HEADER.format(LANGUAGES[language], catalog.plural_expr)
    return header + "\n" + buffer.getvalue().decode("utf-8")


def compiled(language: str) -> dict[Path, str]:
    """What the phone app and the server load, from the catalogue of a language.

    A sentence leads to its translation, the plural of one with a number to its forms by category.
    """
    app: dict[str, str | dict[str, str]] = {}
    server: dict[str, str | dict[str, str]] = {}
    for message in read_catalogue(language):
        if message.id:
            files = [file for file, _ in message.locations]
            for suffixes, loaded in (((".js", ".html"), app), ((".py",), server)):
                if any(file.endswith(suffixes) for file in files):
                    loaded.update(_entries(message))
    return {
        PHONE / f"static/words_{language}.json": _json(app),
        ROOT / f"services/core/words_{language}.json": _json(server),
    }


def _entries(message: Message) -> Iterator[tuple[str, str | dict[str, str]]]:
    if isinstance(message.id, str):
        yield message.id, str(message.string)
        return
    one, other = message.id
    forms = dict(zip(CATEGORIES, message.string or ("", ""), strict=True))
    yield other, forms
    if "{count}" not in one and one != other:  # it is used without a number as well
        yield one, forms["one"]


def _json(content: dict[str, str | dict[str, str]]) -> str:
    return json.dumps(content, ensure_ascii=False, indent=0, sort_keys=True) + "\n"


def main() -> None:
    """Write all catalogues, and what is made of them."""
    REASON_WORDS.write_text(reason_words(), "utf-8")
    for language in LANGUAGES:
        catalogue_path(language).write_text(updated(language), "utf-8")
        for path, content in compiled(language).items():
            path.write_text(content, "utf-8")
        open_ones = [one.id for one in read_catalogue(language) if one.id and not one.string]
        print(f"{language}: {len(open_ones)} without a translation")


if __name__ == "__main__":
    main()
