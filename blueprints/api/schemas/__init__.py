"""The shapes of the API: what is taken, checked field by field, and what is answered."""
