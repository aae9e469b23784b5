"""Migration from another system: its numbers, names, contacts and message history."""
