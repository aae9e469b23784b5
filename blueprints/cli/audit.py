"""``flask messages check``: checks the audit invariants now, and settles violations."""

import click

from blueprints.cli.parts import parts
from blueprints.cli.terminal import command, document, json_option, table
from services.store.maintenance.invariants import Invariant


@command("check")
@click.option(
    "--settle",
    is_flag=True,
    help="Take what is there for what should be. Do this only after you have looked into it.",
)
@json_option
def check(settle: bool, as_json: bool) -> None:
    """Count now whether everything that came in is still there or was done.

    The delivery worker does this every minute and tells /ready and /metrics; the command counts
    everything anew. Exit code 1 if something is lost, late or too much.
    """
    audit = parts().audit
    found = audit.settle() if settle else audit.check(thorough=True)
    reasons = {violation.invariant: violation.reason for violation in found}
    if as_json:
        invariants = [
            {
                "law": invariant,
                "holds": invariant not in reasons,
                "reason": reasons.get(invariant, ""),
            }
            for invariant in Invariant
        ]
        document({"well": not found, "laws": invariants})
    else:
        table(
            ("INVARIANT", "HOLDS", "REASON"),
            [
                (invariant, "no" if invariant in reasons else "yes", reasons.get(invariant, ""))
                for invariant in Invariant
            ],
            "",
            cut=False,
        )
    raise SystemExit(1 if found else 0)
