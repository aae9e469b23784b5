"""The database: a module for each table; packages for the engine, search and maintenance."""
