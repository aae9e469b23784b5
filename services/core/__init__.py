"""Types that every package shares: messages, errors, phone numbers. No input or output."""
