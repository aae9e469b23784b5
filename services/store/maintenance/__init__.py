"""Backup, move to PostgreSQL, retention, personal data, consistency checks of the database."""
