r"""Terminal output of the commands, their errors and exit codes.

Texts, names and reasons come from outside. Characters that move the cursor or change the direction
of the text are printed as escape sequences (``\x1b``, ``\u202e``).
"""

import json
import shutil
import sys
import textwrap
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from io import TextIOWrapper
from typing import Any, NoReturn
from unicodedata import category

import click
from flask.cli import AppGroup, with_appcontext

from blueprints.cli.parts import parts
from services.core.errors import TextbridgeError
from services.core.messages import Finding, clean, rfc3339

# Control, format (bidi among them), surrogate and private characters, line and paragraph separator.
INVISIBLE = {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}
COLUMNS = 100  # of a table where nobody knows the width of the terminal
NARROWEST = 8  # a column that is cut keeps so many characters
LEAST_WRAPPED = 30  # characters of a line of a column that is wrapped
NEVER_CUT = {"ID", "NUMBER", "TIME"}  # titles of columns
JOINERS = "\u200c\u200d"  # hold emoji and some scripts together and do nothing else
TEXT_COLUMN = 60
AS_JSON = "as_json"  # the parameter of the option --json


class Command(click.Command):
    """A command whose errors are sentences with exit code 1 or 2, never tracebacks.

    They are printed on standard error, with ``--json`` also on standard output: ``{"error": …}``.
    """

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the arguments; bytes that are not UTF-8 become U+FFFD."""
        try:
            return super().parse_args(ctx, [clean(argument) for argument in args])
        except click.ClickException as error:
            _print_json_error(
                error, "--json" in args and any(p.name == AS_JSON for p in self.params)
            )
            raise

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; its errors become ``Error: …`` on standard error."""
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, TextIOWrapper):
                stream.reconfigure(errors="replace")  # a terminal that knows no emoji
        try:
            return self._run(ctx)
        except click.ClickException as error:
            _print_json_error(error, ctx.params.get(AS_JSON, False))
            raise

    def _run(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except TextbridgeError as error:
            raise click.ClickException(escaped(str(error), keep="\n")) from error
        except BrokenPipeError:
            raise  # the reader of a pipe has ended
        except OSError as error:
            raise click.ClickException(f"{error.filename or 'File'}: {error.strerror}.") from error


class Group(AppGroup):
    """Commands of one subject; each runs in the context of the application."""

    command_class = Command


def command(name: str) -> Callable[[Callable[..., Any]], Command]:
    """Make a function a command that belongs to no group."""
    return lambda function: click.command(name, cls=Command)(with_appcontext(function))


json_option = click.option(
    "--json", AS_JSON, is_flag=True, help="Print JSON, for scripts, instead of a table."
)


def _print_json_error(error: click.ClickException, is_asked: bool) -> None:
    if is_asked:
        document({"error": error.format_message()})


def escaped(text: str, keep: str = "") -> str:
    r"""A text with its control and format characters as escape sequences, but those in ``keep``.

    >>> print(escaped("pay\u202egpj\x1b[2J\nnow"))
    pay\u202egpj\x1b[2J\nnow
    """
    return "".join(
        character
        if character in JOINERS + keep or category(character) not in INVISIBLE
        else character.encode("unicode_escape").decode()
        for character in text
    )


def short(text: str, columns: int = TEXT_COLUMN) -> str:
    """The beginning of a text, for a table."""
    return text if len(text) <= columns else text[: columns - 1] + "…"


def moment(at: float | None) -> str:
    """A time for people, to the second, with the zone of ``APP_TIMEZONE``; ``-`` for never."""
    return "-" if at is None else parts().local_time.text(at)


def brief_moment(at: float | None) -> str:
    """A time for a table, to the minute; ``name_time_zone`` says its zone below the table."""
    return "-" if at is None else f"{parts().local_time.of(at):%Y-%m-%d %H:%M}"


def name_time_zone(*further: str) -> None:
    """Print the time zone of a table, and further sentences."""
    click.echo(" ".join((f"Times are in {parts().local_time.name}.", *further)))


def stamp(at: float | None) -> str | None:
    """A time for programs."""
    return None if at is None else rfc3339(at)


def table(
    titles: Sequence[str],
    rows: Iterable[Sequence[object]],
    empty: str,
    *,
    cut: bool = True,
    wrap: bool = False,
) -> None:
    """Print rows below their titles, or the sentence ``empty`` where there are none.

    The widest columns are cut to the width of the terminal unless ``cut`` is false. With ``wrap``
    nothing is cut: the last column goes on in further lines, in a file or a pipe in its own one.
    """
    shown = [[escaped(str(cell)) for cell in row] for row in rows]
    if not shown:
        click.echo(empty)
        return
    widths = [max(map(len, column)) for column in zip(titles, *shown, strict=True)]
    if wrap:
        shown = [part for row in shown for part in _wrapped(row, widths)]
    elif cut:
        widths = _fitting(widths, titles)
    for row in (titles, *shown):
        cells = (short(cell, width).ljust(width) for cell, width in zip(row, widths, strict=True))
        click.echo("  ".join(cells).rstrip())


def _wrapped(row: Sequence[str], widths: Sequence[int]) -> list[list[str]]:
    """The lines of a row whose last column is as wide as the terminal lets it."""
    if not is_terminal():
        return [list(row)]
    before = sum(widths[:-1]) + 2 * (len(widths) - 1)
    available = max(shutil.get_terminal_size((COLUMNS, 1)).columns - before, LEAST_WRAPPED)
    first, *further = textwrap.wrap(row[-1], available, break_on_hyphens=False) or [""]
    return [[*row[:-1], first], *([*("" for _ in row[:-1]), line] for line in further)]


def is_terminal() -> bool:
    """Whether standard output is read by a person, and not by a file or a pipe."""
    return sys.stdout.isatty()


def _fitting(widths: list[int], titles: Sequence[str]) -> list[int]:
    """The widths of columns, the widest of them reduced until all fit into the terminal."""
    available = shutil.get_terminal_size((COLUMNS, 1)).columns - 2 * (len(widths) - 1)
    least = [
        width if title in NEVER_CUT else min(width, max(NARROWEST, len(title)))
        for width, title in zip(widths, titles, strict=True)
    ]
    while sum(widths) > available and widths != least:
        widest = max(range(len(widths)), key=lambda one: (widths[one] > least[one], widths[one]))
        widths[widest] -= 1
    return widths


def facts(pairs: Iterable[tuple[str, object]]) -> None:
    """Print one value a line after its name; ``None`` and empty ones are left out."""
    for name, value in pairs:
        if value is not None and value != "":
            click.echo(f"{name + ':':<14} {escaped(str(value))}")


def document(content: object) -> None:
    """Print JSON in ASCII, which cannot disturb a terminal."""
    click.echo(json.dumps(content, indent=2))


def report_findings(
    found: Mapping[str, Sequence[Finding]], titles: Mapping[str, str], *, as_json: bool
) -> NoReturn:
    """Print the findings of checks, below their titles or as JSON; exit code 1 if one is bad."""
    if as_json:
        document({name: [asdict(finding) for finding in each] for name, each in found.items()})
    else:
        for name, findings in found.items():
            click.echo(titles[name])
            for finding in findings:
                click.echo(f"  {'ok ' if finding.ok else 'FIX'} {escaped(finding.text)}")
    raise SystemExit(0 if all(finding.ok for each in found.values() for finding in each) else 1)


def note(sentence: str) -> None:
    """Print a remark on standard error, beside the result."""
    click.echo(f"Note: {escaped(sentence)}", err=True)


def note_rule_warnings() -> None:
    """Print the warnings about rules on standard error."""
    for warning in parts().rule_warnings.all():
        note(warning)
