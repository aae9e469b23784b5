"""Environment variables: declaring them in settings classes, loading and checking them.

A settings class is a frozen dataclass whose fields are made by ``variable``. The field
``api_secret`` of the section ``BANDWIDTH_`` is the variable ``BANDWIDTH_API_SECRET``; a name that
Python does not allow ends with an underscore (``from_``). The same
declaration loads the value, reports every problem at once, and describes the variable in
``.env.example`` and in the documentation.
"""

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from services.config.parsers import Parse, is_placeholder, text
from services.core.errors import Problem

T = TypeVar("T")

# Values that mean "not set", also in Laravel.
UNSET = {"", "null", "(null)", "empty", "(empty)"}


@dataclass(frozen=True, slots=True)
class Variable:
    """The declaration of an environment variable."""

    name: str
    field: str
    doc: str
    parse: Parse
    default: str | None
    optional: bool
    secret: bool
    example: str
    remedy: str
    needs: str = ""

    @property
    def required(self) -> bool:
        """Whether its section cannot be used without it."""
        return self.default is None and not self.optional


def variable(
    doc: str,
    *,
    parse: Parse = text,
    default: str | None = None,
    optional: bool = False,
    secret: bool = False,
    example: str = "",
    remedy: str = "",
    needs: str = "",
) -> Any:
    """Declare a field of a settings class.

    ``default`` is written as in ``.env``. An ``optional`` variable is ``None`` if it is not set.
    One with neither is required. A ``secret`` is never shown in a ``repr`` or on a page. ``needs``
    is another field that must be set too.
    """
    metadata = {
        "doc": doc,
        "parse": parse,
        "default": default,
        "optional": optional,
        "secret": secret,
        "example": example,
        "remedy": remedy,
        "needs": needs,
    }
    return dataclasses.field(metadata=metadata, repr=not secret, kw_only=True)


def variables(section: type, prefix: str) -> list[Variable]:
    """The variables that a settings class declares, in order."""
    return [
        Variable(name=prefix + f.name.removesuffix("_").upper(), field=f.name, **f.metadata)
        for f in dataclasses.fields(section)
        if "doc" in f.metadata
    ]


def read(env: Mapping[str, str], name: str) -> str | None:
    """A value, or ``None`` if it is not set; ``NAME_FILE`` may name a file that contains it.

    Raises ``OSError`` for a file that cannot be read, and ``ValueError`` for an empty one or one
    that is not UTF-8.
    """
    value = env.get(name, "").strip()
    if value.lower() not in UNSET:
        return value
    file = env.get(f"{name}_FILE", "").strip()
    if not file:
        return None
    content = Path(file).read_text(encoding="utf-8").strip()
    if not content:
        raise ValueError("it is empty")
    return content


def is_on(section: type, prefix: str, env: Mapping[str, str]) -> bool:
    """Whether an optional section is on: any of its variables without a default is set.

    A placeholder such as ``your_key`` turns nothing on.
    """
    return any(v.default is None and _is_set(env, v.name) for v in variables(section, prefix))


def missing(section: type, prefix: str, env: Mapping[str, str]) -> list[Variable]:
    """The required variables of a section that are not set, or only to a placeholder."""
    return [v for v in variables(section, prefix) if v.required and not _is_set(env, v.name)]


def placeholders(section: type, prefix: str, env: Mapping[str, str]) -> list[Variable]:
    """The variables of a section that hold a placeholder."""
    return [v for v in variables(section, prefix) if is_placeholder(env.get(v.name, "").strip())]


def _is_set(env: Mapping[str, str], name: str) -> bool:
    value = env.get(name, "").strip()
    if is_placeholder(value):
        return False
    return value.lower() not in UNSET or bool(env.get(f"{name}_FILE"))


def load(section: type[T], prefix: str, env: Mapping[str, str]) -> tuple[T | None, list[Problem]]:
    """Load one section. Returns it and an empty list, or ``None`` and all its problems."""
    values: dict[str, Any] = {}
    problems = []
    for v in variables(section, prefix):
        try:
            written = read(env, v.name)
        except (OSError, ValueError) as error:
            why = "it is not UTF-8" if isinstance(error, UnicodeDecodeError) else str(error)
            why = error.strerror or why if isinstance(error, OSError) else why
            reason = f"the file that {v.name}_FILE names cannot be read ({why})."
            problems.append(Problem(v.name, reason, "Check its path, permissions and content."))
            continue
        is_hint = v.required and written is not None and is_placeholder(written)
        if written is None or is_hint:
            written = v.default
        if written is None:
            if v.required:
                remedy = v.remedy or f"Set it in .env: {v.doc}"
                reason = "still has the placeholder of an example." if is_hint else "is missing."
                problems.append(Problem(v.name, reason, remedy))
            values[v.field] = None
            continue
        try:
            values[v.field] = v.parse(written)
        except ValueError as error:
            is_hidden = v.secret or ("://" in written and "@" in written)  # may hold a password
            shown = "" if is_hidden else f" “{written[:60]}”"
            remedy = v.remedy or (f"Write something like {v.example}." if v.example else "")
            problems.append(Problem(v.name, f"the value{shown} cannot be used: {error}", remedy))
    problems += [
        Problem(
            prefix + v.needs.upper(),
            f"is missing, while {v.name} is set.",
            "Set both of them or neither.",
        )
        for v in variables(section, prefix)
        if v.needs and values.get(v.field) is not None and values.get(v.needs, v) is None
    ]
    return (None if problems else section(**values)), problems


def described(section: Any, prefix: str) -> Iterator[tuple[Variable, str]]:
    """Every variable of a loaded section with its value as text; secrets are masked."""
    for v in variables(type(section), prefix):
        value = getattr(section, v.field)
        if value is None:
            yield v, ""
        elif isinstance(value, tuple):
            yield v, ", ".join(map(str, value))
        else:
            shown = str(value).lower() if isinstance(value, bool) else str(value)
            yield v, "••••••••" if v.secret else shown
