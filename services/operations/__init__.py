"""Functions for the operator: health, statistics, retention, restore, status of the carriers."""
