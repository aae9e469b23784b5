"""What happens to a message: receiving, routing, composing, limits, uploads."""
