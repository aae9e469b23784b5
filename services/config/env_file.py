"""Reading ``.env``: values as Laravel reads them, and every line that is not understood.

python-dotenv divides the file into lines of ``NAME=value``. What quotes, backslashes and ``${…}``
mean follows Laravel's parser (https://github.com/vlucas/phpdotenv, version 5).
"""

import codecs
import io
import re
import shlex
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from dotenv.parser import Binding, parse_stream  # noqa: TID251 - parses what wsgi.py has read

from services.core.errors import ConfigError, Problem

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.]*", re.ASCII)
_START = re.compile(r"\s*(?:export[^\S\r\n]+)?([A-Za-z_][A-Za-z0-9_.]*)[^\S\r\n]*=", re.ASCII)
_SINGLE_QUOTED = re.compile(r"'((?:\\.|[^'\\])*)'", re.DOTALL)
_DOUBLE_QUOTED = re.compile(r'"((?:\\.|[^"\\])*)"', re.DOTALL)
_PIECE = re.compile(r"\\(?P<escaped>.)|\$\{(?P<name>[A-Za-z0-9_.]+)\}", re.DOTALL | re.ASCII)
_REFERENCE = re.compile(r"(?P<escaped>(?!))|\$\{(?P<name>[A-Za-z0-9_.]+)\}", re.ASCII)
# A line inside of quotes that was meant to be a variable of its own. Nothing or another = after
# the first = is base64, as in a key of several lines.
_SWALLOWED = re.compile(
    r"[\r\n][^\S\r\n]*(?:export[^\S\r\n]+)?[A-Z][A-Z0-9_]*[^\S\r\n]*=[^=\s]", re.ASCII
)
# The same in a value without quotes: a line break was lost, or is one that only some programs know.
_JOINED = re.compile(r"\s[A-Z][A-Z0-9_]{2,}=")
# … and in a comment: vertical tab, form feed, NEL, and the separators of Unicode.
_HIDDEN = re.compile(r"[\v\f\x1c-\x1e\x85\u2028\u2029]\s*[A-Z][A-Z0-9_]{2,}\s*=")
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", "f": "\f", "v": "\v", "a": "\a", "b": "\b"}
_ESCAPES |= {one: one for one in "\\\"'$"}
_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
REMEDY = "Write one NAME=value a line, begin a comment with #, and close every quote."


@dataclass(frozen=True, slots=True)
class Entry:
    """One line ``NAME=value``: ``raw`` is the value as written, ``plain`` without its quotes.

    ``quote`` is ``'``, ``"`` or empty; ``line`` counts from 1.
    """

    name: str
    line: int
    quote: str
    raw: str
    plain: str


def read(path: Path, env: Mapping[str, str]) -> dict[str, str]:
    """Read the variables of a file; ``${NAME}`` takes values of ``env`` first, as in Laravel.

    Raises ``ConfigError`` with every line that is not understood.
    """
    entries, problems = parse(_content(path), path)
    if problems:
        raise ConfigError(problems)
    values: dict[str, str] = {}
    for entry in entries:
        values[entry.name] = value_of(entry, {**values, **env})
    return values


def findings(path: Path, names: Iterable[str]) -> list[Problem]:
    """Lines that are not understood, and values of ``names`` that Laravel would read otherwise.

    Raises ``ConfigError`` for a file that cannot be read at all.
    """
    entries, problems = parse(_content(path), path)
    by_name: dict[str, list[Entry]] = {name: [] for name in names}
    for entry in entries:
        if entry.name in by_name:
            by_name[entry.name].append(entry)
            problems += _differs(entry)
    for repeated in by_name.values():
        problems += _repeated(repeated)
    return problems


def parse(content: bytes, path: Path) -> tuple[list[Entry], list[Problem]]:
    """Divide the content of a file into entries; also returns what is not understood.

    No message quotes a value. Raises ``ConfigError`` for a file that is not UTF-8.
    """
    entries, problems = [], []
    for binding in parse_stream(io.StringIO(_decoded(content, path), newline="")):
        text = binding.original.string
        line = binding.original.line + len(
            re.findall(r"\r\n|\n|\r", text[: len(text) - len(text.lstrip())])
        )
        reason = _misunderstood(binding)
        if reason:
            problems.append(Problem(f"{path.name}, line {line}", reason, REMEDY))
        elif binding.key is not None:
            raw = text.partition("=")[2].strip()
            quote = raw[:1] if raw[:1] in ("'", '"') else ""
            entries.append(Entry(binding.key, line, quote, raw, binding.value or ""))
    return entries, problems


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        reason = f"cannot be read ({error.strerror})."
        remedy = "Let the service's user read it: its owner, its group and its mode decide."
        raise ConfigError([Problem(str(path), reason, remedy)]) from None


def _decoded(content: bytes, path: Path) -> str:
    if content.startswith(_UTF16) or b"\0" in content:
        reason, encoding = "is UTF-16 or no text at all; it must be UTF-8.", "UTF-16"
        raise ConfigError([Problem(path.name, reason, _convert(path, encoding))])
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        place, reason = f"{path.name}, line {line}", "is not UTF-8, perhaps Latin-1 instead."
        raise ConfigError([Problem(place, reason, _convert(path, "LATIN1"))]) from None


def _convert(path: Path, encoding: str) -> str:
    """A command that changes the encoding and keeps the owner and the mode of the file."""
    old, new = shlex.quote(str(path)), shlex.quote(f"{path}.new")
    return (
        "Save it as UTF-8 in your editor, or run: "
        f"(umask 077; iconv -f {encoding} -t UTF-8 {old} > {new} && cat {new} > {old}; rm {new})"
    )


def _misunderstood(binding: Binding) -> str:
    """Why a line is not understood, or an empty text; names the variable, never its value."""
    start = _START.match(binding.original.string)
    about = f" ({start[1]})" if start else ""
    if binding.error:
        rest = binding.original.string[start.end() :].lstrip() if start else ""
        reason = "it is not of the form NAME=value"
        if rest[:1] in ("'", '"'):
            reason = "its quote is not closed, or something follows it"
    elif binding.key is None:
        if not _HIDDEN.search(binding.original.string):
            return ""
        about = ""
        reason = "a variable stands in its comment, behind what some editors show as a line break"
    elif not _NAME.fullmatch(binding.key):
        about, reason = "", "what stands before the = is not the name of a variable"
    elif binding.value is None:
        about, reason = f" ({binding.key})", "the = is missing"
    elif _SWALLOWED.search(binding.original.string.strip()):
        reason = "its quote is closed only after further variables"
    elif not _is_quoted(binding) and _JOINED.search(binding.value):
        about, reason = f" ({binding.key})", "a further variable stands in its value"
    else:
        return ""
    return f"cannot be read{about}: {reason}."


def _is_quoted(binding: Binding) -> bool:
    return binding.original.string.partition("=")[2].strip()[:1] in ("'", '"')


def value_of(entry: Entry, known: Mapping[str, str]) -> str:
    """The value of an entry without its quotes and escapes; references take values of ``known``."""
    if entry.quote == "'":
        inside = _SINGLE_QUOTED.match(entry.raw)
        # Laravel knows no escapes here; it refuses \', which python-dotenv reads as a quote.
        return inside[1] if inside and r"\'" not in inside[1] else entry.plain
    if entry.quote == '"':
        inside = _DOUBLE_QUOTED.match(entry.raw)
        return _expanded(_PIECE, inside[1] if inside else entry.plain, known)
    return _expanded(_REFERENCE, entry.plain, known)


def _expanded(pattern: re.Pattern[str], text: str, known: Mapping[str, str]) -> str:
    """Replace escapes and references; a reference to an unknown variable stays, as in Laravel."""

    def replacement(match: re.Match[str]) -> str:
        if match["name"] is not None:
            return known.get(match["name"], match[0])
        return _ESCAPES.get(match["escaped"], match[0])

    return pattern.sub(replacement, text)


def _differs(entry: Entry) -> Iterator[Problem]:
    place = f"{entry.name} (line {entry.line})"
    if not entry.quote and "#" in entry.plain:
        reason = "has a # outside of quotes: it belongs to the value here, while Laravel reads a "
        yield Problem(place, f"{reason}comment from there on.", "Put the value in single quotes.")
    if entry.quote and entry.plain != entry.plain.strip():
        reason = "begins or ends with a space, which Laravel keeps and Textbridge leaves out."
        yield Problem(place, reason, "Remove the space.")
    if entry.quote != "'" and re.search(r"\$\{[A-Za-z0-9_.]*:-", entry.raw):
        reason = "has ${…:-…}, which is not replaced by anything, as in Laravel."
        yield Problem(place, reason, "Write the value itself.")


def _repeated(entries: list[Entry]) -> Iterator[Problem]:
    if len({entry.raw for entry in entries}) > 1:
        lines = ", ".join(str(entry.line) for entry in entries)
        reason = f"is set several times (lines {lines}); the last one counts."
        yield Problem(entries[-1].name, reason, "Keep one of them.")
