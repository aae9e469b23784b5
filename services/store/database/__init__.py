"""Database engine, schema, migrations, transactions, locks and change notification."""
