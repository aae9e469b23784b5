"""Every check of ``make torture``, in the order in which they run: one file and one line each."""

from torture.check import Check
from torture.checks import forged, kill_points, matrix, power_cuts, random_kills, ssrf

CHECKS: tuple[Check, ...] = (
    random_kills.CHECK,
    kill_points.CHECK,
    power_cuts.CHECK,
    forged.CHECK,
    matrix.CHECK,
    ssrf.CHECK,
)
