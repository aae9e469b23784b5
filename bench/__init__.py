"""How fast and how large Textbridge is, measured against the limits of its own ground."""
