"""Every check of ``make torture``, in the order in which they run: one file and one line each."""

from torture.check import Check
from torture.checks import (
    forged,
    fuzz,
    kill_points,
    matrix,
    media,
    power_cuts,
    random_kills,
    secrets,
    slow_clients,
    ssrf,
)

CHECKS: tuple[Check, ...] = (
    random_kills.CHECK,
    kill_points.CHECK,
    power_cuts.CHECK,
    forged.CHECK,
    matrix.CHECK,
    ssrf.CHECK,
    media.CHECK,
    fuzz.CHECK,
    secrets.CHECK,
    slow_clients.CHECK,
)
