"""Full-text search and filtering of messages on SQLite and PostgreSQL."""
