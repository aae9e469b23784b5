"""The end of Basic (API users) for Bandwidth's APIs on 2 December 2026.

Source: https://dev.bandwidth.com/docs/account/credentials/management ("fully decommissioned",
OAuth2 is "the only supported method going forward"). From that day nothing is handed over by it: a
refusal in another form than 401 would fail messages for good, while a problem of the configuration
keeps them until it is corrected. Files of webhooks are still asked for, and webhooks themselves are
not concerned: the Basic of their callback user stays.
"""

from datetime import UTC, datetime

ENDS = datetime(2026, 12, 2, tzinfo=UTC).timestamp()
REMEDY = (
    "Create API credentials (OAuth2) with the Messaging role in the Bandwidth dashboard, write "
    "them to BANDWIDTH_API_TOKEN and BANDWIDTH_API_SECRET, and set BANDWIDTH_AUTH=oauth2."
)


def has_ended(now: float) -> bool:
    """Whether Basic is over; ``now`` is in seconds since 1970."""
    return now >= ENDS


def reason(now: float) -> str:
    """What to say about BANDWIDTH_AUTH=basic at a time (seconds since 1970)."""
    if has_ended(now):
        return "is basic, which Bandwidth has ended on 2 December 2026: nothing can be sent by it."
    return "is basic, which Bandwidth ends on 2 December 2026: nothing can be sent by it then."
