"""Every check of ``make torture``, in the order in which they run: one file and one line each."""

from torture.check import Check
from torture.checks import kill_points, power_cuts, random_kills

CHECKS: tuple[Check, ...] = (
    random_kills.CHECK,
    kill_points.CHECK,
    power_cuts.CHECK,
)
