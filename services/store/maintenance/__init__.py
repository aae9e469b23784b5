"""Backup, move to PostgreSQL, retention, personal data and invariants of the database."""
