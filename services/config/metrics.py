"""Prometheus metrics of each process; ``/metrics`` adds figures from the database."""

from prometheus_client import Counter, Histogram

WEBHOOKS = Counter(
    "textbridge_webhooks_total",
    "Webhook events by outcome: received, repeated, status, quarantined, refused, unwell; "
    "of Ringotel: taken, read, ignored, refused, unreadable",
    ["provider", "outcome"],
)
JOBS = Counter(
    "textbridge_jobs_total",
    "Attempts at jobs by outcome: done, retry, refused, unknown, config, gone",
    ["kind", "outcome"],
)
DELIVERY_SECONDS = Histogram(
    "textbridge_delivery_seconds",
    "From a job's creation to its being done",
    ["kind"],
    buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60, 600, 3600),
)
