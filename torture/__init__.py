"""``make torture``: what Textbridge promises, shown under the faults that it is promised for."""
