"""The rooms of Textbridge: no Flask and no environment below this point."""
