"""Every check of ``make torture``, in the order in which they run: one file and one line each."""

from torture.check import Check
from torture.checks import (
    clock_jumps,
    disk_trouble,
    kill_points,
    power_cuts,
    random_kills,
    repeats,
    restarts,
    settings_trouble,
    syscall_kills,
)

CHECKS: tuple[Check, ...] = (
    random_kills.CHECK,
    kill_points.CHECK,
    syscall_kills.CHECK,
    power_cuts.CHECK,
    disk_trouble.CHECK,
    repeats.CHECK,
    settings_trouble.CHECK,
    clock_jumps.CHECK,
    restarts.CHECK,
)
