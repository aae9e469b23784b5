"""The database: modules for the tables; packages for the engine, search and maintenance.

A table of ``database/schema.py`` and the module for it, where the names differ:

- ``messages``: ``messages``, ``statuses``, ``unrouted`` (unassigned ones), ``transcripts``
- ``jobs``: ``jobs``, ``job_leasing``, ``dead_letters``
- ``activity``, ``activity_open``, ``activity_pushes``: ``activity``, ``push_times``
- ``allowances``: ``quotas``; ``paces``: ``rate_limits``
- ``destinations``: ``circuit_breakers``; ``sightings``: ``carrier_events``, ``sightings``
- ``message_settings``: ``settings_row``; ``threads``: ``external_threads``
- ``pairings``: ``devices``; ``reads``: ``conversations``
- ``ledger``: ``database/audit_counters``; ``breaches``: ``maintenance/invariant_violations``
- ``search_index``: ``search``
"""
