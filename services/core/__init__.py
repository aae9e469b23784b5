"""Types and functions that all packages share: messages, errors, phone numbers. No I/O."""
