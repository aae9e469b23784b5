"""Reading a Dockerfile and a .dockerignore: the small part of their language that ours use.

Whatever else is found stops the reading with a sentence, so that nothing is passed over. Sources:
docs.docker.com/reference/dockerfile and docs.docker.com/build/concepts/context/#dockerignore-files.
"""

import json
import os
import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath


class NotUnderstood(Exception):
    """Something that this reader does not know; the text says where and what."""


@dataclass(frozen=True)
class Instruction:
    """One instruction: ``RUN``, its ``--options`` and the rest of it."""

    line: int
    word: str
    options: Mapping[str, str]
    rest: str

    def words(self) -> list[str]:
        """The rest as a list: JSON where it is JSON, else split as a shell does."""
        if self.rest.startswith("["):
            words: list[str] = json.loads(self.rest)
            return words
        return shlex.split(self.rest)

    def command(self) -> list[str]:
        """The rest as a command: the exec form as it stands, the shell form by way of ``sh``."""
        return self.words() if self.rest.startswith("[") else ["/bin/sh", "-c", self.rest]

    def refuse(self, why: str) -> NotUnderstood:
        """The exception that says what is not understood here."""
        return NotUnderstood(f"Dockerfile, line {self.line} ({self.word}): {why}")


@dataclass(frozen=True)
class Stage:
    """What follows one ``FROM``."""

    name: str
    base: str
    instructions: list[Instruction] = field(default_factory=list)


def stages(path: Path) -> list[Stage]:
    """The stages of a Dockerfile, in order. Raises ``NotUnderstood``."""
    found: list[Stage] = []
    for instruction in _instructions(path):
        if instruction.word == "FROM":
            base, *alias = instruction.words()
            name = alias[1] if len(alias) == 2 and alias[0].upper() == "AS" else str(len(found))
            found.append(Stage(name, base))
        elif found:
            found[-1].instructions.append(instruction)
        else:
            raise instruction.refuse("it stands before the first FROM.")
    return found


def _instructions(path: Path) -> Iterator[Instruction]:
    written, first = "", 0
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        first = first if written else number
        if line.endswith("\\"):
            written += line[:-1]
            continue
        yield _instruction(first, (written + line).strip())
        written = ""


def _instruction(line: int, text: str) -> Instruction:
    word, _, rest = text.partition(" ")
    options = {}
    rest = rest.strip()
    while option := re.match(r"--([a-z-]+)=(\S+)\s+", rest):
        options[option[1]] = option[2]
        rest = rest[option.end() :]
    return Instruction(line, word.upper(), options, rest)


def expanded(text: str, env: Mapping[str, str]) -> str:
    """A text with ``$NAME`` and ``${NAME}`` replaced; an unknown name is empty."""
    return re.sub(r"\$(?:\{(\w+)\}|(\w+))", lambda m: env.get(m[1] or m[2], ""), text)


class Ignored:
    """What a .dockerignore keeps out; of the rules that fit a path the last one decides."""

    def __init__(self, path: Path) -> None:
        lines = (line.strip() for line in path.read_text(encoding="utf-8").splitlines())
        written = [line for line in lines if line and not line.startswith("#")]
        self._rules = [(not r.startswith("!"), _pattern(r.lstrip("!"))) for r in written]
        self._let_in = [rule.lstrip("!") for rule in written if rule.startswith("!")]

    def __contains__(self, path: PurePosixPath) -> bool:
        out = False
        for keeps_out, pattern in self._rules:
            if any(pattern.fullmatch(str(part)) for part in (path, *path.parents)):
                out = keeps_out
        return out

    def context(self, root: Path) -> Iterator[PurePosixPath]:
        """Every file below ``root`` that a build gets to see, relative to it."""
        for folder, folders, files in os.walk(root):
            here = PurePosixPath(Path(folder).relative_to(root))
            folders[:] = [name for name in folders if self._may_hold(here / name)]
            yield from (here / name for name in files if here / name not in self)

    def _may_hold(self, folder: PurePosixPath) -> bool:
        return folder not in self or any(r.startswith(f"{folder}/") for r in self._let_in)


def _pattern(rule: str) -> re.Pattern[str]:
    """A rule as a regular expression for a whole relative path.

    >>> bool(_pattern("**/*.pyc").fullmatch("services/a.pyc"))
    True
    >>> bool(_pattern("*").fullmatch("services/a.pyc"))
    False
    """
    signs = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    parts = re.split(r"(\*\*/|\*\*|\*|\?)", rule.strip("/"))
    return re.compile("".join(signs.get(part, re.escape(part)) for part in parts))
