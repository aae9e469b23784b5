"""Carrying out the instructions of a Dockerfile."""

# ruff: noqa: S603, S607 - it runs what the Dockerfile says, with the system's own tools

import shutil
import signal
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from container import lent
from container.debian import stand_in
from container.dockerfile import Ignored, Instruction, expanded, stages
from container.image import Image


@dataclass(frozen=True)
class Sources:
    """Where COPY may copy from: the context of the build, and the stages before."""

    context: Path
    stages: Mapping[str, Image]

    def root(self, instruction: Instruction) -> Path:
        """The folder that an instruction copies from."""
        name = instruction.options.get("from")
        if unknown := set(instruction.options) - {"from"}:
            raise instruction.refuse(f"--{unknown.pop()} is not known here.")
        if name is None:
            return self.context
        if name not in self.stages:
            raise instruction.refuse(f"there is no stage {name} before it.")
        return self.stages[name].root


def build(repository: Path, folder: Path) -> Image:
    """Build a repository's Dockerfile below ``folder``; returns what the last stage made.

    Raises ``NotUnderstood``, also when a step fails.
    """
    made: dict[str, Image] = {}
    sources = Sources(_context(repository, folder / "context"), made)
    for stage in stages(repository / "Dockerfile"):
        print(f"  {stage.name}, from {stage.base}")
        image = Image(folder / f"stage-{stage.name}")
        copy_tree(stand_in(stage.base, folder), image.root)
        for instruction in stage.instructions:
            _carry_out(image, instruction, sources)
        made[stage.name] = image
    return image


def copy_tree(source: Path, target: Path) -> None:
    """Copy a folder with owners, modes and devices."""
    subprocess.run(["cp", "-a", "--reflink=auto", str(source), str(target)], check=True)


def _context(repository: Path, target: Path) -> Path:
    """The files of the repository that the .dockerignore lets in."""
    for path in Ignored(repository / ".dockerignore").context(repository):
        (target / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(repository / path, target / path)
    return target


def _carry_out(image: Image, instruction: Instruction, sources: Sources) -> None:
    print(f"    {instruction.word} {' '.join(instruction.rest.split())[:88]}", flush=True)
    step = STEPS.get(instruction.word)
    if step is None:
        raise instruction.refuse("this instruction is not known here.")
    step(image, instruction, sources)


def _run(image: Image, instruction: Instruction, _: Sources) -> None:
    if instruction.options or image.user != "0:0":
        raise instruction.refuse("it is known here without options and before USER only.")
    borrowed = lent.variables()
    env = {**borrowed, **image.env, "HOME": "/root"}
    with lent.files(borrowed, image) as mounts:
        command = image.in_workdir(instruction.command())
        contained = image.contained([*image.system(), *mounts], command)
        done = subprocess.run(contained, env=env, capture_output=True, text=True)
    if done.returncode:
        output = "\n".join((done.stdout + done.stderr).splitlines()[-30:])
        raise instruction.refuse(f"exit code {done.returncode}\n{output}")


def _copy(image: Image, instruction: Instruction, sources: Sources) -> None:
    *names, last = (expanded(word, image.env) for word in instruction.words())
    root = sources.root(instruction)
    target = image.path(str(PurePosixPath(image.workdir) / last))
    for name in names:
        source = root / name.lstrip("/")
        if source.is_dir():
            shutil.copytree(source, target, symlinks=True, dirs_exist_ok=True)
        elif source.is_file():
            _copy_file(source, target, into=last.endswith(("/", ".")) or len(names) > 1)
        else:
            raise instruction.refuse(f"{name} is not there, or is kept out by .dockerignore.")


def _copy_file(source: Path, target: Path, *, into: bool) -> None:
    target = target / source.name if into or target.is_dir() else target
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy2(source, target)


def _env(image: Image, instruction: Instruction, _: Sources) -> None:
    before = dict(image.env)
    for word in instruction.words():
        name, equals, value = word.partition("=")
        if not equals:
            raise instruction.refuse("write it as NAME=value.")
        image.env[name] = expanded(value, before)


def _workdir(image: Image, instruction: Instruction, _: Sources) -> None:
    image.workdir = str(PurePosixPath(image.workdir) / expanded(instruction.rest, image.env))
    image.path(image.workdir).mkdir(parents=True, exist_ok=True)


def _user(image: Image, instruction: Instruction, _: Sources) -> None:
    image.user = expanded(instruction.rest, image.env)


def _volume(image: Image, instruction: Instruction, _: Sources) -> None:
    image.volumes += instruction.words()


def _stopsignal(image: Image, instruction: Instruction, _: Sources) -> None:
    image.stop_signal = signal.Signals[instruction.rest]


def _healthcheck(image: Image, instruction: Instruction, _: Sources) -> None:
    word, _space, rest = instruction.rest.partition(" ")
    if word != "CMD":
        raise instruction.refuse("CMD is expected after the options.")
    image.health = Instruction(instruction.line, word, {}, rest.strip()).command()


def _cmd(image: Image, instruction: Instruction, _: Sources) -> None:
    if not instruction.rest.startswith("["):
        raise instruction.refuse("write it in exec form: a shell would not pass signals on.")
    image.command = instruction.command()


def _nothing(image: Image, instruction: Instruction, _: Sources) -> None:
    """Says something to people and engines and changes nothing here."""


STEPS: dict[str, Callable[[Image, Instruction, Sources], None]] = {
    "RUN": _run,
    "COPY": _copy,
    "ENV": _env,
    "WORKDIR": _workdir,
    "USER": _user,
    "VOLUME": _volume,
    "STOPSIGNAL": _stopsignal,
    "HEALTHCHECK": _healthcheck,
    "CMD": _cmd,
    "EXPOSE": _nothing,
    "LABEL": _nothing,
}
