"""The doors of Textbridge: everything that knows Flask."""
