"""The database: one module for each table, and packages for the engine, search and maintenance."""
