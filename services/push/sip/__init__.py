"""SIP push channel: a user agent for SIP MESSAGE (RFC 3428) that registers at a PBX."""
