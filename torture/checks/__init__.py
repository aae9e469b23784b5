"""Every check of ``make torture``, in the order in which they run: one file and one line each."""

from torture.check import Check
from torture.checks import random_kills

CHECKS: tuple[Check, ...] = (random_kills.CHECK,)
