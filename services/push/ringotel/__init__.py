"""Push channel for the Ringotel app."""
