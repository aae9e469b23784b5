"""Textbridge without Flask: every package below blueprints."""
