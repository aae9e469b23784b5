"""What the operator sees and does: health, statistics, retention, restore, carriers."""
