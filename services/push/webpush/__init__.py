"""Web Push (RFC 8030, 8291, 8292) and UnifiedPush push channels."""
