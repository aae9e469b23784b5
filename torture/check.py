"""What a check is: data, so that the harness can run it, list it and prove that it can fail."""

import os
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from typing import TypeVar

from torture.ground import Ground

T = TypeVar("T")
Figures = dict[str, int | float | str]  # what was counted, by its name; seconds, if not said
Run = Callable[[Ground, "Scale"], Figures]


class Scale(StrEnum):
    """How much of everything: a few minutes in all, or the whole gate."""

    SMOKE = "smoke"
    FULL = "full"

    def pick(self, smoke: T, full: T) -> T:
        """The one of two amounts that is meant for this scale."""
        return smoke if self is Scale.SMOKE else full


@dataclass(frozen=True)
class Mutant:
    """A fault put into a copy of the product, to see whether the check notices."""

    file: str  # from the root of the repository
    old: str  # stands exactly once in the file
    new: str
    breaks: str  # what it spoils, in a few words


@dataclass(frozen=True)
class Check:
    """A promise and the run that shows it.

    ``run`` returns its figures, and raises ``Broken`` with what was seen when the promise does not
    hold. ``needs`` are programs, ``root``, or ``loop`` (a disk in a file may be mounted): without
    them the check is skipped by name.
    """

    name: str
    claim: str
    run: Run
    mutants: tuple[Mutant, ...]
    smoke: bool = True
    needs: tuple[str, ...] = ()

    def missing(self) -> list[str]:
        """What this machine lacks for the check."""
        return [need for need in self.needs if not _is_there(need)]


@cache
def _is_there(need: str) -> bool:
    if need == "root":  # with the right to mount, which a container may lack
        asked = ["unshare", "--mount", "true"]
        return os.geteuid() == 0 and subprocess.run(asked, capture_output=True).returncode == 0
    if need == "loop":
        found = shutil.which("losetup")
        return (
            found is not None and subprocess.run([found, "-f"], capture_output=True).returncode == 0
        )
    return shutil.which(need) is not None
