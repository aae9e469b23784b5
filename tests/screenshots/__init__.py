"""Screenshots of all pages (``make screenshots``), and their comparison with those of a release."""
