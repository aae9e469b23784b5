"""Message flow: receiving, routing, composing, limits, uploads."""
