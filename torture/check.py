"""Data types of a fault injection check: ``Check``, ``Mutant`` and ``Scale``."""

import os
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from typing import TypeVar

from tests.postgres import programs
from torture.environment import TestEnvironment

T = TypeVar("T")
Figures = dict[str, int | float | str]  # counted values by name
Run = Callable[[TestEnvironment, "Scale"], Figures]


class Scale(StrEnum):
    """How many texts, kills and so on: SMOKE takes minutes for all checks, FULL 45 minutes."""

    SMOKE = "smoke"
    FULL = "full"

    def pick(self, smoke: T, full: T) -> T:
        """The amount for this scale."""
        return smoke if self is Scale.SMOKE else full


@dataclass(frozen=True)
class Mutant:
    """A fault in the source of Textbridge that the check must detect (mutation testing)."""

    file: str  # path from the root of the repository
    old: str  # source text that occurs exactly once in the file
    new: str  # its replacement
    breaks: str  # the effect in a few words


@dataclass(frozen=True)
class Check:
    """A promise (``claim``) and the function that verifies it.

    ``run`` returns its figures. It raises ``PromiseBroken`` with what it observed when the promise
    does not hold. ``needs`` are programs, ``root``, or ``loop`` (a disk image may be mounted).
    Where one is missing the check is skipped.
    """

    name: str
    claim: str
    run: Run
    mutants: tuple[Mutant, ...]
    smoke: bool = True
    needs: tuple[str, ...] = ()

    def missing(self) -> list[str]:
        """The needs of the check that this machine does not meet."""
        return [need for need in self.needs if not _is_met(need)]


@cache
def _is_met(need: str) -> bool:
    if need == "root":  # including the right to mount, which a container may not have
        command = ["unshare", "--mount", "true"]
        return os.geteuid() == 0 and _succeeds(*command)
    if need == "loop":
        found = shutil.which("losetup")
        return found is not None and _succeeds(found, "-f")
    if need == "postgres":
        return programs() is not None
    return shutil.which(need) is not None


def _succeeds(*command: str) -> bool:
    return subprocess.run(command, capture_output=True, check=False).returncode == 0
