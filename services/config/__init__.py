"""Configuration: declared environment variables, parsing and checks, logging, metrics."""
